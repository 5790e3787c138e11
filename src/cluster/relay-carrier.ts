import type { ErrorCode } from '../errors.ts'
import type { StreamHandler } from '../mux/stream.ts'
import type { Carrier, CarrierStream } from '../outer/inner-layers/carrier.ts'
import { encodeRelayHead, encodeRelayTarget } from '../payload/relay-head.ts'
import type { NodeLink } from './node-link.ts'
import type { ServedProcess } from './presence.ts'

/** An inner layer that another node has, as one that carries streams: they go to that node, and from there to the inner layer. */
export class RelayCarrier implements Carrier {
  readonly #target: Buffer

  /** @param process  as that node has shown it */
  constructor(
    private readonly link: NodeLink,
    { number, pool, identifier, instance, isEnrolled }: ServedProcess,
  ) {
    this.#target = encodeRelayTarget({ process: number, isTunnel: pool === 'tunnel', isEnrolled, identifier, instance })
  }

  get isOpen(): boolean {
    return this.link.session?.isOpen === true
  }

  get hasRoom(): boolean {
    return this.link.session?.hasRoom === true
  }

  get outstandingBytes(): number {
    return this.link.session?.outstandingBytes ?? 0
  }

  get streamCount(): number {
    return this.link.session?.streamCount ?? 0
  }

  get roundTripMs(): number {
    return this.link.session?.roundTripMs ?? 0
  }

  open(payload: Uint8Array, handler: StreamHandler, options?: { readonly end?: boolean }): CarrierStream {
    return this.link.open(encodeRelayHead(this.#target, payload), handler, options)
  }

  note(payload: Uint8Array): void {
    this.link.announce(payload)
  }

  /** The other node has the connection; nothing of it is ended from here. */
  drain(): Promise<void> {
    return Promise.resolve()
  }

  destroy(_code: ErrorCode, _reason: string): void {
    // as above
  }
}
