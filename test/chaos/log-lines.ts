/** The output of processes of a world, read line by line: access lines for the ledger, and faults that they tell themselves. */
import type { Ledger } from './ledger.ts'
import { readPath } from './plan.ts'

/** A line of any process. @returns it, parsed */
export const judgeLine = (ledger: Ledger, name: string, text: string): Readonly<Record<string, unknown>> => {
  const line = JSON.parse(text) as Record<string, unknown>
  if (/internal fault/i.test(String(line['msg']))) ledger.fault(`${name}: ${text}`)
  return line
}

/** A line of the outer layer. */
export const readOuterLine = (ledger: Ledger, name: string, text: string): void => {
  const line = judgeLine(ledger, name, text)
  if (line['msg'] !== 'request') return
  const id = readPath(String(line['path']))?.id
  if (id === undefined) return
  if (line['error'] === 'INTERNAL') ledger.fault(`an internal fault: ${text}`)
  ledger.logged({
    id,
    status: Number(line['status']),
    identifier: line['identifier'] as string | undefined,
    error: line['error'] as string | undefined,
  })
}
