import type { RefusedService } from '../../found.ts'
import type { KubeClient } from '../kube-client.ts'
import { postEvent, type ObjectEvent } from '../object-event.ts'
import { isIp } from '../objects.ts'
import { StatusWriter } from '../status-writer.ts'
import { INGRESS_API, type Ingress, type IngressAddress } from './objects.ts'
import type { IngressFindings, IngressObjects, IngressState } from './read-ingresses.ts'

/** The objects, and what became of them. */
export interface IngressNews {
  readonly objects: Pick<IngressObjects, 'ingresses'>
  readonly findings: IngressFindings
  /** Of what was found: hosts that cannot be published among them. */
  readonly refused: readonly RefusedService[]
}

/** Everything that they need. */
export interface IngressStatusOptions {
  readonly client: KubeClient
  /** Of the outer layers: what a published Ingress gets. */
  readonly addresses: readonly string[]
  readonly trouble: (error: unknown) => void
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** An Ingress has no conditions: the address says that it is served, and events say why it is not. */
export class IngressStatus {
  readonly #address: readonly IngressAddress[]
  /** The last words about each, by key. */
  readonly #told = new Map<string, string>()
  readonly #writer: StatusWriter<IngressNews>

  constructor(private readonly options: IngressStatusOptions) {
    this.#address = options.addresses.map(value => (isIp(value) ? { ip: value } : { hostname: value }))
    this.#writer = new StatusWriter(news => this.#steps(news), options.trouble)
  }

  /** Puts down what is new; what could not be written is tried again. */
  apply(news: IngressNews): void {
    this.#writer.apply(news)
  }

  /** Writes what is under way, and nothing after it. */
  close(): Promise<void> {
    return this.#writer.close()
  }

  *#steps(news: IngressNews): Generator<() => Promise<void>> {
    const { ingresses } = news.objects
    for (const key of [...this.#told.keys()]) if (!ingresses.has(key)) this.#told.delete(key)
    for (const [key, ingress] of ingresses) {
      const state = news.findings.states.get(key)
      // Ours until now, and nobody's or somebody else's from now on.
      if (state === undefined && !this.#told.has(key)) continue
      yield () => this.#one(key, ingress, state === undefined ? undefined : withRefusals(key, state, news))
    }
  }

  async #one(key: string, ingress: Ingress, state: IngressState | undefined): Promise<void> {
    const { client, now } = this.options
    const { namespace = '', name, resourceVersion } = ingress.metadata
    const address = state !== undefined && state.fault === undefined ? this.#address : []
    const present = ingress.status?.loadBalancer?.ingress ?? []
    const isOther = JSON.stringify(present) !== JSON.stringify(address)
    // One that has become somebody else's may have got their address.
    if (isOther && (state !== undefined || JSON.stringify(present) === JSON.stringify(this.#address))) {
      const path = `/apis/${INGRESS_API}/namespaces/${encodeURIComponent(namespace)}/ingresses/${encodeURIComponent(name)}/status`
      const body = { metadata: { resourceVersion }, status: { loadBalancer: { ingress: address } } }
      await client.call(path, { method: 'PATCH', body, signal: new AbortController().signal })
    }
    if (state === undefined) return void this.#told.delete(key)
    const events = eventsOf(state)
    const text = JSON.stringify(events)
    if (this.#told.get(key) === text) return
    const kind = { apiVersion: INGRESS_API, kind: 'Ingress' }
    for (const event of events) await postEvent(client, kind, ingress, { ...event, atMs: now() })
    this.#told.set(key, text)
  }
}

function eventsOf({ fault, hosts, unresolved }: IngressState): readonly ObjectEvent[] {
  if (fault !== undefined) return [{ type: 'Warning', reason: 'NotPublished', message: fault }]
  const names = hosts.map(host => (host === '*' ? 'every host' : host)).join(', ')
  return [
    { type: 'Normal', reason: 'Published', message: `published for ${names}` },
    ...unresolved.map((message): ObjectEvent => ({ type: 'Warning', reason: 'BackendNotFound', message })),
  ]
}

/** A host that is right in itself may be refused where it is published: others have it, or it may not be had. */
function withRefusals(key: string, state: IngressState, { findings, refused }: IngressNews): IngressState {
  const reasons = refused.filter(({ name }) => findings.owners.get(name)?.has(key) === true).map(({ reason }) => reason)
  return reasons.length === 0 ? state : { ...state, fault: reasons.join('; ') }
}
