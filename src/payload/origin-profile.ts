/** The way in which an inner layer reaches an origin, beyond the head of a request; sent once per session, in a NOTE frame. */
import { GatewayError } from '../errors.ts'

/** Towards an origin that speaks TLS. PEM texts; what is absent is the default of Node. */
export interface OriginTls {
  /** The only authorities to trust. */
  readonly ca?: string
  /** Name in SNI and in the certificate; the host name of the origin when absent. */
  readonly servername?: string
  /** True: the name in SNI is that in the Host field, where it is a name. */
  readonly servernameOfHost?: boolean
  /** False: any certificate is accepted. */
  readonly verify?: boolean
  /** Client certificate, with its key. */
  readonly certificate?: string
  readonly key?: string
}

/** Milliseconds; 0 is for ever. */
export interface OriginTimeouts {
  readonly connectMs?: number
  /** From the whole request to the head of the answer. */
  readonly headMs?: number
  /** Between two pieces of a body. */
  readonly idleMs?: number
}

/** Settings that differ from the default. */
export interface OriginProfile {
  readonly http2?: boolean
  readonly tls?: OriginTls
  readonly timeouts?: OriginTimeouts
  /** Answers say how long connection and origin took (Server-Timing). */
  readonly timing?: boolean
}

/** A number that heads refer to, and what it stands for from now on. */
export interface ProfileNote {
  readonly note: 'profile'
  readonly number: number
  readonly profile: OriginProfile
}

type Kind = 'boolean' | 'text' | 'ms' | Readonly<{ [key: string]: Kind }>

const SHAPE: Kind = {
  http2: 'boolean',
  tls: { ca: 'text', servername: 'text', servernameOfHost: 'boolean', verify: 'boolean', certificate: 'text', key: 'text' },
  timeouts: { connectMs: 'ms', headMs: 'ms', idleMs: 'ms' },
  timing: 'boolean',
}

/** Payload of a NOTE frame: one JSON object with the kind of note in `note`. */
export const encodeNote = (note: { readonly note: string }): Buffer => Buffer.from(JSON.stringify(note), 'utf8')

/** The object of a NOTE frame. Kinds that are not known are to be ignored. @throws GatewayError PROTOCOL */
export function decodeNote(payload: Buffer): Readonly<Record<string, unknown>> & { readonly note: string } {
  let value: unknown
  try {
    value = JSON.parse(payload.toString('utf8'))
  } catch (cause) {
    throw new GatewayError('PROTOCOL', 'a NOTE that is no JSON', { cause })
  }
  if (typeof value !== 'object' || value === null || typeof (value as { note?: unknown }).note !== 'string')
    throw new GatewayError('PROTOCOL', 'a NOTE without its kind')
  return value as Record<string, unknown> & { note: string }
}

/** A note of the kind `profile`, checked; keys that are not known are left out. @throws GatewayError PROTOCOL */
export function parseProfileNote({ number, profile }: Readonly<Record<string, unknown>>): ProfileNote {
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > 0xffff)
    throw new GatewayError('PROTOCOL', 'a profile without a number')
  return { note: 'profile', number, profile: Object.freeze(checked(profile, SHAPE, 'profile')) }
}

function checked(value: unknown, shape: Kind, path: string): unknown {
  const fault = (): GatewayError => new GatewayError('PROTOCOL', `${path} of an origin profile is not what it should be`)
  if (shape === 'boolean' || shape === 'text') {
    if (typeof value !== (shape === 'text' ? 'string' : 'boolean')) throw fault()
    return value
  }
  if (shape === 'ms') {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0x7fff_ffff) throw fault()
    return value
  }
  if (typeof value !== 'object' || value === null) throw fault()
  const given = value as Readonly<Record<string, unknown>>
  return Object.fromEntries(
    Object.entries(shape)
      .filter(([key]) => given[key] !== undefined)
      .map(([key, kind]) => [key, checked(given[key], kind, `${path}.${key}`)]),
  )
}

/** The profiles that the other end has announced in one session, by their numbers. */
export class AnnouncedProfiles {
  readonly #profiles = new Map<number, OriginProfile>()

  /** @param most  more are too many */
  constructor(private readonly most: number) {}

  /** The profile of a request; undefined for 0, which stands for none. @throws GatewayError PROTOCOL */
  readonly of = (number: number): OriginProfile | undefined => {
    if (number === 0) return undefined
    const profile = this.#profiles.get(number)
    if (profile === undefined) throw new GatewayError('PROTOCOL', `origin profile ${number} was never announced`)
    return profile
  }

  /** Takes a note of the kind `profile`. @throws GatewayError PROTOCOL, CALM */
  take(note: Readonly<Record<string, unknown>>): void {
    const { number, profile } = parseProfileNote(note)
    this.#profiles.set(number, profile)
    if (this.#profiles.size > this.most) throw new GatewayError('CALM', `more than ${this.most} origin profiles`)
  }
}
