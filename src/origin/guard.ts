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

/** Tells that something has failed, as the last thing that is told. */
export function tellFailure(user: { failed(thrown: unknown): void }, thrown: unknown): void {
  try {
    user.failed(thrown)
  } catch {
    // Nobody is left who could be told, and one exchange must not end the others.
  }
}
