import { canonicalPath, otherReadings } from '../route/path.ts'

/**
 * Is a path within what a credential is for, however the origin reads it? The path that the policy sees may still have runs of slashes and
 * forms that readers differ about, where the target allows everything.
 * @param path   that the policy sees
 * @param isOne  decides on one reading
 */
export function isWithin(path: string, isOne: (path: string) => boolean): boolean {
  const { path: canonical, ambiguous } = canonicalPath(path, true, true)
  if (ambiguous !== undefined) return false
  return [path, canonical, ...otherReadings(path), ...otherReadings(canonical)].every(isOne)
}
