import type { BodyInfo } from './record.ts'
import type { Holder } from './budget.ts'
import { HeldBytes } from './held-bytes.ts'

/** The body of one direction: all of it counted, the begin of it kept. */
export class BodyRecord {
  readonly held: HeldBytes
  #bytes = 0
  #isComplete = false
  #note: string | null = null
  #redactions = 0

  /** @param type  the media type with its parameters; null for none */
  constructor(
    holder: Holder,
    limit: number,
    readonly type: string | null,
    readonly coding: string | null,
  ) {
    this.held = new HeldBytes(holder, limit)
  }

  /** Bytes as they were transferred. */
  get bytes(): number {
    return this.#bytes
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  get redactions(): number {
    return this.#redactions
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length
    this.held.append(chunk)
  }

  /** @param isComplete  all of it came */
  end(isComplete: boolean): void {
    this.#isComplete ||= isComplete
    this.held.finish()
  }

  get info(): BodyInfo {
    return {
      bytes: this.#bytes,
      heldBytes: this.held.length,
      isCut: this.held.isCut,
      isComplete: this.#isComplete,
      type: this.type,
      coding: this.coding,
      note: this.#note,
      redactions: this.#redactions,
    }
  }
}

/** The body that there is none of. */
export const NO_BODY_INFO: BodyInfo = Object.freeze({
  bytes: 0,
  heldBytes: 0,
  isCut: false,
  isComplete: true,
  type: null,
  coding: null,
  note: null,
  redactions: 0,
})
