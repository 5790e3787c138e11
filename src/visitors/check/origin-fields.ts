import type { Visitor } from '../../route/access.ts'

/** Signs the identity of a visitor for a host. */
export interface IdentitySigner {
  /** @returns a JWT, and when another one is needed, in ms of its clock */
  sign(visitor: Visitor, host: string): { readonly token: string; readonly untilMs: number }
}

/** Fields for one host, and how long they serve. */
export interface Told {
  readonly host: string
  readonly fields: readonly string[]
  readonly untilMs: number
}

const NO_FIELDS: readonly string[] = Object.freeze([])

/** The fields that tell an origin who comes. What was made for a visitor serves all requests of that minute. */
export class OriginFields {
  readonly #known = new WeakMap<Visitor, Told>()

  /** @param clock  ms since 1970 */
  constructor(
    private readonly signer: IdentitySigner,
    private readonly clock: () => number,
  ) {}

  /** Names and values in turn. @param host  the audience: that of the request */
  of(visitor: Visitor | undefined, host: string): readonly string[] {
    return visitor === undefined ? NO_FIELDS : this.made(visitor, host).fields
  }

  /** Does what was made serve yet? @param untilMs  as `made` gives it */
  isBefore(untilMs: number): boolean {
    return this.clock() < untilMs
  }

  /** The same, and until when they serve, in ms of the clock: those at hand while they do. */
  made(visitor: Visitor, host: string): Told {
    const known = this.#known.get(visitor)
    if (known !== undefined && known.host === host && this.clock() < known.untilMs) return known
    const { token, untilMs } = this.signer.sign(visitor, host)
    const { email, name, groups } = visitor
    const fields = [
      ...(email === undefined ? [] : ['X-Auth-Email', fieldValue(email)]),
      ...(name === undefined ? [] : ['X-Auth-Name', fieldValue(name)]),
      ...(groups.length === 0 ? [] : ['X-Auth-Groups', groups.map(group => fieldValue(group).replace(/[%,]/g, percent)).join(',')]),
      'X-SG-Identity',
      token,
    ]
    const made = { host, fields, untilMs }
    this.#known.set(visitor, made)
    return made
  }
}

const MAX_VALUE = 256

const percent = (character: string): string => (character === ',' ? '%2C' : '%25')

/**
 * A text of a provider as a field has it: without controls, which would end it, and in bytes of UTF-8, of which fields know nothing
 * (RFC 9110 §5.5).
 */
const fieldValue = (text: string): string => Buffer.from(text.replace(/\p{C}/gu, ' ').trim().slice(0, MAX_VALUE), 'utf8').toString('latin1')
