/** Time and turns of the event loop that pass only when they are told to, for code that runs between `begin` and `end` without awaiting anything. */

type Task = () => void

interface Timer {
  readonly task: Task
  readonly everyMs: number | undefined
  dueMs: number
}

const REAL = { setImmediate, clearImmediate, setTimeout, clearTimeout, setInterval, clearInterval }

export class VirtualTime {
  nowMs = 1_000
  #immediates = new Map<object, Task>()
  readonly #timers = new Map<object, Timer>()

  /** Timers and immediates of everybody are these from now on. */
  begin(): void {
    const add = (task: Task, ms: number | undefined, everyMs: number | undefined): object => {
      // The session unrefs and refreshes nothing; a handle has to be an object.
      const handle = { unref: () => handle, ref: () => handle, hasRef: () => true }
      this.#timers.set(handle, { task, everyMs, dueMs: this.nowMs + Math.max(1, ms ?? 1) })
      return handle
    }
    const forget = (handle: object): void => void this.#timers.delete(handle)
    Object.assign(globalThis, {
      setImmediate: (task: Task) => {
        const handle = { unref: () => handle, ref: () => handle, hasRef: () => true }
        this.#immediates.set(handle, task)
        return handle
      },
      clearImmediate: (handle: object) => void this.#immediates.delete(handle),
      setTimeout: (task: Task, ms?: number) => add(task, ms, undefined),
      setInterval: (task: Task, ms?: number) => add(task, ms, ms ?? 1),
      clearTimeout: forget,
      clearInterval: forget,
    })
  }

  /** Those of Node again. */
  end(): void {
    Object.assign(globalThis, REAL)
  }

  /** Timers and immediates that nobody has cancelled. */
  get pending(): number {
    return this.#immediates.size + this.#timers.size
  }

  /** One turn: what was asked for before it. @returns whether there was anything */
  turn(): boolean {
    const tasks = this.#immediates
    if (tasks.size === 0) return false
    this.#immediates = new Map()
    for (const task of tasks.values()) task()
    return true
  }

  /** Lets time pass, with the timers that become due, in their order. */
  advance(ms: number): void {
    const end = this.nowMs + ms
    for (;;) {
      let next: [object, Timer] | undefined
      for (const entry of this.#timers) if (entry[1].dueMs <= end && (next === undefined || entry[1].dueMs < next[1].dueMs)) next = entry
      if (next === undefined) break
      const [handle, timer] = next
      this.nowMs = Math.max(this.nowMs, timer.dueMs)
      if (timer.everyMs === undefined) this.#timers.delete(handle)
      else timer.dueMs = this.nowMs + timer.everyMs
      timer.task()
    }
    this.nowMs = end
  }
}
