/** Lists of fields that many heads of one session end with: told once, in a NOTE frame, and named by a number from then on. */
import { GatewayError } from '../errors.ts'
import { MAX_FIELDS } from '../http/fields.ts'
import type { RepeatedList } from '../http/message.ts'
import { ByteWriter, type RepeatedFields } from './byte-codec.ts'
import { encodeNote } from './origin-profile.ts'

/** The feature that an inner layer names in AUTH which takes such lists. */
export const FIELD_LISTS = 'field-lists'

/** Lists of one session that both ends remember: the oldest is forgotten when one more comes. */
const MAX_LISTS = 512
/** Bytes of one list. */
const MAX_LIST_BYTES = 8_192
/** A list is of use for at least so long, milliseconds: one that would push out a younger one is sent with its head as before. */
const LIST_MS = 60_000
/** The use of a list from which on it is told: most of those that are used again are used often. */
const TOLD_FROM = 2
/** Beyond it every list goes with its head: after sixteen years at the rate that the above allows. */
const MAX_NUMBER = 0xffff_ffff

/** Lists that the peer of one session has been told. Numbers rise and are never given twice, so that none can stand for another list. */
export class ToldLists {
  readonly #told = new Map<RepeatedFields, { readonly reference: string; readonly sinceMs: number }>()
  /** Uses of those that are not told. */
  readonly #uses = new WeakMap<RepeatedFields, number>()
  #last = 0

  /** @param clock  milliseconds, rising */
  constructor(private readonly clock: () => number) {}

  /**
   * The number of a list, as heads have it; tells the list first where that is worth it.
   * @param peer  takes notes, ahead of what is opened later
   * @returns undefined: the list goes with its head
   */
  referenceOf(list: RepeatedFields, peer: { note(payload: Uint8Array): void }): string | undefined {
    const { told } = list
    if (told?.by === this) return told.reference
    const reference = this.#told.get(list)?.reference ?? this.#tell(list, peer)
    if (reference !== undefined) list.told = { by: this, reference }
    return reference
  }

  #tell(list: RepeatedFields, peer: { note(payload: Uint8Array): void }): string | undefined {
    const uses = (this.#uses.get(list) ?? 0) + 1
    this.#uses.set(list, uses)
    if (uses < TOLD_FROM || this.#last >= MAX_NUMBER || !isList(list.fields)) return undefined
    const now = this.clock()
    if (this.#told.size >= MAX_LISTS) {
      const [oldest] = this.#told
      if (oldest === undefined || now - oldest[1].sinceMs < LIST_MS) return undefined
      this.#told.delete(oldest[0])
      oldest[0].told = undefined
    }
    const number = ++this.#last
    peer.note(encodeNote({ note: 'fields', number, fields: list.fields } as { note: string }))
    const reference = new ByteWriter().u32(number).take().toString('latin1')
    this.#told.set(list, { reference, sinceMs: now })
    return reference
  }
}

/** For a peer with these features, as AUTH has them; undefined: it takes no lists. @param clock  milliseconds, rising */
export const listsFor = (features: unknown, clock: () => number): ToldLists | undefined =>
  Array.isArray(features) && features.includes(FIELD_LISTS) ? new ToldLists(clock) : undefined

/** The lists that the other end has told in one session, by their numbers. */
export class KnownLists {
  readonly #lists = new Map<number, RepeatedList>()
  #last = 0

  /** @throws GatewayError PROTOCOL for a number that was never told, or is forgotten */
  readonly of = (number: number): RepeatedList => {
    const list = this.#lists.get(number)
    if (list === undefined) throw new GatewayError('PROTOCOL', `a list of fields ${number} that is not known`)
    return list
  }

  /** Takes a note of the kind `fields`. @throws GatewayError PROTOCOL */
  take({ number, fields }: Readonly<Record<string, unknown>>): void {
    if (typeof number !== 'number' || !Number.isInteger(number) || number <= this.#last || number > MAX_NUMBER)
      throw new GatewayError('PROTOCOL', 'a list of fields without a number, or with one that was given before')
    if (!isList(fields)) throw new GatewayError('PROTOCOL', 'a list of fields that is not what it should be')
    this.#last = number
    const [oldest] = this.#lists.keys()
    if (this.#lists.size >= MAX_LISTS && oldest !== undefined) this.#lists.delete(oldest)
    this.#lists.set(number, { fields: Object.freeze([...fields]), lines: undefined })
  }
}

/** Names and values of fields of ours, which frame nothing. */
function isList(fields: unknown): fields is readonly string[] {
  if (!Array.isArray(fields) || fields.length % 2 !== 0 || fields.length > 2 * MAX_FIELDS) return false
  let bytes = 0
  for (const [i, text] of fields.entries()) {
    if (typeof text !== 'string' || (i % 2 === 0 && !/^x-/i.test(text))) return false
    bytes += text.length
  }
  return bytes <= MAX_LIST_BYTES
}
