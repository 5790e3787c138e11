/** What the file says of a target or a route → the frozen target that the layers work with. */
import type { z } from 'zod'
import { compileFieldEdits } from '../http/field-edits.ts'
import type { OriginProfile, OriginTls } from '../payload/origin-profile.ts'
import { AddressRanges } from '../address/address-ranges.ts'
import { createFixedAnswer, createRedirect, type FixedAnswer, type FixedAnswerSource } from '../route/fixed-answer.ts'
import { parseOriginHost } from '../address/host.ts'
import { parsePrefix, PatternMap, PrefixMap, type PathMap } from '../route/path-map.ts'
import type { Policy } from '../route/policy.ts'
import { type RoutePath } from '../route/routes.ts'
import type { Balance, BasicAuth, Health, Retries, Target, TargetLimits, Treatment } from '../route/target.ts'
import type { FileKind } from './target-files.ts'
import type { routeSchema, targetSchema } from './schema.ts'

/** A target as the schema gives it. */
export type TargetSource = z.output<typeof targetSchema>
/** A route as the schema gives it. */
export type RouteSource = z.output<typeof routeSchema>
/** What both have. */
type Keys = Omit<TargetSource, 'routes'>

/** What does not stand in the source itself. */
export interface TargetPlace {
  readonly name: string
  readonly line: number
  readonly policy: Policy
  /** The public host, without the path of a route. */
  readonly host: string
  /** Of a route. */
  readonly path?: RoutePath
  /** Reads a file that `key` names. @throws GatewayError CONFIG_INVALID, when the key is what is wrong */
  readonly read: (name: string, kind: FileKind, key: readonly string[]) => string
}

const ORIGIN_KEYS = ['protocol', 'hostname', 'port', 'http2', 'tls', 'health'] as const

/** A route with the keys of its target that it does not have itself. An origin of its own is one as a whole. */
export function inherit(target: TargetSource, route: RouteSource): Keys {
  const { routes: _routes, ...base } = target
  const { path: _path, ...own } = route
  const replaced = new Set<string>()
  // An answer of the target does not go before the origin of the route.
  if (own.hostname !== undefined) for (const key of [...ORIGIN_KEYS, 'redirect', 'respond']) replaced.add(key)
  if (own.stripPrefix !== undefined || own.rewrite !== undefined) replaced.add('stripPrefix').add('rewrite')
  if (own.redirect !== undefined || own.respond !== undefined) replaced.add('redirect').add('respond')
  return { ...Object.fromEntries(Object.entries(base).filter(([key]) => !replaced.has(key))), ...own }
}

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T]

const present = <T extends object>(value: T): T | undefined => (Object.values(value).some(each => each !== undefined) ? value : undefined)

/** Of an object, only what is there: a profile is compared by its text. */
const given = <T extends object>(value: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } | undefined => {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return entries.length === 0 ? undefined : Object.freeze(Object.fromEntries(entries))
}

function pathMapOf({ stripPrefix, rewrite }: Keys, path: RoutePath | undefined): PathMap | undefined {
  const own = path?.prefix === undefined ? '' : parsePrefix(path.prefix === '' ? '/' : path.prefix)
  if (typeof rewrite === 'object') return new PatternMap(rewrite.pattern, rewrite.to)
  if (typeof rewrite === 'string') return new PrefixMap(own, parsePrefix(rewrite))
  const strip = stripPrefix === true ? own : typeof stripPrefix === 'string' ? parsePrefix(stripPrefix) : ''
  return strip === '' ? undefined : new PrefixMap(strip, '')
}

type AnswerSource = Exclude<NonNullable<Keys['respond']>, false>

function fixedAnswer(source: AnswerSource, fallbackStatus: number, key: string, read: TargetPlace['read']): FixedAnswer {
  const body = source.file === undefined ? source.body : read(source.file, 'text', [key, 'file'])
  const answer: FixedAnswerSource = { status: source.status ?? fallbackStatus, headers: source.headers, body }
  return createFixedAnswer(answer)
}

function answerOf({ redirect, respond }: Keys, read: TargetPlace['read']): Treatment['answer'] {
  if (redirect !== undefined && redirect !== false) {
    const { to, status } = typeof redirect === 'string' ? { to: redirect, status: undefined } : redirect
    return createRedirect(to, status ?? 302)
  }
  return respond === undefined || respond === false ? undefined : fixedAnswer(respond, 200, 'respond', read)
}

