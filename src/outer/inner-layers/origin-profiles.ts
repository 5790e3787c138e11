import { GatewayError } from '../../errors.ts'
import { encodeNote, type OriginProfile } from '../../payload/origin-profile.ts'
import type { Carrier } from './carrier.ts'

const MAX_PROFILES = 4_096

/**
 * Numbers for the origin profiles of the targets, the same for all carriers, and which carrier knows which of them. A profile keeps its
 * number when the targets file is read again; one that differs gets a new one, so that requests under way mean what they meant.
 */
export class OriginProfiles {
  readonly #numbers = new WeakMap<OriginProfile, number>()
  readonly #always: OriginProfile | undefined
  readonly #numbersOfTexts = new Map<string, number>()
  readonly #payloads: Buffer[] = []
  readonly #told = new WeakMap<Pick<Carrier, 'note'>, Set<number>>()

  /** @param always  what every profile has beside its own; of time-outs, those of a profile go before */
  constructor(always?: OriginProfile) {
    this.#always = always
  }

  /** The number that stands for `profile` in heads; 0 for none. @throws GatewayError OVERLOADED after 4,096 different ones */
  numberOf(profile: OriginProfile | undefined = this.#always): number {
    if (profile === undefined) return 0
    const known = this.#numbers.get(profile)
    if (known !== undefined) return known
    const whole = this.#always === undefined ? profile : merge(profile, this.#always)
    const text = JSON.stringify(whole)
    const number = this.#numbersOfTexts.get(text) ?? this.#add(text, whole)
    this.#numbers.set(profile, number)
    return number
  }

  /** Tells `carrier` what `number` stands for, once. Call before a stream whose head has it. */
  announce(carrier: Pick<Carrier, 'note'>, number: number): void {
    if (number === 0) return
    let told = this.#told.get(carrier)
    if (told === undefined) this.#told.set(carrier, (told = new Set()))
    if (told.has(number)) return
    told.add(number)
    carrier.note(this.#payloads[number - 1]!)
  }

  #add(text: string, profile: OriginProfile): number {
    if (this.#payloads.length >= MAX_PROFILES)
      throw new GatewayError('OVERLOADED', `${MAX_PROFILES} different sets of origin options since the start; restart the outer layer`)
    const number = this.#payloads.length + 1
    this.#payloads.push(encodeNote({ note: 'profile', number, profile } as { note: string }))
    this.#numbersOfTexts.set(text, number)
    return number
  }
}

function merge(profile: OriginProfile, always: OriginProfile): OriginProfile {
  const { timeouts, ...rest } = always
  return { ...profile, ...rest, ...(timeouts !== undefined && { timeouts: { ...timeouts, ...profile.timeouts } }) }
}
