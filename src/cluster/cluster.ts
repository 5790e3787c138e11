import { randomBytes } from 'node:crypto'
import type { Keys } from '../identity/key-registry.ts'
import type { PrivateKey } from '../identity/private-key.ts'
import { GROWTH_BUDGET_BYTES } from '../mux/limits.ts'
import type { LinkCounters } from '../mux/link-counters.ts'
import type { Timing } from '../mux/liveness.ts'
import { GrowthBudget } from '../mux/receive-window.ts'
import { settleWithin } from '../mux/settle-within.ts'
import { attempt } from '../net/guard.ts'
import type { PeerBook } from '../peers/peer-book.ts'
import { LinkPort } from '../outer/inner-layers/link-port.ts'
import type { OriginProfiles } from '../outer/inner-layers/origin-profiles.ts'
import { Registry, type InnerConnection } from '../outer/inner-layers/registry.ts'
import { encodeNodesNote, type AdvertisedNode } from '../payload/nodes-note.ts'
import { decodeNote, encodeNote } from '../payload/origin-profile.ts'
import type { Log } from '../telemetry/log.ts'
import type { CertificateStore } from '../tls/certificate-store.ts'
import { AGENT } from '../version.ts'
import { NodeLink, type NodeLinkOptions } from './node-link.ts'
import { NODE_LIMITS, NODE_TIMING } from './node-limits.ts'
import { NodeBalance, type BalancedNode, type BalanceReport } from './node-balance.ts'
import { answerQuestion, linkNameOf, UNKNOWN_NODE } from './node-proof.ts'
import { isOfEachNode, type NodeFacts, type Presence, type PresenceListener, type ServedProcess } from './presence.ts'
import { followPeers, PEER_NOTE, takeCall, takePeerNote } from './peer-notes.ts'
import { parseWish, type RebalanceWish } from './rebalance.ts'
import { RelayCarrier } from './relay-carrier.ts'
import { Relays } from './relays.ts'

/** Options of a node. */
export interface ClusterOptions {
  readonly presence: Presence
  /** The URL at which other nodes reach this one, ws: or wss:. Undefined: at the port that is opened, on this machine. */
  readonly url?: string | undefined
  readonly port: number
  readonly host?: string | undefined
  /** The way to nodes that are processes of this machine: each listens at a path, and none at a port. */
  readonly local?: { readonly pathOf: (id: string) => string } | undefined
  /** Started: links between nodes speak wss:. */
  readonly certificates?: CertificateStore | undefined
  /** PEM of the only authority to trust in the certificates of other nodes. */
  readonly ca?: string | undefined
  readonly key: PrivateKey
  /** The keys that other nodes may prove: the same one, or others that are known here. */
  readonly keys: Keys
  /** For operators; by default the id. */
  readonly name?: string | undefined
  readonly zone?: string | undefined
  /** The URL at which inner layers reach this node, which they are told of; undefined: they are not. */
  readonly linkUrl?: string | undefined
  /** Notes from node to node, by the links between them; undefined: there are none. */
  readonly peers?: PeerBook | undefined
}

/** The parts of an outer layer that a cluster works with. */
export interface ClusterContext {
  readonly registry: Registry
  readonly profiles: OriginProfiles
  readonly counters: LinkCounters
  /** Liveness of links between nodes; the default suits everything but tests. */
  readonly timing: Timing | undefined
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly log: Log
  /** Lets the sessions of inner layers finish, and takes no new ones. */
  readonly onDrain: () => void
}

/** Another node, and what is known of it. */
interface OtherNode {
  facts: NodeFacts
  link: NodeLink
  readonly connections: Map<number, InnerConnection>
}

/** A process of an inner layer at this node. */
interface OwnProcess {
  readonly number: number
  readonly instance: string
  readonly pool: InnerConnection['pool']
  readonly atMs: number
  connections: number
}

/** Streams of other nodes may finish for so long, once the inner layers have gone, milliseconds. */
const DRAIN_MS = 5_000
const NO_OTHERS = Object.freeze({ takes: () => false, answer: () => undefined, upgrade: () => undefined })

