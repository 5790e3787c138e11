/** What the keys of a target do with a request, in words: for `targets explain`. */
import { expand } from '../http/template.ts'
import type { FieldEdits } from '../http/field-edits.ts'
import { locationOf } from './fixed-answer.ts'
import type { Balance, Target, Treatment } from './target.ts'

/** A key and what it does. */
export type Effect = readonly [key: string, text: string]

/** A request as far as the effects depend on it. */
export interface EffectRequest {
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly query: string
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const seconds = (ms: number): string => (ms % 1_000 === 0 ? `${ms / 1_000} s` : `${ms} ms`)

const BALANCES: { readonly [Kind in Balance['kind']]: string } = {
  least: 'the inner layer with the least outstanding bytes',
  'round-robin': 'each inner layer in turn',
  cookie: 'the inner layer that the cookie names',
  header: 'the same inner layer for the same value of',
}

/** Fields as they come, with what stands for the variables. */
function* fieldEffects(key: string, edits: FieldEdits | undefined): Generator<Effect> {
  if (edits === undefined) return
  const added = new Set(edits.added.map(([name]) => name.toLowerCase()))
  const removed = [...edits.removed].filter(name => !added.has(name))
  if (removed.length > 0) yield [key, `without ${removed.join(', ')}`]
  const placeholders = { client: '${client}', host: '${host}', scheme: '${scheme}' }
  for (const [name, value] of edits.added) yield [key, `${name}: ${expand(value, placeholders)}`]
}

function* accessEffects({ allow, deny, basicAuth, rate, concurrency }: Treatment): Generator<Effect> {
  if (deny !== undefined && deny.entries.length > 0) yield ['deny', `not from ${deny.entries.join(', ')}`]
  if (allow !== undefined) yield ['allow', allow.entries.length === 0 ? 'from nowhere' : `only from ${allow.entries.join(', ')}`]
  if (rate !== undefined) {
    const by = rate.header === undefined ? 'each address' : `each value of ${rate.header}`
    yield ['limits.rate', `${rate.perSecond} a second for ${by}, ${rate.burst} at once`]
  }
  if (basicAuth !== undefined) {
    const forwards = basicAuth.forwards ? ', Authorization goes on to the origin' : ''
    yield ['basicAuth', `a password of ${counted(basicAuth.users.size, 'user')}, realm "${basicAuth.realm}"${forwards}`]
  }
  if (concurrency !== undefined) yield ['limits.concurrency', `${counted(concurrency, 'request')} at the same time`]
}

function* treatmentEffects(treatment: Treatment, request: EffectRequest): Generator<Effect> {
  yield* accessEffects(treatment)
  const { answer, pathMap, preserveHost, removeCsps } = treatment
  if (answer?.kind === 'redirect') yield ['redirect', `${answer.status} ${locationOf(answer, { ...request })}`]
  if (answer?.kind === 'respond') yield ['respond', `${answer.status}, ${counted(Buffer.byteLength(answer.body), 'byte')}`]
  if (pathMap !== undefined) yield ['path', pathMap.text]
  if (preserveHost) yield ['preserveHost', `Host is ${request.host}`]
  yield* fieldEffects('headers.request', treatment.requestFields)
  yield* fieldEffects('headers.response', treatment.responseFields)
  if (removeCsps !== undefined) yield ['removeCsps', removeCsps ? 'without Content-Security-Policy' : 'Content-Security-Policy stays']
}

function* profileEffects({ profile, limits, health, retries }: Target): Generator<Effect> {
  const { timeouts, tls, http2 } = profile ?? {}
  if (limits?.bodyBytes !== undefined) yield ['limits.body', `at most ${counted(limits.bodyBytes, 'byte')}`]
  if (timeouts?.connectMs !== undefined) yield ['timeouts.connect', seconds(timeouts.connectMs)]
  if (timeouts?.headMs !== undefined) yield ['timeouts.head', seconds(timeouts.headMs)]
  if (timeouts?.idleMs !== undefined) yield ['timeouts.idle', timeouts.idleMs === 0 ? 'for ever' : seconds(timeouts.idleMs)]
  if (http2 === true) yield ['http2', 'HTTP/2 to the origin']
  if (tls !== undefined) {
    const name = tls.servername === undefined ? [] : [`as ${tls.servername}`]
    const own = tls.certificate === undefined ? [] : ['with a client certificate']
    const trust = tls.verify === false ? 'NOT verified' : tls.ca === undefined ? 'verified as usual' : 'verified with its own ca'
    yield ['tls', [trust, ...name, ...own].join(', ')]
  }
  if (health?.check !== undefined) {
    const { path, intervalMs, timeoutMs, unhealthy, healthy } = health.check
    yield [
      'health',
      `asks for ${path} each ${seconds(intervalMs)}, ${seconds(timeoutMs)} long; ${unhealthy} failures, ${healthy} successes`,
    ]
  }
  if (health !== undefined)
    yield [
      'health',
      health.failures === 0 ? 'no ejection' : `ejected after ${counted(health.failures, 'failure')} for ${seconds(health.ejectMs)}`,
    ]
  if (retries !== undefined)
    yield [
      'retries',
      retries.attempts === 0 ? 'nothing is repeated' : `up to ${retries.attempts}, for ${retries.budgetPercent} % of the requests`,
    ]
}

/** The effects of every key but origin, policy and identifier, in the order in which a request meets them. */
export function effectsOf(target: Target, request: EffectRequest): readonly Effect[] {
  const effects: Effect[] = []
  if (target.treatment !== undefined) effects.push(...treatmentEffects(target.treatment, request))
  if (target.hostname === '' || target.treatment?.answer !== undefined) return effects
  const { balance, maintenance, upgrades } = target
  effects.push(...profileEffects(target))
  if (upgrades !== undefined) effects.push(['upgrades', upgrades.length === 0 ? 'none' : upgrades.join(', ')])
  if (balance !== undefined) effects.push(['balance', `${BALANCES[balance.kind]}${'name' in balance ? ` ${balance.name}` : ''}`])
  if (maintenance !== undefined) effects.push(['maintenance', `${maintenance.status} while no inner layer is connected`])
  return effects
}
