import type { CertificateStatus, InnerLayerStatus, OwnStatus, ServiceStatus, TargetStatus } from '../admin/status.ts'
import { ownAnswerOf } from '../route/own-answer.ts'
import { originOf, type Target } from '../route/table.ts'
import { addressOf, type TcpPort } from '../route/tcp-port.ts'
import type { ServerPair } from '../tls/server-pair.ts'
import type { InnerConnection } from './inner-layers/registry.ts'
import { overruledTargets } from './events/overruled-targets.ts'
import type { OperatorViewOptions } from './operator-context.ts'

/** Rows of each kind: a page that is read in one piece. */
const MAX_ROWS = 1_000
/** Rows of tunnels of the service, which are not the operator's. */
const MAX_TUNNELS = 100
/** Rules of each target. */
const MAX_RULES = 20

/** Returns the part that an outer layer adds to its status, read when somebody asks. */
export function statusOf(options: OperatorViewOptions): OwnStatus {
  const { registry, targets, startedAt, keys, requests, openRequests, ports, tcp, tunnels, certificates, sightings } = options
  const { table } = targets
  const overruled = new Map(overruledTargets(table, options).map(({ target, owner }) => [target, owner]))
  return {
    layer: 'outer',
    ports: ports(),
    innerLayers: registry.operators.map(connection => innerStatus(connection, keys)),
    service:
      options.directory === undefined
        ? null
        : {
            sockets: options.directory.size,
            fault: options.directory.fault ?? null,
            tunnels: registry.tunnelCount,
            firstTunnels: registry.tunnels.slice(0, MAX_TUNNELS).map(connection => innerStatus(connection, keys)),
          },
    targets: shownTargets(options).map(target => targetStatus(target, options, overruled)),
    targetsOmitted: Math.max(0, table.all.length - MAX_ROWS),
    reload: {
      file: targets.file ?? 'made in code',
      loadedAt: (targets.loadedAt ?? startedAt).toISOString(),
      fault: targets.fault?.message ?? null,
    },
    keys: { inForce: keys.registry.size, faults: keys.faults?.map(({ message }) => message) ?? [] },
    requests: { inFlight: openRequests(), repeats: requests.repeats },
    tcp: {
      ports: tcp.ports,
      connections: tcp.openConnections,
      faults: [...tcp.faults, ...tcp.clientFaults],
      services: [
        ...table.blind.flatMap(({ options: { key, routes } }) => routes.map(route => ({ name: `blind ${key}`, route }))),
        ...table.tcp.flatMap(port => port.options.routes.map(route => ({ name: nameOf(port, route.name), route }))),
      ]
        .slice(0, MAX_ROWS)
        .map(({ name, route }) => serviceStatus(name, route, options)),
    },
    tunnels: {
      connections: tunnels.openConnections,
      services: [...table.tunnels.values()].slice(0, MAX_ROWS).map(tunnel => serviceStatus(tunnel.name, tunnel, options)),
    },
    refused: sightings.refused.map(({ value, count, atMs }) => ({ ...value, count, at: isoOf(atMs) })),
    unknownHosts: sightings.unknownHosts.map(({ value, count, atMs }) => ({ host: value, count, at: isoOf(atMs) })),
    certificates: {
      inForce: certificates.flatMap(({ pairs }) => pairs.map(certificateStatus)),
      faults: certificates.flatMap(({ faults }) => faults.map(({ message }) => message)),
    },
  }
}

/** All targets, or of very many those that requests have come for, then the first of the others. */
function shownTargets({ targets: { table }, requests }: OperatorViewOptions): readonly Target[] {
  if (table.all.length <= MAX_ROWS) return table.all
  const isAsked = (target: Target): boolean => requests.targets.has(target.name)
  const asked = table.all.filter(isAsked).slice(0, MAX_ROWS)
  const others = table.all.slice(0, MAX_ROWS).filter(target => !isAsked(target))
  return [...asked, ...others].slice(0, MAX_ROWS)
}

