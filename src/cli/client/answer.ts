import type { CliContext } from '../command/context.ts'

/** Writes what a command has to say: as text, or the answer of the API as it is. @param text  ends in a line break */
export function answer(values: { readonly json: boolean }, { stdout }: CliContext, facts: unknown, text: () => string): 0 {
  stdout.write(values.json ? `${JSON.stringify(facts, null, 2)}\n` : text())
  return 0
}
