import { join } from 'node:path'
import { readIfAny } from '../files/change-file.ts'
import { replaceFile } from '../files/replace-file.ts'

/** Orders for a name that have failed, one after the other. */
export interface FailedOrders {
  readonly count: number
  /** Of the last one, and of the next; milliseconds since 1970. */
  readonly atMs: number
  readonly nextMs: number
  readonly reason: string
}

/** The first pause is this long, and each one behind it three times as long: authorities take about five failures an hour of a name. */
const FIRST_PAUSE_MS = 60_000
const FACTOR = 3
const LONGEST_PAUSE_MS = 12 * 3_600_000
/** No authority is believed that it wants to be left alone for longer. */
export const LONGEST_WISH_MS = 7 * 86_400_000
const MAX_NAMES = 10_000

const FILE = 'orders.json'

/** The file of a folder. */
export const attemptsFile = (folder: string): string => join(folder, FILE)

/** Reads what a gateway has left there; nothing where it cannot be read. */
export async function readAttempts(folder: string): Promise<ReadonlyMap<string, FailedOrders>> {
  try {
    const { failed } = JSON.parse((await readIfAny(attemptsFile(folder))) ?? '{}') as { readonly failed?: unknown }
    return new Map(Object.entries(failed ?? {}).filter((entry): entry is [string, FailedOrders] => isFailed(entry[1])))
  } catch {
    return new Map()
  }
}

function isFailed(value: unknown): value is FailedOrders {
  const { count, atMs, nextMs, reason } = (value ?? {}) as Partial<Record<keyof FailedOrders, unknown>>
  return typeof count === 'number' && typeof atMs === 'number' && typeof nextMs === 'number' && typeof reason === 'string'
}

/** Orders that have failed: each makes the next one wait longer, also over a restart, since authorities count as well. */
export class Attempts {
  #failed = new Map<string, FailedOrders>()
  #writing: Promise<void> = Promise.resolve()

  /** @param scale  factor of all pauses, for tests */
  constructor(
    private readonly folder: string,
    private readonly nowMs: () => number,
    private readonly scale = 1,
  ) {}

  get failed(): ReadonlyMap<string, FailedOrders> {
    return this.#failed
  }

  async read(): Promise<void> {
    this.#failed = new Map(await readAttempts(this.folder))
  }

  /** May it be tried now? */
  isDue(name: string): boolean {
    const { atMs, nextMs } = this.#failed.get(name) ?? { atMs: 0, nextMs: 0 }
    const now = this.nowMs()
    // A clock that was ahead when it was written must not hold it for ever.
    return now >= nextMs || now < atMs
  }

  /** One has failed. @param wishMs  the pause that the authority asks for */
  async fail(name: string, reason: string, wishMs: number | undefined): Promise<FailedOrders> {
    const count = (this.#failed.get(name)?.count ?? 0) + 1
    const pauseMs = Math.min(FIRST_PAUSE_MS * FACTOR ** (count - 1), LONGEST_PAUSE_MS) * this.scale
    const now = this.nowMs()
    const failed = { count, atMs: now, nextMs: now + Math.max(pauseMs, Math.min(wishMs ?? 0, LONGEST_WISH_MS)), reason }
    this.#failed.delete(name)
    if (this.#failed.size >= MAX_NAMES) this.#failed.delete(this.#failed.keys().next().value!)
    this.#failed.set(name, failed)
    await this.#write()
    return failed
  }

  /** One has succeeded, or nobody wants it any more. */
  async forget(name: string): Promise<void> {
    if (this.#failed.delete(name)) await this.#write()
  }

  #write(): Promise<void> {
    const write = (): Promise<void> =>
      replaceFile(attemptsFile(this.folder), `${JSON.stringify({ failed: Object.fromEntries(this.#failed) }, null, 2)}\n`)
    this.#writing = this.#writing.then(write, write)
    return this.#writing
  }
}
