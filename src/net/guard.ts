/** Ends what an event belongs to, after a throw in the middle of it. */
export type Fail = (thrown: unknown) => void

/**
 * The one guard between this program and whatever clients, origins, peers and timers make happen: `listener`, made so that what it throws
 * ends the one thing that the event belongs to. Node gives a throw inside an event to nobody but the process, and one request must not be
 * able to end all the others. What `fail` itself throws goes to the last resort of the process, in a turn of its own.
 */
export const guarded =
  <Args extends readonly unknown[]>(fail: Fail, listener: (...args: Args) => void): ((...args: Args) => void) =>
  (...args) => {
    try {
      listener(...args)
    } catch (thrown) {
      contain(fail, thrown)
    }
  }

/** Does it now, with the same guard. */
export function attempt(fail: Fail, action: () => void): void {
  try {
    action()
  } catch (thrown) {
    contain(fail, thrown)
  }
}

function contain(fail: Fail, thrown: unknown): void {
  try {
    fail(thrown)
  } catch (second) {
    setImmediate(() => {
      throw second
    })
  }
}
