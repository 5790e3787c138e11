import { Inspector, type InspectorOptions } from '../../src/inspector/inspector.ts'
import type { ExchangeRecord } from '../../src/inspector/exchange-record.ts'
import { SecretNames } from '../../src/inspector/redact/secret-names.ts'
import { redactorFor } from '../../src/inspector/redact/redactor.ts'
import { until } from '../support/wait.ts'

/** An inspector with a clock of its own; faults are thrown by `check`. */
export function testInspector(options: Partial<InspectorOptions> = {}): { readonly inspector: Inspector; readonly faults: unknown[] } {
  const faults: unknown[] = []
  let ms = 0
  const inspector = new Inspector({
    layer: 'inner',
    budgetBytes: 16_000_000,
    bodyLimitBytes: 1_000_000,
    clock: () => (ms += 1),
    nowMs: () => 1_700_000_000_000 + ms,
    onFault: thrown => void faults.push(thrown),
    ...options,
  })
  return { inspector, faults }
}

/** The newest record, once nothing of it changes any more. */
export async function newest(inspector: Inspector, count = 1): Promise<ExchangeRecord> {
  await until(() => inspector.state.requests >= count && [...inspector.newestFirst()].every(({ isSettled }) => isSettled), {
    what: `${count} settled records`,
  })
  return [...inspector.newestFirst()][0]!
}

/** Returns the part of `pieces` that is kept. */
export function redacted(type: string | undefined, pieces: readonly (string | Buffer)[], names = new SecretNames()): string {
  const kept: Buffer[] = []
  const { redactor, note } = redactorFor(type, names, (bytes, from, to) => void kept.push(Buffer.from(bytes.subarray(from, to))))
  if (redactor === undefined) return note
  for (const piece of pieces) redactor.push(Buffer.from(piece))
  redactor.end()
  return Buffer.concat(kept).toString('utf8')
}
