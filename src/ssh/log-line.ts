/** The lines of a live log, as they come in a NOTE. */
export function linesOf(_note: Readonly<Record<string, unknown>>): string[] {
  return []
}
