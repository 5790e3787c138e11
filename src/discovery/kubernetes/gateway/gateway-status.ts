import type { KubeClient } from '../kube-client.ts'
import type { KubeObject } from '../objects.ts'
import { StatusWriter } from '../status-writer.ts'
import type { RefusedService } from '../../found.ts'
import { withTimes } from './conditions.ts'
import { GATEWAY_GROUP, type Condition, type Gateway, type HttpRoute, type RouteParentStatus } from './objects.ts'
import type { GatewayFindings, GatewayObjects } from './read-gateways.ts'

/** The objects, and their status to be. */
export interface GatewayNews {
  readonly objects: GatewayObjects
  readonly findings: GatewayFindings
  /** Of what was found: hosts that cannot be published among them. */
  readonly refused: readonly RefusedService[]
}

/** Texts that are the same when all of it is, whatever the order of keys. */
const text = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )

const sameParent = (a: RouteParentStatus, b: RouteParentStatus): boolean => text(a.parentRef) === text(b.parentRef)

/** Writes the status of Gateways, their classes and routes, where it is another one than that which stands there. */
export class GatewayStatus {
  readonly #writer: StatusWriter<GatewayNews>

  /** @param now  milliseconds since 1970 */
  constructor(
    private readonly client: KubeClient,
    private readonly controller: string,
    trouble: (error: unknown) => void,
    private readonly now: () => number,
  ) {
    this.#writer = new StatusWriter(news => this.#steps(news), trouble)
  }

  /** Puts down what is new; what could not be written is tried again. */
  apply(news: GatewayNews): void {
    this.#writer.apply(news)
  }

  /** Writes what is under way, and nothing after it. */
  close(): Promise<void> {
    return this.#writer.close()
  }

  *#steps(news: GatewayNews): Generator<() => Promise<unknown>> {
    for (const [path, object, status] of this.#wanted(news)) yield () => this.#patch(path, object, status)
  }

  #patch(path: string, { metadata: { resourceVersion } }: KubeObject, status: object): Promise<unknown> {
    // With the version, since lists are replaced as a whole: what others have put in meanwhile is not taken away.
    const body = { metadata: { resourceVersion }, status }
    return this.client.call(`/apis/${GATEWAY_GROUP}/v1/${path}/status`, { method: 'PATCH', body, signal: new AbortController().signal })
  }

  *#wanted({ objects, findings, refused }: GatewayNews): Generator<readonly [path: string, object: KubeObject, status: object]> {
    for (const [key, { conditions, supportedFeatures }] of findings.classes) {
      const object = objects.classes.get(key)
      const status = { conditions: this.#timed(conditions, object?.status?.conditions), supportedFeatures }
      if (object !== undefined && !isIn(status, object.status)) yield [`gatewayclasses/${object.metadata.name}`, object, status]
    }
    for (const key of findings.gateways.keys()) {
      const object = objects.gateways.get(key)
      if (object === undefined) continue
      const status = this.#gatewayStatus(key, object, findings)
      if (!isIn(status, object.status)) yield [pathOf('gateways', object), object, status]
    }
    for (const [key, object] of objects.routes) {
      const parents = this.#parents(object, withRefusals(key, findings, refused))
      if (text(parents) !== text(object.status?.parents ?? [])) yield [pathOf('httproutes', object), object, { parents }]
    }
  }

  #timed(wanted: readonly Condition[], present: readonly Condition[] | undefined): readonly Condition[] {
    return withTimes(wanted, present, new Date(this.now()).toISOString().replace(/\.\d+Z$/, 'Z'))
  }

  #gatewayStatus(key: string, { status }: Gateway, { gateways }: GatewayFindings): object {
    const { state, attached } = gateways.get(key)!
    const before = new Map((status?.['listeners'] as ListenerStatus[] | undefined)?.map(each => [each.name, each]))
    return {
      conditions: this.#timed(state.conditions, status?.['conditions'] as readonly Condition[] | undefined),
      ...(state.addresses.length > 0 && { addresses: state.addresses }),
      listeners: state.listeners.map(({ listener: { name }, takesRoutes, conditions }) => ({
        name,
        supportedKinds: takesRoutes ? [{ group: GATEWAY_GROUP, kind: 'HTTPRoute' }] : [],
        attachedRoutes: attached.get(name) ?? 0,
        conditions: this.#timed(conditions, before.get(name)?.conditions),
      })),
    }
  }

  /** Those of others stay, and ours of before go when they are none any more. */
  #parents({ status }: HttpRoute, wanted: readonly RouteParentStatus[]): readonly RouteParentStatus[] {
    const present = status?.parents ?? []
    const others = present.filter(({ controllerName }) => controllerName !== this.controller)
    const own = wanted.map(parent => {
      const old = present.find(each => each.controllerName === this.controller && sameParent(each, parent))
      return { ...parent, conditions: this.#timed(parent.conditions, old?.conditions) }
    })
    return [...others, ...own]
  }
}

interface ListenerStatus {
  readonly name: string
  readonly conditions?: readonly Condition[]
}

const pathOf = (kind: string, { metadata: { namespace = '', name } }: KubeObject): string =>
  `namespaces/${encodeURIComponent(namespace)}/${kind}/${encodeURIComponent(name)}`

/** Does it stand there already, whatever else does? */
const isIn = (status: object, present: Readonly<Record<string, unknown>> | undefined): boolean =>
  Object.entries(status).every(([key, value]) => text(value) === text(present?.[key]))

/** A host that is right in itself may be refused where it is published: others have it, or it may not be had. */
function withRefusals(key: string, { routes, owners }: GatewayFindings, refused: readonly RefusedService[]): readonly RouteParentStatus[] {
  const parents = routes.get(key) ?? []
  const own = refused.filter(({ name }) => owners.get(name)?.has(key) === true)
  if (own.length === 0) return parents
  const message = own.map(({ reason }) => reason).join('; ')
  const refuse = (each: Condition): Condition =>
    each.type === 'Accepted' ? { ...each, status: 'False', reason: 'HostRefused', message: message.slice(0, 1_000) } : each
  return parents.map(parent => ({ ...parent, conditions: parent.conditions.map(refuse) }))
}
