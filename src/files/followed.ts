import { messageOf, type GatewayError } from '../errors.ts'
import { Poll } from './poll.ts'

/** The result of one look at the files: what can be used, and why the rest cannot. */
export interface FollowedReading {
  readonly faults: readonly { readonly error: GatewayError }[]
}

/** The files to follow, and how they are read. */
export interface FollowedFiles<Place, Reading extends FollowedReading> {
  /** Finds the files, such as those of a directory. */
  places(): Promise<Place>
  /** Marks that differ when a file has changed, without reading it. */
  fingerprint(places: Place): Promise<string>
  read(places: Place): Promise<Reading>
  /** Is it time to read files again that have not changed? `certain`: yes, and a fault in them needs no second look. */
  due(): 'no' | 'yes' | 'certain'
  /**
   * Puts a reading in force.
   * @param tell       tells the new faults
   * @param wasFaulty  the reading before had faults
   */
  apply(reading: Reading, tell: () => void, wasFaulty: boolean): void
}

/**
 * Files that are read again whenever they change. A file that cannot be used may be half written, so a new fault counts only when two
 * looks in a row find one. Nothing is applied once it is closed.
 */
export class Followed<Place, Reading extends FollowedReading> {
  readonly #poll: Poll
  #faults: GatewayError[] = []
  #seen = ''
  #isDoubted = false

  /**
   * @param pollMs         between two looks, milliseconds
   * @param onFault        a file cannot be used; once per change of the fault
   * @param onLookFailure  what a look has thrown; the next one comes all the same
   */
  constructor(
    private readonly files: FollowedFiles<Place, Reading>,
    pollMs: number,
    private readonly onFault: (fault: GatewayError) => void,
    onLookFailure: (thrown: unknown) => void,
  ) {
    this.#poll = new Poll(() => this.#look(), pollMs, onLookFailure)
  }

  /** Why files cannot be used at the moment. */
  get faults(): readonly GatewayError[] {
    return this.#faults
  }

  /**
   * Reads all files, then follows them.
   * @param check  throws when a first reading is not good enough; nothing is in force or followed then
   */
  async start(check: (reading: Reading) => void): Promise<void> {
    const places = await this.files.places()
    this.#seen = await this.files.fingerprint(places)
    const reading = await this.files.read(places)
    check(reading)
    this.#apply(reading)
    this.#poll.start()
  }

  /** Looks now, for whoever knows that files have changed. */
  lookNow(): Promise<void> {
    return this.#poll.lookNow()
  }

  /** Ends; resolves when the look under way is over. Idempotent. */
  async close(): Promise<void> {
    await this.#poll.close()
  }

  async #look(): Promise<void> {
    const places = await this.files.places()
    const seen = await this.files.fingerprint(places)
    const due = this.files.due()
    if (seen === this.#seen && !this.#isDoubted && due === 'no') return
    const reading = await this.files.read(places)
    if (this.#poll.isClosed) return
    const isFirstDoubt = due !== 'certain' && !this.#isDoubted && this.#newFaults(reading).length > 0
    this.#isDoubted = isFirstDoubt
    if (!isFirstDoubt) this.#apply(reading)
    this.#seen = seen // only now: where a listener throws, the files are read again
  }

  #newFaults({ faults }: Reading): GatewayError[] {
    const known = new Set(this.#faults.map(messageOf))
    return faults.map(({ error }) => error).filter(({ message }) => !known.has(message))
  }

  #apply(reading: Reading): void {
    const wasFaulty = this.#faults.length > 0
    const told = this.#newFaults(reading)
    this.#faults = reading.faults.map(({ error }) => error)
    const tell = (): void => told.forEach(fault => this.onFault(fault))
    this.files.apply(reading, tell, wasFaulty)
  }
}
