/** A cluster with Gateways and HTTPRoutes, read. */
import { parseTargets } from '../../src/config/targets.ts'
import type { CertificateBook } from '../../src/discovery/kubernetes/certificates/certificate-book.ts'
import { readGateways } from '../../src/discovery/kubernetes/gateway/read-gateways.ts'
import type { Gateway, GatewayClass, HttpRoute, Namespace, ReferenceGrant } from '../../src/discovery/kubernetes/gateway/objects.ts'
import { keyOf, type KubeObject, type KubeService } from '../../src/discovery/kubernetes/objects.ts'

export const CONTROLLER = 'socket-gateway/gateway-controller'

export type Spec = Record<string, unknown>

export const meta = (name: string, namespace = 'default', age = 0) => ({
  name,
  namespace,
  generation: 3,
  creationTimestamp: `2026-01-01T00:00:0${age}Z`,
})
const byKey = <Kind extends KubeObject>(objects: readonly Kind[]): ReadonlyMap<string, Kind> =>
  new Map(objects.map(each => [keyOf(each), each]))
export const service = (name: string, namespace = 'default', port: Spec = {}): KubeService => ({
  metadata: meta(name, namespace),
  spec: { ports: [{ port: 80, ...port }] },
})
export const LISTENER = { name: 'web', port: 80, protocol: 'HTTP' }
export const gateway = (spec: Spec = {}, metadata = meta('edge')) =>
  ({ metadata, spec: { gatewayClassName: 'ours', listeners: [LISTENER], ...spec } }) as Gateway
export const route = (
  rules: readonly Spec[],
  { name = 'r', namespace = 'default', age = 0, ...spec }: Spec & { name?: string; namespace?: string; age?: number } = {},
) =>
  ({
    metadata: meta(name, namespace, age),
    spec: { parentRefs: [{ name: 'edge', namespace: 'default' }], hostnames: ['a.example.com'], rules, ...spec },
  }) as HttpRoute
export const to = (name: string, more: Spec = {}) => ({ backendRefs: [{ name, port: 80, ...more }] })
export const at = (value: string, type = 'PathPrefix', more: Spec = {}) => ({ path: { type, value }, ...more })

export interface World {
  readonly classes?: readonly GatewayClass[]
  readonly gateways?: readonly Gateway[]
  readonly grants?: readonly ReferenceGrant[]
  readonly namespaces?: readonly Namespace[]
  readonly services?: readonly KubeService[]
  readonly addresses?: readonly string[]
  /** Certificates of Secrets; absent: they are not read. */
  readonly book?: CertificateBook
}

export const OURS: GatewayClass = { metadata: { name: 'ours', generation: 1 }, spec: { controllerName: CONTROLLER } }

/** `routes` of each host, and the conditions that are not as they should be. */
export const read = (routes: readonly HttpRoute[], world: World = {}) => {
  const { classes = [OURS], gateways = [gateway()], grants = [], namespaces = [], addresses = [] } = world
  const { services = [service('web'), service('api'), service('other', 'team')] } = world
  const objects = { classes, gateways, grants, namespaces, services, routes }
  const all = Object.fromEntries(Object.entries(objects).map(([kind, list]) => [kind, byKey(list as readonly KubeObject[])]))
  const findings = readGateways(all as unknown as Parameters<typeof readGateways>[0], {
    controller: CONTROLLER,
    addresses,
    domain: undefined,
    book: world.book,
  })
  for (const { host, target } of findings.hosts) parseTargets(JSON.stringify({ targets: { [host]: target } }), 'test')
  const wrong = (conditions: readonly { type: string; status: string; reason: string; message: string }[]) =>
    Object.fromEntries(
      conditions
        .filter(({ type, status }) => status !== (type === 'Conflicted' ? 'False' : 'True'))
        .map(({ type, reason, message }) => [type, `${reason}: ${message}`]),
    )
  const hosts = Object.fromEntries(findings.hosts.map(({ host, target }) => [host, target['routes'] as readonly Spec[]]))
  const states = new Map([...findings.routes].map(([key, parents]) => [key, parents.map(({ conditions }) => wrong(conditions))]))
  const gatewayOf = (key = 'default/edge') => {
    const { state, attached } = findings.gateways.get(key)!
    return { gateway: wrong(state.conditions), listeners: state.listeners.map(each => wrong(each.conditions)), attached, state }
  }
  return { hosts, findings, states, gatewayOf, stateOf: (key = 'default/r') => states.get(key) }
}
