/** Share links: what somebody without an account may see, for how long and how often. */
import { createHash, randomBytes } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { emailKey, type SocketShare } from '../../route/access.ts'
import { isWithin } from '../path-scope.ts'
import type { Seal } from '../session/seal.ts'

/** The purpose of a link. It is sealed into the link by the keys of the gateway, which alone can make one. */
export interface Share {
  readonly id: string
  /** This path, and everything below it. */
  readonly path: string
  /** `*` among them: every method. */
  readonly methods: readonly string[]
  /** ms since 1970 */
  readonly expiresMs: number
  /** Undefined: as often as one likes. */
  readonly maxUses: number | undefined
  /** The person that it is for, who has to log in; undefined: whoever has the link. As `emailKey` makes it. */
  readonly email: string | undefined
}

/** A link, as it is kept for lists: the link itself is not. */
export interface StoredShare extends Omit<Share, 'maxUses' | 'email'> {
  readonly host: string
  readonly createdAt: string
  readonly maxUses: number | null
  readonly email: string | null
  readonly isRevoked: boolean
}

/** The parameter of a query that has a share. */
export const SHARE_PARAMETER = 'sg-share'
/** The field for programs, which reaches no origin. */
export const SHARE_FIELD = 'x-sg-share'
const PURPOSE = 'share'
const ID = /^[0-9a-f]{16}$/
/** More in one file are a mistake. */
const MAX_SHARES = 10_000

type Sealed = readonly [
  version: 1,
  id: string,
  path: string,
  methods: readonly string[],
  expiresMs: number,
  maxUses: number | null,
  email: string | null,
]

/** A new share. @throws GatewayError USAGE for an address that is none */
export function createShare({ email, ...wanted }: Omit<Share, 'id'>): Share {
  const key = email === undefined ? undefined : emailKey(email)
  if (email !== undefined && key === undefined) throw new GatewayError('USAGE', `--email ${email}: expected an e-mail address`)
  return { id: randomBytes(8).toString('hex'), ...wanted, email: key }
}

/** Seals a share for a host. */
export function sealShare(seal: Seal, host: string, share: Share): string {
  const { id, path, methods, expiresMs, maxUses, email } = share
  const sealed: Sealed = [1, id, path, methods, expiresMs, maxUses ?? null, email ?? null]
  return seal.seal(PURPOSE, host, JSON.stringify(sealed))
}

/** @returns undefined for what is no share of this host, made by a key that is still there */
export function openShare(seal: Seal, host: string, text: string): Share | undefined {
  const opened = seal.open(PURPOSE, host, text)
  if (opened === undefined) return undefined
  const sealed = JSON.parse(opened) as Sealed
  if (sealed[0] !== 1 || sealed.length !== 7) return undefined
  const [, id, path, methods, expiresMs, maxUses, email] = sealed
  return Object.freeze({ id, path, methods, expiresMs, maxUses: maxUses ?? undefined, email: email ?? undefined })
}

/** The secret of a link that the owner of a socket has made. Of it the gateway knows a hash alone. */
const OF_SOCKET = /^sgl_[\w-]{43}$/

/** The share behind such a link; undefined for what is none of this socket. */
export function shareOfSocket(shares: readonly SocketShare[], text: string): Share | undefined {
  if (shares.length === 0 || !OF_SOCKET.test(text)) return undefined
  const hash = `sha256:${createHash('sha256').update(text).digest('base64url')}`
  const found = shares.find(share => share.hash === hash)
  if (found === undefined) return undefined
  const { id, path, methods, expiresMs, maxUses, email } = found
  return Object.freeze({
    id,
    path,
    methods,
    expiresMs,
    maxUses: maxUses ?? undefined,
    // Whom the gateway cannot compare with anybody, nobody is.
    email: email === null ? undefined : (emailKey(email) ?? email),
  })
}

/** Was it made by the owner of a socket? It is over as soon as that has it no more. */
export const isOfSocket = ({ id }: Pick<Share, 'id'>): boolean => !ID.test(id)

/** Says why a share is not for a request; undefined: it is. @param path  that the policy sees */
export function whyNotFor({ methods, path: root }: Share, method: string, path: string): string | undefined {
  if (!methods.includes(method) && !methods.includes('*')) return 'the link is not for this method'
  const folder = root.endsWith('/') ? root : `${root}/`
  return isWithin(path, each => each === root || each.startsWith(folder)) ? undefined : 'the link is not for this path'
}

const invalid = (reason: string): GatewayError =>
  new GatewayError('CONFIG_INVALID', `${reason}; such a file is written by: socket-gateway share`)

/** Reads the file of shares. @param text  undefined: there is none. @throws GatewayError CONFIG_INVALID */
export function readShares(text: string | undefined): readonly StoredShare[] {
  if (text === undefined) return []
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid('expected JSON with shares')
  }
  const list = (value as { readonly shares?: unknown } | null)?.shares
  if (!Array.isArray(list) || list.length > MAX_SHARES) throw invalid('expected JSON with a list "shares"')
  return list.map((each: unknown, i) => {
    if (!isStored(each)) throw invalid(`share ${i + 1} of the list is none`)
    return each
  })
}

function isStored(value: unknown): value is StoredShare {
  if (typeof value !== 'object' || value === null) return false
  const { id, path, methods, expiresMs, host, isRevoked } = value as Partial<Record<keyof StoredShare, unknown>>
  const isPlace = typeof path === 'string' && typeof host === 'string' && Array.isArray(methods)
  return typeof id === 'string' && ID.test(id) && isPlace && typeof expiresMs === 'number' && typeof isRevoked === 'boolean'
}

const textOf = (shares: readonly StoredShare[]): string => `${JSON.stringify({ shares }, undefined, 2)}\n`

/** Adds a share to the file; those that are over are left out. @param now  ms since 1970 */
export function addShare(text: string | undefined, host: string, share: Share, now: number): string {
  const { maxUses = null, email = null } = share
  const stored: StoredShare = { ...share, maxUses, email, host, createdAt: new Date(now).toISOString(), isRevoked: false }
  return textOf([...readShares(text).filter(({ expiresMs }) => expiresMs > now), stored])
}

/** Ends a share. @throws GatewayError USAGE when there is none with this id */
export function revokeShare(text: string | undefined, id: string): string {
  const shares = readShares(text)
  if (!shares.some(share => share.id === id))
    throw new GatewayError('USAGE', `there is no share ${JSON.stringify(id)}; see: socket-gateway share ls`)
  return textOf(shares.map(share => (share.id === id ? { ...share, isRevoked: true } : share)))
}
