import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { Cluster, ClusterOptions } from '../cluster/cluster.ts'
import { KeyRegistry } from '../identity/key-registry.ts'
import { algorithmsOf, thumbprintOf } from '../identity/key.ts'
import { registeredHalfOf } from '../identity/private-key.ts'
import { guarded } from '../net/guard.ts'
import type { SharedAccess } from '../outer/access/access-check.ts'
import { COUNTS, PeerBook } from '../peers/peer-book.ts'
import type { CountsChange } from '../rates/shared-counts.ts'
import type { Registry } from '../outer/inner-layers/registry.ts'
import { BoardPresence } from './board-presence.ts'
import { CallBook, type Answerer } from './calls/call-book.ts'
import { ForwardedEvents } from './forwarded-events.ts'
import { LinkSpread } from './link-spread.ts'
import type { Beginning, FromWorker, ToWorker } from './messages.ts'
import type { ServiceNews } from './service/service-news.ts'

/** Time within which all that happens is told to the other workers together, milliseconds. */
const COUNTS_MS = 20
/** Between two looks at who is connected where, milliseconds. */
const SPREAD_MS = 1_000

/** The channel of a worker to the primary. */
export interface PrimaryChannel {
  send(message: unknown): void
  onMessage(listener: (message: unknown) => void): void
}

/** Options of a worker. */
export interface WorkerSideOptions {
  readonly channel: PrimaryChannel
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** The same on a clock that all processes share as nearly as their starts by the wall clock allow. */
  readonly sharedClock: () => number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  readonly onFault: (thrown: unknown) => void
}

/** A worker, as it sees the primary and, through it, the others. */
export class WorkerSide {
  /** The primary has said what this worker is. */
  readonly began: Promise<Beginning>
  /** The primary asks it to drain. */
  readonly stopped: Promise<void>
  /** The primary lets this worker order certificates, and no other one. */
  readonly lead: Promise<void>
  /** Those that had its number before have ended. */
  readonly alone: Promise<void>
  readonly events: ForwardedEvents
  /** Questions to the primary. */
  readonly calls: CallBook
  /** Told of what the primary says of the service. */
  onService: (news: ServiceNews) => void = () => undefined
  /** Told of names that clients have asked other workers for. */
  onMissing: (name: string) => void = () => undefined
  #isAlone = false
  readonly #answerers = new Map<string, Answerer>()
  readonly #peers: PeerBook
  readonly #presence: BoardPresence

  constructor(private readonly options: WorkerSideOptions) {
    const { channel, clock, nowMs, onFault } = options
    this.#peers = new PeerBook({ clock, soon: flush => void setTimeout(guarded(onFault, flush), COUNTS_MS).unref(), onFault })
    this.#peers.attach({
      send: (topic, message) => {
        this.say(topic === COUNTS ? { type: 'counts', change: message as CountsChange } : { type: 'news', topic, message })
        return true
      },
      // The channel has no addresses, and what all have in files needs no greeting.
      sendTo: () => undefined,
    })
    this.#presence = new BoardPresence(report => this.say(report), nowMs)
    this.events = new ForwardedEvents({ nowMs, onFault }, event => this.say({ type: 'event', event }))
    this.calls = new CallBook({ send: message => this.say(message), answererOf: name => this.#answerers.get(name), onFault })
    const [began, stopped, lead, alone] = [pending<Beginning>(), pending(), pending(), pending()]
    this.began = began.promise
    this.stopped = stopped.promise
    this.lead = lead.promise
    this.alone = alone.promise
    channel.onMessage(
      guarded(onFault, (message: unknown) => {
        const said = message as ToWorker
        switch (said.type) {
          case 'begin':
            return began.resolve(said.beginning)
          case 'stop':
            return stopped.resolve()
          case 'lead':
            return lead.resolve()
          case 'alone':
            this.#isAlone = true
            return alone.resolve()
          case 'missing':
            return this.onMissing(said.name)
          case 'service':
            return this.onService(said.news)
          case 'call':
          case 'answer':
          case 'refusal':
            return this.calls.take(said)
          case 'counts':
            return this.#peers.took(said.from, COUNTS, said.change)
          case 'counts-gone':
            return this.#peers.gone(said.from)
          case 'counts-repeat':
            return this.#peers.came('')
          case 'news':
            return this.#peers.took('', said.topic, said.message)
          default:
            return this.#presence.hear(said)
        }
      }),
    )
    this.say({ type: 'hello' })
  }

  /** From now on, connections of inner layers are spread over the workers. */
  spread({ registry, cluster }: { readonly registry: Registry; readonly cluster: Cluster | undefined }): void {
    const { onFault } = this.options
    const spread = new LinkSpread(registry, () => (cluster?.nodes ?? []).filter(({ isLinked, isDraining }) => isLinked && !isDraining))
    setInterval(
      guarded(onFault, () => spread.look()),
      SPREAD_MS,
    ).unref()
  }

  get isAlone(): boolean {
    return this.#isAlone
  }

  /** Has questions of the primary of this name answered. */
  answers(name: string, answerer: Answerer): void {
    this.#answerers.set(name, answerer)
  }

  say(message: FromWorker): void {
    this.options.channel.send(message)
  }

  /** The counts that this worker has in common with the others. */
  shared({ secret }: Beginning): SharedAccess {
    const key = Buffer.from(secret, 'base64')
    return { counts: this.#peers.counts, secret: key, clock: this.options.sharedClock, skewMs: 1, peers: this.#peers, exact: undefined }
  }

  /** The part that makes this worker one of several outer layers, at a socket of its own. */
  cluster({ number, directory, privateKey }: Beginning): ClusterOptions {
    const key = createPrivateKey(privateKey)
    const [algorithm] = algorithmsOf(key, 'the key of the workers')
    const own = { key, kid: thumbprintOf(createPublicKey(key)), algorithm }
    return {
      presence: this.#presence,
      // A name, for the proofs: nobody dials it.
      url: `ws://worker-${number}.localhost`,
      port: 0,
      local: { pathOf: id => `${directory}/${id}.sock` },
      key: own,
      keys: new KeyRegistry([registeredHalfOf(own, 'the workers')]),
      name: `worker ${number}`,
    }
  }
}

/** A promise, and what resolves it. */
function pending<Value = void>(): { readonly promise: Promise<Value>; readonly resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => undefined
  const promise = new Promise<Value>(done => (resolve = done))
  return { promise, resolve }
}
