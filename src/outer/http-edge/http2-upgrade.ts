import { createHash, randomBytes } from 'node:crypto'
import type { ServerHttp2Stream } from 'node:http2'
import { GatewayError } from '../../errors.ts'
import type { RawRequest } from '../../http/admission.ts'
import type { Fields } from '../../http/fields.ts'
import { valuesOf } from '../../http/fields.ts'
import type { WritableHead } from '../../http/response-fields.ts'
import type { SwitchedClient } from '../exchange/edge-request.ts'
import { Http2EdgeRequest, type Http2CallContext } from './http2-edge-request.ts'

/** RFC 6455 §1.3. */
const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const NOTHING = Buffer.alloc(0)

/**
 * A WebSocket on a stream (RFC 8441): what the client asks for by extended CONNECT is asked of the origin by an Upgrade of HTTP/1.1, and
 * 200 stands for 101. Key and proof of the handshake are a matter of HTTP/1.1, so they are made and checked here.
 */
export class Http2UpgradeCall extends Http2EdgeRequest {
  readonly #key: string
  #hasSwitched = false

  constructor(context: Http2CallContext, stream: ServerHttp2Stream, request: RawRequest, endsWithHead: boolean) {
    const key = randomBytes(16).toString('base64')
    super(
      context,
      stream,
      { ...request, fields: [...without(request.fields, 'sec-websocket-key'), 'Sec-WebSocket-Key', key] },
      endsWithHead,
    )
    this.#key = key
  }

  override get isFinished(): boolean {
    return this.#hasSwitched || super.isFinished
  }

  /** @throws GatewayError ORIGIN_BAD_RESPONSE when the origin has not read the request that it answers */
  switchProtocols(_upgrade: string, { fields }: Pick<WritableHead, 'fields'>): SwitchedClient {
    const { stream } = this
    const proof = createHash('sha1').update(`${this.#key}${MAGIC}`).digest('base64')
    if (valuesOf(fields, 'sec-websocket-accept')[0] !== proof) {
      throw new GatewayError('ORIGIN_BAD_RESPONSE', 'Sec-WebSocket-Accept is not the answer to Sec-WebSocket-Key')
    }
    this.writeHead({ status: 200, fields: without(fields, 'sec-websocket-accept') })
    this.events = undefined
    this.#hasSwitched = true
    this.flush()
    this.countUpload()
    // `close` would end the half first; this resets it alone.
    return { socket: stream, head: NOTHING, cut: () => void stream.destroy(new Error('the other end is gone')) }
  }
}

function without(fields: Fields, name: string): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) if (fields[i]!.toLowerCase() !== name) kept.push(fields[i]!, fields[i + 1]!)
  return kept
}
