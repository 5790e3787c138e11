import type { Peers } from '../peers/peers.ts'
import type { FromService, ToService } from './ipc.ts'

/** The topic under which the services of several outer layers tell each other what they count. */
const TOPIC = 'service'
const MAX_TOPIC = 64

/** Brings what a service tells to those of other outer layers, and back: they have no way of their own to each other. */
export class ServicePeers {
  #peers: Pick<Peers, 'tell'> | undefined

  /** @param send  to the service process, if it is there */
  constructor(private readonly send: (message: ToService & { readonly type: 'told' }) => void) {}

  /** From now on there are others. */
  join(peers: Pick<Peers, 'tell' | 'hear'>): void {
    this.#peers = peers
    peers.hear(TOPIC, told => {
      const { topic, message } = (told ?? {}) as { readonly topic?: unknown; readonly message?: unknown }
      if (typeof topic === 'string' && topic.length <= MAX_TOPIC) this.send({ type: 'told', topic, message })
    })
  }

  /** The service of this outer layer tells something; where it is alone, nobody hears it. */
  tell({ topic, message }: FromService & { readonly type: 'tell' }): void {
    this.#peers?.tell(TOPIC, { topic, message })
  }
}