const basicAuthOf = ({ basicAuth }: Keys, host: string): BasicAuth | undefined =>
  basicAuth === undefined || basicAuth === false
    ? undefined
    : Object.freeze({
        realm: basicAuth.realm ?? host.replace(/[^\x20-\x7e]|["\\]/g, '?'),
        users: new Map(Object.entries(basicAuth.users)),
        forwards: basicAuth.forward ?? false,
      })

function limitsOf({ limits }: Keys): TargetLimits | undefined {
  if (limits === undefined) return undefined
  const { body: bodyBytes, concurrency, rate } = limits
  const perSecond = rate?.perSecond ?? 0
  return present({
    bodyBytes,
    concurrency,
    rate:
      rate === undefined
        ? undefined
        : Object.freeze({
            perSecond,
            burst: rate.burst ?? Math.max(1, Math.ceil(perSecond)),
            header: rate.header?.toLowerCase(),
          }),
  })
}

function treatmentOf(source: Keys, facts: TargetPlace, limits: TargetLimits | undefined): Treatment | undefined {
  const treatment: Treatment = {
    allow: source.allow === undefined ? undefined : new AddressRanges(listOf(source.allow)),
    deny: source.deny === undefined ? undefined : new AddressRanges(listOf(source.deny)),
    basicAuth: basicAuthOf(source, facts.host),
    rate: limits?.rate,
    concurrency: limits?.concurrency,
    answer: answerOf(source, facts.read),
    pathMap: pathMapOf(source, facts.path),
    requestFields: compileFieldEdits(source.headers?.request),
    responseFields: compileFieldEdits(source.headers?.response),
    preserveHost: source.preserveHost ?? false,
    removeCsps: source.removeCsps,
  }
  const { preserveHost, ...rest } = treatment
  return preserveHost || present(rest) !== undefined ? Object.freeze(treatment) : undefined
}

function balanceOf({ balance, identifier }: Keys, host: string): Balance | undefined {
  if (balance === undefined || balance === 'least') return undefined
  if (balance === 'round-robin') return Object.freeze({ kind: 'round-robin' })
  if (typeof balance === 'object' && 'header' in balance) return Object.freeze({ kind: 'header', name: balance.header.toLowerCase() })
  return Object.freeze({
    kind: 'cookie',
    name: balance === 'sticky' ? `sg-${hashOf([host, ...listOf(identifier)].join('\n'))}` : balance.cookie,
  })
}

/** FNV-1a: routes of one host share a cookie when they have the same inner layers, and only then. */
const hashOf = (text: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0
  return hash.toString(36)
}

/** What holds when the file says nothing. */
export const DEFAULT_HEALTH: Health = Object.freeze({ check: undefined, failures: 5, ejectMs: 10_000 })

function healthOf({ health }: Keys): Health | undefined {
  if (health === undefined) return undefined
  if (health === false) return Object.freeze({ ...DEFAULT_HEALTH, failures: 0 })
  const { path, interval = 10_000, timeout = 5_000, unhealthy = 3, healthy = 2 } = health
  return Object.freeze({
    check: path === undefined ? undefined : Object.freeze({ path, intervalMs: interval, timeoutMs: timeout, unhealthy, healthy }),
    failures: health.failures ?? DEFAULT_HEALTH.failures,
    ejectMs: health.eject ?? DEFAULT_HEALTH.ejectMs,
  })
}

const retriesOf = ({ retries }: Keys): Retries | undefined => {
  if (retries === undefined) return undefined
  const { attempts = 2, budget = 20 } = retries === false ? { attempts: 0, budget: 1 } : retries
  return Object.freeze({ attempts, budgetPercent: budget })
}

function tlsOf({ tls }: Keys, read: TargetPlace['read']): OriginTls | undefined {
  if (tls === undefined) return undefined
  return given({
    ca: tls.ca === undefined ? undefined : read(tls.ca, 'certificate', ['tls', 'ca']),
    servername: tls.servername,
    verify: tls.verify === false ? false : undefined,
    certificate: tls.certificate === undefined ? undefined : read(tls.certificate, 'certificate', ['tls', 'certificate']),
    key: tls.key === undefined ? undefined : read(tls.key, 'private key', ['tls', 'key']),
  })
}

function profileOf(source: Keys, read: TargetPlace['read']): OriginProfile | undefined {
  const { connect: connectMs, head: headMs, idle: idleMs } = source.timeouts ?? {}
  return given({
    http2: source.http2 === true ? true : undefined,
    tls: tlsOf(source, read),
    timeouts: given({ connectMs, headMs, idleMs }),
  })
}

/** Makes a target, or a route with the keys that it has inherited. */
export function createTarget(source: Keys, facts: TargetPlace): Target {
  const { name, line, policy, path, read } = facts
  const protocol = source.protocol ?? 'https'
  const limits = limitsOf(source)
  const health = healthOf(source)
  const profile = profileOf(source, read)
  const { maintenance, upgrades } = source
  const identifiers = source.identifier === undefined ? undefined : Object.freeze([...new Set(listOf(source.identifier))])
  return {
    name,
    line,
    protocol,
    hostname: source.hostname === undefined ? '' : parseOriginHost(source.hostname),
    port: source.port ?? (protocol === 'https' ? 443 : 80),
    policy,
    identifiers,
    routes: undefined,
    path,
    treatment: treatmentOf(source, facts, limits),
    balance: balanceOf(source, facts.host),
    health,
    retries: retriesOf(source),
    maintenance: maintenance === undefined || maintenance === false ? undefined : fixedAnswer(maintenance, 503, 'maintenance', read),
    profile,
    timeouts: profile?.timeouts,
    limits,
    upgrades: upgrades === false ? [] : upgrades?.map(each => each.toLowerCase()),
  }
}
