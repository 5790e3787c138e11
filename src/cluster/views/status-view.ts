import type { Admin } from '../../admin/admin.ts'
import { createCalls, type AdminCall } from '../../admin/calls.ts'
import type { EventQuerySource } from '../../admin/event-query.ts'
import { readEventQuery } from '../../admin/event-query.ts'
import type { LayerStatus, NodeStatus, OuterStatus } from '../../admin/status.ts'
import { GatewayError } from '../../errors.ts'
import type { EventBook } from '../../events/event-book.ts'
import type { GatewayEvent } from '../../events/event.ts'
import type { MissingPeer, PeerAnswers, PeerCalls } from '../../peers/peer-calls.ts'
import { answerCall } from './answer-call.ts'
import { mergeNodes, nodeStatusOf, type NodeAnswer } from './merge-nodes.ts'

/** Others are asked once for all that ask within this time, milliseconds. */
const FRESH_MS = 1_000
const STATUS = '/status'
const EVENTS = '/events?'
const MAX_LIMIT = 1_000

/** The parts that nodes show each other. */
export interface StatusViewOptions {
  readonly calls: PeerCalls
  /** Id and name of this node. */
  readonly self: () => { readonly id: string; readonly name: string }
  readonly admin: Pick<Admin, 'status'>
  readonly events: Pick<EventBook, 'list'>
  /** Calls by which operators act on the inner layers of this node. */
  readonly actions: readonly AdminCall[]
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly onFault: (thrown: unknown) => void
}

/** The answer of a list of events over all nodes. */
export interface ClusterEvents {
  readonly items: readonly (GatewayEvent & { readonly node: string })[]
  /** Nodes that do not answer. */
  readonly missing: readonly { readonly node: string; readonly why: string }[]
}

/** The operator's view of all nodes, at the admin port of each: none is waited for longer than for a moment, and those that do not answer are named. */
export class StatusView {
  /** The calls of the admin port. */
  readonly calls: readonly AdminCall[]
  #latest: { readonly atMs: number; readonly status: Promise<OuterStatus> } | undefined

  constructor(private readonly options: StatusViewOptions) {
    const { calls, admin, actions, onFault } = options
    calls.serve((request, response) => {
      const url = request.url ?? ''
      if (url === STATUS) return answerCall(request, response, onFault, () => admin.status())
      return (
        url.startsWith(EVENTS) &&
        answerCall(request, response, onFault, () => this.#ownEvents(new URLSearchParams(url.slice(EVENTS.length))))
      )
    })
    calls.serve(createCalls(actions))
    this.calls = [
      { method: 'GET', path: 'cluster/status', answer: () => this.#status() },
      { method: 'GET', path: 'cluster/events', answer: ({ query }) => this.#events(query) },
      ...['drain', 'disconnect'].map(verb => this.#ofAll(`inner-layers/:identifier/${verb}`)),
    ]
  }

  #status(): Promise<OuterStatus> {
    const now = this.options.clock()
    if (this.#latest === undefined || now - this.#latest.atMs > FRESH_MS) this.#latest = { atMs: now, status: this.#ask() }
    return this.#latest.status
  }

  async #ask(): Promise<OuterStatus> {
    const { calls, self, admin } = this.options
    const { answers, missing } = await calls.askAll<LayerStatus>({ path: STATUS })
    const own = admin.status()
    const all = [{ peer: self(), value: own }, ...answers].flatMap(({ peer, value }): NodeAnswer[] =>
      value.layer === 'outer' ? [{ node: peer, status: value }] : [],
    )
    const nodes: readonly NodeStatus[] = [...all.map(nodeStatusOf), ...missing.map(missingStatus)].sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )
    return mergeNodes(all, nodes)
  }

  #ownEvents(query: URLSearchParams): readonly GatewayEvent[] {
    return this.options.events.list(readEventQuery(recordOf(query))).items
  }

  async #events(query: URLSearchParams): Promise<ClusterEvents> {
    const odd = ['after', 'before', 'live'].find(key => query.has(key))
    if (odd !== undefined) throw new GatewayError('INVALID', `${odd}: each node has its own order; ask /events of one of them`)
    const asked = readEventQuery(recordOf(query))
    const { calls, self, events } = this.options
    const { answers, missing }: PeerAnswers<readonly GatewayEvent[]> = await calls.askAll({ path: `${EVENTS}${query.toString()}` })
    const items = [{ peer: self(), value: events.list(asked).items }, ...answers]
      .flatMap(({ peer: { name }, value }) => value.map(event => ({ ...event, node: name })))
      .sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0))
    return { items: items.slice(0, Math.min(asked.limit, MAX_LIMIT)), missing: missing.map(({ peer, why }) => ({ node: peer.name, why })) }
  }

  /** Something that whoever it concerns has to do; somebody has to be concerned. */
  #ofAll(path: string): AdminCall {
    const { actions, calls } = this.options
    const own = actions.find(action => action.path === path)
    if (own === undefined) throw new Error(`no action ${path}`)
    const answer: AdminCall['answer'] = async facts => {
      const place = path.replace(':identifier', encodeURIComponent(facts.params.get('identifier') ?? ''))
      const mine = await Promise.resolve()
        .then(() => own.answer(facts))
        .catch(refusalOf)
      const { answers, missing } = await calls.askAll<unknown>({ method: 'POST', path: `/api/${place}`, body: {} })
      const done = [mine, ...answers.map(({ value }) => value)].filter(isDone)
      if (done.length > 0) return { links: done.reduce((sum, { links }) => sum + links, 0) }
      throw this.#refused(mine, missing)
    }
    return { method: 'POST', path: `cluster/${path}`, answer }
  }

  #refused(mine: unknown, missing: readonly MissingPeer[]): unknown {
    const silent = missing.filter(({ code }) => code !== 'NOT_FOUND')
    if (silent.length === 0) return mine instanceof GatewayError && mine.code !== 'NOT_FOUND' ? mine : NOBODY
    const names = silent.map(({ peer, why }) => `${peer.name}: ${why}`).join('; ')
    return new GatewayError('NOT_FOUND', `no inner layer with this identifier at the nodes that answer; not asked: ${names}`)
  }
}

const NOBODY = new GatewayError('NOT_FOUND', 'no inner layer with this identifier is connected; look at the list again')

const refusalOf = (thrown: unknown): unknown => thrown

const isDone = (value: unknown): value is { readonly links: number } =>
  typeof value === 'object' && value !== null && typeof (value as { readonly links?: unknown }).links === 'number'

const missingStatus = ({ peer, why }: MissingPeer): NodeStatus => ({
  id: peer.id,
  name: peer.name,
  answers: false,
  why,
  version: null,
  uptimeSeconds: null,
  ready: null,
  degraded: [],
  inFlight: null,
  innerLayers: null,
})

/** A query as express has it: a name that comes several times is a list. */
function recordOf(query: URLSearchParams): EventQuerySource {
  const record: Record<string, string | readonly string[]> = Object.create(null) as Record<string, never>
  for (const key of new Set(query.keys())) {
    const values = query.getAll(key)
    record[key] = values.length === 1 ? values[0]! : values
  }
  return record
}
