import type { ErrorCode } from '../errors.ts'
import type { StreamHandler } from '../mux/stream.ts'
import type { Carrier, CarrierStream } from '../outer/inner-layers/carrier.ts'
import { encodeRelayHead } from '../payload/relay-head.ts'
import type { NodeLink } from './node-link.ts'

/** An inner layer that another node has, as one that carries streams: they go to that node, and from there to the inner layer. */
export class RelayCarrier implements Carrier {
  /** @param process  its number at that node */
  constructor(
    private readonly link: NodeLink,
    private readonly process: number,
  ) {}

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
    return this.link.open(encodeRelayHead(this.process, payload), handler, options)
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
