/** Do two values that came as JSON say the same? */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => isEqual(item, b[i]))
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every(name => isEqual((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]))
}