/** This outer layer as a node among others: shows them who is connected here, and adds to the registry who is connected there. */
export class Cluster implements PresenceListener {
  readonly id = randomBytes(8).toString('hex')
  readonly relays: Relays
  readonly #others = new Map<string, OtherNode>()
  /** By instance, of each pool. */
  readonly #own = new Map<string, OwnProcess>()
  readonly #byNumber = new Map<number, OwnProcess>()
  readonly #port: LinkPort
  /** The name by which others have to have dialled. */
  readonly #linkNames: string[] = []
  readonly #budget = new GrowthBudget(GROWTH_BUDGET_BYTES)
  readonly #balance: NodeBalance
  #number = 0
  #facts: NodeFacts
  #isStarted = false
  #isTelling = false

  constructor(
    readonly options: ClusterOptions,
    private readonly context: ClusterContext,
  ) {
    const { registry, profiles, clock, timing = NODE_TIMING, counters, log } = context
    const { port, host, local, certificates, keys, key, name = this.id, zone = '', url = '', linkUrl = '' } = options
    this.#facts = { id: this.id, name, url, zone, linkUrl, isDraining: false, agent: AGENT }
    const self = (): BalancedNode => balancedOf(this.#facts, [...this.#own.values()])
    this.#balance = new NodeBalance({ registry, self, others: () => this.#balanced, log })
    this.relays = new Relays({
      ...{ profiles, takeCall: stream => takeCall(options.peers, stream) },
      connectionOf: number => {
        const process = this.#byNumber.get(number)
        return process && registry.ofProcess(process)
      },
    })
    const noteOf = new WeakMap<InnerConnection, (payload: Buffer) => void>()
    const dialled = new Registry()
    followPeers(options.peers, dialled, this.#others)
    this.#port = new LinkPort(
      {
        port,
        ...(host !== undefined && { host }),
        path: local?.pathOf(this.id),
        tls: certificates,
        keys: () => keys,
        validityMs: 1_000,
        linkNames: this.#linkNames,
        isTrusted: () => false,
        timing,
        clock,
        registry: dialled,
        peer: 'node',
        unknownKey: UNKNOWN_NODE,
        limits: NODE_LIMITS,
        serve: connection => {
          const { accept, onNote } = this.relays.serve()
          noteOf.set(connection, onNote)
          return accept
        },
        onNote: (connection, payload) => {
          const note = decodeNote(payload)
          const wish = note.note === 'rebalance' ? parseWish(note) : undefined
          if (note.note === 'drain') this.#drain()
          else if (wish !== undefined) this.#balance.start(wish)
          else if (note.note === 'who') connection.session.note(answerQuestion(note, this.#facts, key, options.presence.secret))
          else if (note.note === PEER_NOTE) takePeerNote(options.peers, connection.identifier, note)
          else noteOf.get(connection)?.(payload)
        },
        others: NO_OTHERS,
        counters,
        readiness: () => ({ ready: true, reasons: [], degraded: [] }),
        onRefused: () => undefined,
      },
      log,
    )
  }

  /** Other nodes at the moment. */
  get nodes(): readonly (NodeFacts & { readonly isLinked: boolean; readonly roundTripMs: number; readonly processes: number })[] {
    return [...this.#others.values()].map(({ facts, link, connections }) => ({
      ...facts,
      isLinked: link.session !== undefined,
      roundTripMs: link.session?.roundTripMs ?? 0,
      processes: connections.size,
    }))
  }

  /** This node. */
  get facts(): NodeFacts {
    return this.#facts
  }

  /** The fault that keeps it from knowing what changes. */
  get fault(): string | undefined {
    return this.options.presence.fault
  }

  /** The port for other nodes and its connections, for the watch of books. */
  get port(): LinkPort {
    return this.#port
  }

  /** Opens the port for other nodes and shows itself. @returns the port @throws GatewayError LISTEN_FAILED */
  async start(): Promise<number> {
    const port = await this.#port.start()
    if (this.#facts.url === '') {
      const scheme = this.options.certificates === undefined ? 'ws' : 'wss'
      this.#facts = { ...this.#facts, url: `${scheme}://${this.options.host ?? '127.0.0.1'}:${port}` }
    }
    this.#linkNames.push(linkNameOf(this.#facts.url))
    this.#isStarted = true
    this.options.presence.start(this.#facts, this)
    return port
  }

  /** Has a node send its inner layers elsewhere. @param name  its name or its id @returns whether there is such a node, and a link to it */
  drainNode(name: string): boolean {
    const isMeant = ({ id, name: of }: NodeFacts): boolean => id === name || of === name
    if (isMeant(this.#facts)) {
      this.#drain()
      return true
    }
    const other = [...this.#others.values()].find(({ facts }) => isMeant(facts))
    return other?.link.tell(encodeNote({ note: 'drain' })) === true
  }

  /** Has all nodes send inner layers to those that have less. @returns how they are spread now */
  rebalance(wish: RebalanceWish): BalanceReport {
    const report = this.#balance.report(wish)
    for (const { link } of this.#others.values()) link.tell(encodeNote({ note: 'rebalance', ...wish }))
    this.#balance.start(wish)
    return report
  }

  get #balanced(): readonly BalancedNode[] {
    return [...this.#others.values()].map(({ facts, link, connections }) => ({
      ...balancedOf(facts, [...connections.values()]),
      isOpen: facts.linkUrl !== '' && !facts.isDraining && link.session !== undefined,
    }))
  }

  /** Its inner layers go to other nodes; clients are served by way of these from then on. */
  #drain(): void {
    this.context.log.warn({}, 'an operator drains this node: its inner layers go to other nodes')
    this.leaving()
    this.context.onDrain()
  }

  /** Others see that this node leaves, and send nothing new. */
  leaving(): void {
    this.#balance.stop()
    this.#facts = { ...this.#facts, isDraining: true }
    if (this.#isStarted) this.options.presence.change(this.#facts)
    this.#tellNow() // in the next turn their sessions may be over
  }

  /** Takes itself out; then lets the streams between nodes finish, and ends the links. */
  async close(): Promise<void> {
    await this.options.presence.close()
    await settleWithin(Promise.all([this.#port.drain(), ...[...this.#others.values()].map(({ link }) => link.drain())]), DRAIN_MS)
    await this.destroy()
  }

  /** Ends now. */
  async destroy(): Promise<void> {
    this.#balance.stop()
    void this.options.presence.close()
    for (const id of [...this.#others.keys()]) this.nodeGone(id)
    await this.#port.close()
  }

  // --- who is connected here

  /** A connection of this process has come. */
  added(connection: InnerConnection): void {
    const { pool, instance, identifier, kid, address, agent, login, isEnrolled = false } = connection
    if (this.#advertised.length > 0) connection.session.note(this.#nodesNote)
    const name = keyOf(connection)
    const known = this.#own.get(name)
    if (known !== undefined) {
      known.connections++
      return
    }
    const atMs = this.options.presence.now()
    const process = { number: ++this.#number, instance, pool, atMs, connections: 1 }
    this.#own.set(name, process)
    this.#byNumber.set(process.number, process)
    this.options.presence.serve({ number: process.number, identifier, pool, kid, address, agent, instance, isEnrolled, login, atMs })
  }

  /** One of them has gone. */
  removed(connection: InnerConnection): void {
    const name = keyOf(connection)
    const process = this.#own.get(name)
    if (process === undefined || --process.connections > 0) return
    this.#own.delete(name)
    this.#byNumber.delete(process.number)
    this.options.presence.unserve(process.number)
  }

  // --- who is connected elsewhere

  node(facts: NodeFacts): void {
    const known = this.#others.get(facts.id)
    if (known !== undefined && isSamePlace(known.facts, facts)) known.facts = facts
    else {
      if (known !== undefined) this.nodeGone(facts.id)
      const link = new NodeLink(facts, this.#linkOptions)
      this.#others.set(facts.id, { facts, link, connections: new Map() })
      link.start()
    }
    this.#tellInnerLayers()
  }

  nodeGone(id: string): void {
    const other = this.#others.get(id)
    if (other === undefined) return
    this.#others.delete(id)
    this.context.registry.welcomeAll()
    this.#remove(other, [...other.connections.keys()])
    other.link.destroy()
    this.#tellInnerLayers()
  }

  served(id: string, processes: readonly ServedProcess[]): void {
    const other = this.#others.get(id)
    if (other === undefined) return
    const { registry } = this.context
    for (const process of processes) {
      const { number, isEnrolled, atMs, ...facts } = process
      if (other.connections.has(number)) continue
      const session = new RelayCarrier(other.link, process)
      const connection: InnerConnection = { ...facts, ...(isEnrolled && { isEnrolled }), node: id, session, since: new Date(atMs) }
      other.connections.set(number, connection)
      this.#contain(() => registry.add(connection))
      if (process.pool === 'tunnel' && !isOfEachNode(process)) this.#settle(process)
    }
  }

  unserved(id: string, numbers: readonly number[]): void {
    const other = this.#others.get(id)
    if (other !== undefined) this.#remove(other, numbers)
  }

  #remove({ connections }: OtherNode, numbers: readonly number[]): void {
    for (const number of numbers) {
      const connection = connections.get(number)
      connections.delete(number)
      if (connection !== undefined) this.#contain(() => this.context.registry.remove(connection))
    }
  }

  /** The newest login of a tunnel serves it, at whichever node: an older one of this node lets its streams finish, and goes. */
  #settle({ identifier, instance, login, atMs }: ServedProcess): void {
    const { registry } = this.context
    const isOlder = (own: InnerConnection): boolean =>
      login !== undefined && own.login !== undefined ? own.login < login : (this.#own.get(keyOf(own))?.atMs ?? 0) < atMs
    if (registry.ofTunnel(identifier).every(isOlder)) registry.takenOverElsewhere(identifier, instance)
  }

  /** The nodes that inner layers may connect to, this one among them: whoever answers there can send them requests, so each has stood for its address. */
  get #advertised(): readonly AdvertisedNode[] {
    return [this.#facts, ...[...this.#others.values()].filter(({ link }) => link.hasProven).map(({ facts }) => facts)]
      .filter(({ linkUrl, isDraining }) => linkUrl !== '' && !isDraining)
      .map(({ id, linkUrl, zone }) => ({ id, url: linkUrl, zone }))
  }

  get #nodesNote(): Buffer {
    const { zone, isDraining } = this.#facts
    return encodeNodesNote({ self: this.id, zone, isLeaving: isDraining, nodes: this.#advertised })
  }

  /** Tells the inner layers of this node which nodes there are; many changes of one turn are one. */
  #tellInnerLayers(): void {
    if (!this.#isTelling) setImmediate(() => this.#tellNow())
    this.#isTelling = true
  }

  #tellNow(): void {
    this.#isTelling = false
    this.#contain(() => {
      const note = this.#nodesNote
      for (const { session } of this.context.registry.connections) if (session.isOpen) session.note(note)
    })
  }

  get #linkOptions(): NodeLinkOptions {
    const { timing = NODE_TIMING, counters, clock, log, registry } = this.context
    const { key, keys, ca, local, presence } = this.options
    const onUp = (id: string): void => {
      this.#tellInnerLayers()
      this.#contain(() => this.options.peers?.came(id))
      // Requests that wait for an inner layer may wait for one that is there.
      for (const connection of this.#others.get(id)?.connections.values() ?? []) this.#contain(() => registry.onAdd(connection))
    }
    return { id: this.id, key, keys, ca, local, budget: this.#budget, counters, timing, clock, log, presence, onUp }
  }

  #contain(action: () => void): void {
    attempt(thrown => this.context.log.error({ err: thrown }, 'internal fault while a node was told of'), action)
  }
}

const balancedOf = (facts: NodeFacts, connections: BalancedNode['connections']): BalancedNode => ({
  advertised: { id: facts.id, url: facts.linkUrl, zone: facts.zone },
  name: facts.name,
  isOpen: facts.linkUrl !== '' && !facts.isDraining,
  connections,
})

/** Has a node said the same of how it is reached? */
const isSamePlace = (a: NodeFacts, b: NodeFacts): boolean => a.url === b.url && a.linkUrl === b.linkUrl && a.zone === b.zone

const keyOf = ({ pool, instance }: Pick<InnerConnection, 'pool' | 'instance'>): string => `${pool} ${instance}`
