/** Which listeners take a route, and for which hosts. */
import { GATEWAY_GROUP, type HttpRoute, type LabelSelector, type Namespace, type ParentRef } from './objects.ts'
import { NotDone } from './conditions.ts'
import type { GatewayState, ListenerState } from './listeners.ts'

/** A route at a parent of ours. */
export interface Attachment {
  readonly parentRef: ParentRef
  /** Those that take it, by their names. */
  readonly listeners: readonly string[]
  /** As keys of targets: exact hosts, `**.x`, or `*`. */
  readonly hosts: readonly string[]
}

/** `namespace/name` of the Gateway that is meant; undefined: another kind of thing. */
export const gatewayOf = ({ group = GATEWAY_GROUP, kind = 'Gateway', namespace, name }: ParentRef, route: HttpRoute): string | undefined =>
  group === GATEWAY_GROUP && kind === 'Gateway' ? `${namespace ?? route.metadata.namespace ?? ''}/${name}` : undefined

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements */
function isSelected({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: ReadonlyMap<string, string>): boolean {
  const isMet = ({ key, operator, values = [] }: NonNullable<LabelSelector['matchExpressions']>[number]): boolean => {
    const value = labels.get(key)
    if (operator === 'In') return value !== undefined && values.includes(value)
    if (operator === 'NotIn') return value === undefined || !values.includes(value)
    if (operator === 'Exists') return value !== undefined
    return operator === 'DoesNotExist' && value === undefined
  }
  return Object.entries(matchLabels).every(([key, value]) => labels.get(key) === value) && matchExpressions.every(isMet)
}

function isAllowed({ listener }: ListenerState, gateway: string, route: string, namespaces: ReadonlyMap<string, Namespace>): boolean {
  const { from = 'Same', selector } = listener.allowedRoutes?.namespaces ?? {}
  if (from === 'All') return true
  if (from === 'Same') return gateway === route
  if (from !== 'Selector' || selector === undefined) return false
  const labels = namespaces.get(`/${route}`)?.metadata.labels
  return labels !== undefined && isSelected(selector, new Map(Object.entries(labels)))
}

const isWildcard = (host: string): boolean => host.startsWith('*.')

/** Hosts that both mean; the star stands for any number of labels. */
function common(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined || a === b) return a ?? b
  if (isWildcard(a) && b.endsWith(a.slice(1))) return b
  if (isWildcard(b) && a.endsWith(b.slice(1))) return a
  return undefined
}

/** The star of a hostname stands for any number of labels, as two stars of a target do. */
const targetHost = (hostname: string): string => (isWildcard(hostname) ? `*${hostname}` : hostname)

function hostsOf(route: HttpRoute, listeners: readonly ListenerState[]): readonly string[] {
  const wanted = route.spec?.hostnames ?? []
  const hosts = new Set<string>()
  for (const { listener } of listeners) {
    const own = listener.hostname === '' ? undefined : listener.hostname
    if (wanted.length === 0) hosts.add(own ?? '*')
    for (const host of wanted) {
      const both = common(own, host)
      if (both !== undefined) hosts.add(both)
    }
  }
  return [...hosts].map(host => targetHost(host.toLowerCase()))
}

/**
 * Attaches a route to a parent.
 * @throws NotDone with the reason why no listener takes it, or why the hosts cannot be had
 */
export function attach(
  route: HttpRoute,
  parentRef: ParentRef,
  { gateway, listeners }: GatewayState,
  namespaces: ReadonlyMap<string, Namespace>,
): Attachment {
  const { sectionName, port } = parentRef
  const named = listeners.filter(
    ({ listener }) => (sectionName === undefined || listener.name === sectionName) && (port === undefined || listener.port === port),
  )
  if (named.length === 0) throw new NotDone('NoMatchingParent', 'the Gateway has no such listener')
  const fit = named.filter(({ takesRoutes }) => takesRoutes)
  if (fit.length === 0) throw new NotDone('NotAllowedByListeners', 'its listeners take no HTTPRoutes; see their supportedKinds')
  const meant = fit.filter(({ isAccepted }) => isAccepted)
  if (meant.length === 0) throw new NotDone('NoMatchingParent', 'none of its listeners is accepted; see their conditions')
  const allowed = meant.filter(listener =>
    isAllowed(listener, gateway.metadata.namespace ?? '', route.metadata.namespace ?? '', namespaces),
  )
  if (allowed.length === 0)
    throw new NotDone('NotAllowedByListeners', 'allowedRoutes of the listeners do not let routes of this namespace in')
  const taking = allowed.filter(listener => hostsOf(route, [listener]).length > 0)
  if (taking.length === 0) throw new NotDone('NoMatchingListenerHostname', 'no hostname of it is one of a listener')
  // One that is accepted and not programmed has its routes, and serves none of them.
  const hosts = hostsOf(
    route,
    taking.filter(({ isUsable }) => isUsable),
  )
  return { parentRef, listeners: taking.map(({ listener }) => listener.name), hosts }
}
