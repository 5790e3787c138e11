import { printable } from '../../telemetry/pretty.ts'
import type { CliContext } from '../command/context.ts'

/** Lines as they may come to a terminal, whatever the server has said. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n')

/** Writes what a command has to say: as text, or the answer of the API as it is. @param text  ends in a line break */
export function answer(values: { readonly json: boolean }, { stdout }: CliContext, facts: unknown, text: () => string): 0 {
  stdout.write(values.json ? `${JSON.stringify(facts, null, 2)}\n` : printableLines(text()))
  return 0
}

/** A time as tables show it, to the second and in UTC. */
export const shownTime = (text: string): string => `${text.slice(0, 19).replace('T', ' ')}Z`
