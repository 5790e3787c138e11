/**
 * A listener that lets no throw out: whatever goes wrong in it is the failure of what it belongs to, never of the process.
 * @param fail  must not throw itself
 */
export function guarded<Args extends readonly unknown[]>(
  listener: (...args: Args) => void,
  fail: (thrown: unknown) => void,
): (...args: Args) => void {
  return (...args) => {
    try {
      listener(...args)
    } catch (thrown) {
      fail(thrown)
    }
  }
}