const isoOf = (ms: number): string => new Date(ms).toISOString()

/** The file of a key of the operator. */
function keyFileOf(kid: string, { registry }: OperatorViewOptions['keys']): string | null {
  const key = registry.get(kid)
  return key === undefined || key.grant !== undefined ? null : key.source
}

const innerStatus = (
  { identifier, address, agent, kid, since, node, session }: InnerConnection,
  keys: OperatorViewOptions['keys'],
): InnerLayerStatus => ({
  identifier,
  address,
  agent,
  key: kid,
  keyFile: keyFileOf(kid, keys),
  since: since.toISOString(),
  ...(node !== undefined && { node }),
  roundTripMs: session.roundTripMs,
  streams: session.streamCount,
  outstandingBytes: session.outstandingBytes,
})

const certificateStatus = ({ source, names, notAfter }: ServerPair): CertificateStatus => ({
  file: source,
  names,
  notAfter: isoOf(notAfter),
})

const nameOf = ({ options: { port, tls } }: TcpPort, name: string): string =>
  tls === 'none' || name === '*' ? `${port}` : `${name}:${port}`

const servingOf = (identifiers: readonly string[] | undefined, { registry }: OperatorViewOptions): readonly InnerConnection[] =>
  identifiers === undefined
    ? registry.operators.filter(({ isEnrolled }) => isEnrolled !== true)
    : registry.serves({ identifiers })
      ? registry.operators.filter(({ identifier }) => identifiers.includes(identifier))
      : []

interface Service {
  readonly hostname: string
  readonly port: number
  readonly identifiers: readonly string[] | undefined
}

function serviceStatus(name: string, service: Service, options: OperatorViewOptions): ServiceStatus {
  const origin = addressOf(service)
  const numbers = options.connections.targets.get(origin)
  return {
    name,
    origin,
    identifiers: service.identifiers ?? null,
    innerLayers: servingOf(service.identifiers, options).length,
    ended: numbers?.connections ?? 0,
    errors: numbers?.errors ?? 0,
  }
}

/** Returns the line in the file; null for a target made in code, which has line 0. */
const lineOf = ({ line }: { readonly line: number }): number | null => (line > 0 ? line : null)

function targetStatus(target: Target, options: OperatorViewOptions, overruled: ReadonlyMap<Target, string>): TargetStatus {
  const { health, requests } = options
  const serving = servingOf(target.identifiers, options)
  const avoided = health.isEmpty ? [] : serving.filter(connection => health.isAvoided(target, connection))
  const metrics = requests.targets.get(target.name)
  const lastError = metrics?.lastError
  const owner = overruled.get(target)
  const answer = owner === undefined ? ownAnswerOf(target) : `not in force: the host is ${owner}, which what is found cannot have`
  const { rules } = target.policy
  const check = target.health?.check
  const isKnown = metrics !== undefined && metrics.requestCount > metrics.errorCount
  return {
    host: target.name,
    line: lineOf(target),
    policy: rules.slice(0, MAX_RULES).map(rule => ({ pattern: rule.pattern, methods: rule.methods, line: lineOf(rule) })),
    policyOmitted: Math.max(0, rules.length - MAX_RULES),
    origin: answer === undefined ? originOf(target) : null,
    answer: answer ?? null,
    identifiers: target.identifiers ?? null,
    innerLayers: serving.length,
    healthCheck: check === undefined ? null : { path: check.path, intervalMs: check.intervalMs },
    health: answer !== undefined || serving.length === 0 ? null : avoided.length > 0 ? 'not well' : isKnown ? 'well' : null,
    avoided: [...new Set(avoided.map(({ identifier }) => identifier))],
    requests: metrics?.requestCount ?? 0,
    errors: metrics?.errorCount ?? 0,
    lastError: lastError === undefined ? null : { code: lastError.code, reason: lastError.reason ?? null, at: isoOf(lastError.atMs) },
  }
}
