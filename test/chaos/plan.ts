/** What each request of a run is to be: a function of the seed and of its number alone, so that a run can be repeated. */
import { Chance } from '../support/random.ts'

/** By what a request comes. */
export const KINDS = ['http1', 'http2', 'websocket', 'tcp', 'tunnel'] as const
export type Kind = (typeof KINDS)[number]

/** What the origin of HTTP does. The first three serve as they should. */
export const MOODS = [
  ...['length', 'chunked', 'slow'],
  ...['until-close', 'die-before', 'die-in-head', 'die-in-body', 'early', 'never', 'garbage', 'oversize', 'more-than-asked'],
] as const
export type Mood = (typeof MOODS)[number]

/** What the client does. */
export const MANNERS = ['reads', 'leaves', 'resets', 'reads slowly', 'sends slowly', 'pipelines and leaves'] as const
export type Manner = (typeof MANNERS)[number]

/** One request, connection or exchange of messages. */
export interface Plan {
  readonly id: string
  readonly kind: Kind
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH'
  readonly mood: Mood
  readonly manner: Manner
  readonly upload: number
  readonly download: number
  /** Of the bytes that go up; those that come down have the next one. */
  readonly seed: number
  /** Only with a manner that leaves. */
  readonly leavesAfterMs: number
  /** The policy forbids it, or no target has its host: it must never reach an origin. */
  readonly isForbidden: boolean
}

const METHODS = ['GET', 'GET', 'GET', 'PUT', 'POST', 'POST', 'DELETE', 'PATCH'] as const
/**
 * An answer with another one behind it comes in one piece: of what came after the next request had been sent on that connection, nobody could tell
 * that it does not belong to it.
 */
const MOST_WITH_MORE = 1_000
const SIZES = [10, 1_000, 20_000, 60_000, 400_000] as const

/** @param kinds  those that this machine can do */
export const planOf = (seed: number, number: number, kinds: readonly Kind[], prefix = ''): Plan => {
  const chance = new Chance((Math.imul(seed, 0x85eb_ca6b) ^ Math.imul(number + 1, 0xc2b2_ae35)) >>> 0)
  const kind = chance.rarely(2) ? chance.one(kinds) : 'http1'
  const isHttp = kind === 'http1' || kind === 'http2'
  const method = isHttp ? chance.one(METHODS) : 'GET'
  const hasUpload = !isHttp || method === 'PUT' || method === 'POST' || method === 'PATCH'
  const mood = isHttp && chance.rarely(4) ? chance.one(MOODS) : chance.one(MOODS.slice(0, 3))
  return {
    id: `${prefix}${number}`,
    kind,
    method,
    mood,
    manner: chance.rarely(8) ? chance.one(MANNERS) : 'reads',
    upload: hasUpload ? chance.below(chance.one(SIZES)) : 0,
    download: mood === 'more-than-asked' ? chance.below(MOST_WITH_MORE) : chance.below(chance.one(SIZES) * 2),
    seed: chance.below(2 ** 30),
    leavesAfterMs: chance.below(60),
    isForbidden: isHttp && chance.rarely(25),
  }
}

/** The target of an HTTP request: an origin that says nothing at all has one of its own, whose patience is short. */
export const hostOf = ({ mood }: Pick<Plan, 'mood'>): string => (mood === 'never' ? 'mute.test' : 'a.test')

/** The path that tells the origin of HTTP what to do. */
export const pathOf = ({ id, mood, upload, download, seed, isForbidden }: Plan): string =>
  `/${isForbidden ? 'forbidden' : 'c'}/${id}/${mood}/${upload}/${download}/${seed}`

/** What a path says, undefined for other paths. */
export const readPath = (path: string) => {
  const [, area, id, mood, upload, download, seed] = path.split('/')
  if ((area !== 'c' && area !== 'forbidden') || id === undefined || seed === undefined) return undefined
  return { area, id, mood: mood as Mood, upload: Number(upload), download: Number(download), seed: Number(seed) } as const
}

/** A request may be executed more than once by an origin only when this is true. The handshake of a WebSocket is a GET. */
export const isIdempotent = ({ kind, method }: Pick<Plan, 'kind' | 'method'>): boolean =>
  kind !== 'tcp' && kind !== 'tunnel' && method !== 'POST' && method !== 'PATCH'
