import type { Readiness } from '../admin/health.ts'
import { ownAnswerOf } from '../route/own-answer.ts'
import type { RouteTable } from '../route/table.ts'
import { plural } from '../telemetry/plural.ts'
import type { OperatorViewOptions } from './operator-context.ts'

/** A range of ports can be long, and this is one line of a health page. */
const MAX_LISTED = 10

/**
 * Is the outer layer of use, and what is wrong beside that? Anybody can ask, so it names no file, host or inner layer: those are for the
 * log and the status.
 */
export function readinessOf({
  isDraining,
  targets,
  registry,
  tcp,
  certificates,
  keys,
  directory,
  cluster,
}: OperatorViewOptions): Readiness {
  const reasons: string[] = []
  const degraded: string[] = []
  if (isDraining()) reasons.push('shutting down')
  const wanted = wantedOf(targets.table)
  const missed = wanted.filter(({ identifiers }) => !registry.serves({ identifiers })).length
  // Without targets of its own it is there for sockets, whose tunnels are no business of the operator.
  const answersItself = wanted.length === 0 && (targets.table.targets.length > 0 || directory !== undefined)
  if (!registry.hasOperators && !answersItself) reasons.push('no inner layer is connected')
  else if (missed > 0 && missed === wanted.length) reasons.push('no inner layer that any target wants is connected')
  else if (missed > 0)
    degraded.push(
      `${plural(missed, 'target wants an inner layer', 'targets want inner layers')} that ${missed === 1 ? 'is' : 'are'} not connected`,
    )
  if (targets.fault !== undefined) degraded.push('the targets file is not valid; the last good one is in force')
  if (certificates.some(store => store.faults.length > 0)) degraded.push('a TLS certificate is not valid; the last good one is in force')
  const faults = keys.faults?.length ?? 0
  if (faults > 0) degraded.push(`${plural(faults, 'public key is', 'public keys are')} not in force`)
  if (directory?.fault !== undefined) degraded.push(directory.fault)
  if (cluster?.fault !== undefined) degraded.push('the store of the cluster does not answer; what was known is in force')
  if (tcp.faults.length > 0) degraded.push(tcpFaultOf(tcp.missing))
  if (tcp.clientFaults.length > 0) degraded.push('authorities of clients of TCP ports are not valid; the last good ones are in force')
  return { reasons, degraded }
}

/** Everything that only an inner layer can serve: targets and routes with an origin, blind names, TCP ports, tunnels. */
const wantedOf = ({ all, blind, tcp, tunnels }: RouteTable): readonly { readonly identifiers: readonly string[] | undefined }[] => [
  ...all.filter(target => ownAnswerOf(target) === undefined),
  ...blind.flatMap(({ options }) => options.routes),
  ...tcp.flatMap(({ options }) => options.routes),
  ...tunnels.values(),
]

/** @param missing  ports that are not open; none where open ones could not take over what the file says */
function tcpFaultOf(missing: readonly number[]): string {
  const { length } = missing
  if (length === 0) return 'TCP ports with TLS are not as the file says; what was good last is in force'
  const listed = missing.slice(0, MAX_LISTED).join(', ')
  return `${plural(length, 'TCP port is', 'TCP ports are')} not open: ${listed}${length > MAX_LISTED ? ', …' : ''}`
}
