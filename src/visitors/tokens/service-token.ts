/** Service tokens: secrets of programs, of which the gateway keeps hashes alone. */
import { createHash, randomBytes } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { PolicyRule } from '../../route/policy.ts'

/** A token, as it is kept. */
export interface ServiceToken {
  readonly id: string
  readonly name: string
  /** Names of targets or routes, as the targets file has them. */
  readonly targets: readonly string[]
  /** `*` among them: every method. */
  readonly methods: readonly string[]
  /** Paths, or expressions that begin with `^`; none: every path. */
  readonly paths: readonly string[]
  /** SHA-256 of the token, base64url. It has 256 bits of chance, so its hash tells nothing to whoever reads the file. */
  readonly hash: string
  readonly createdAt: string
  readonly expiresAt: string
}

/** The wishes for a new token. */
export type NewServiceToken = Pick<ServiceToken, 'name' | 'targets' | 'methods' | 'paths'> & { readonly lastsMs: number }

const PREFIX = 'sgv_'
const FORM = /^sgv_[\w-]{43}$/
const ID = /^[0-9a-f]{8}$/
/** Tokens that have been over for so long are forgotten when the file is changed. */
const KEPT_MS = 30 * 86_400_000
/** More in one file are a mistake. */
const MAX_TOKENS = 10_000

/** Has a text the form of our tokens? Nothing else is one, and may be the application's. */
export const isServiceToken = (text: string): boolean => FORM.test(text)

/** The text by which a token is found: neither it nor a comparison tells anything of the token. */
export const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64url')

const invalid = (reason: string): GatewayError =>
  new GatewayError('CONFIG_INVALID', `${reason}; such a file is written by: socket-gateway service-token create`)

const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(each => typeof each === 'string')

/** Reads the file of tokens. @param text  undefined: there is none. @throws GatewayError CONFIG_INVALID */
export function readServiceTokens(text: string | undefined): readonly ServiceToken[] {
  if (text === undefined) return []
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid('expected JSON with service tokens')
  }
  const list = (value as { readonly tokens?: unknown } | null)?.tokens
  if (!Array.isArray(list) || list.length > MAX_TOKENS) throw invalid('expected JSON with a list "tokens"')
  return list.map((each: unknown, i) => {
    if (!isToken(each)) throw invalid(`token ${i + 1} of the list is none`)
    return each
  })
}

function isToken(value: unknown): value is ServiceToken {
  if (typeof value !== 'object' || value === null) return false
  const { id, name, targets, methods, paths, hash, createdAt, expiresAt } = value as Partial<Record<keyof ServiceToken, unknown>>
  const isNamed = typeof id === 'string' && ID.test(id) && typeof name === 'string' && typeof hash === 'string' && hash.length === 43
  const isLimited = isTexts(targets) && isTexts(methods) && isTexts(paths)
  return isNamed && isLimited && typeof createdAt === 'string' && Number.isFinite(Date.parse(String(expiresAt)))
}

const textOf = (tokens: readonly ServiceToken[]): string => `${JSON.stringify({ tokens }, undefined, 2)}\n`

/**
 * Makes a token.
 * @param text  of the file so far
 * @param now   ms since 1970
 * @returns the file with the token, and the token, which is shown once
 * @throws GatewayError USAGE for a name that is taken, CONFIG_INVALID for a path that is none
 */
export function addServiceToken(
  text: string | undefined,
  { lastsMs, ...wanted }: NewServiceToken,
  now: number,
): { readonly text: string; readonly token: string; readonly stored: ServiceToken } {
  for (const pattern of wanted.paths) pathRule(pattern, wanted.methods)
  const known = readServiceTokens(text).filter(({ expiresAt }) => Date.parse(expiresAt) > now - KEPT_MS)
  if (known.some(({ name, expiresAt }) => name === wanted.name && Date.parse(expiresAt) > now))
    throw new GatewayError('USAGE', `a token with the name ${JSON.stringify(wanted.name)} is in force; choose another name, or revoke it`)
  const token = PREFIX + randomBytes(32).toString('base64url')
  const stored: ServiceToken = {
    id: randomBytes(4).toString('hex'),
    ...wanted,
    hash: hashOf(token),
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(now + lastsMs).toISOString(),
  }
  return { text: textOf([...known, stored]), token, stored }
}

/** Takes a token out of the file, by its id or its name. @throws GatewayError USAGE when there is none */
export function removeServiceToken(text: string | undefined, wanted: string): { readonly text: string; readonly removed: ServiceToken } {
  const known = readServiceTokens(text)
  const removed = known.find(({ id }) => id === wanted) ?? known.findLast(({ name }) => name === wanted)
  if (removed === undefined)
    throw new GatewayError('USAGE', `there is no token ${JSON.stringify(wanted)}; see: socket-gateway service-token ls`)
  return { text: textOf(known.filter(each => each !== removed)), removed }
}

/** A rule for one path of a token. @throws GatewayError CONFIG_INVALID for what is none */
export const pathRule = (pattern: string, methods: readonly string[]): PolicyRule => new PolicyRule({ pattern, methods, line: 0 })
