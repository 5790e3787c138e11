import type { RawRequest } from '../../http/admission.ts'
import { HttpExchange, type ExchangeContext } from './http-exchange.ts'
import { ReplayCall } from './replay-call.ts'

/** A request that was recorded at this layer and is sent again. */
export interface EdgeReplay {
  readonly request: Pick<RawRequest, 'method' | 'target' | 'fields'>
  readonly body: Buffer | undefined
  readonly scheme: 'http' | 'https'
  /** Address of the client that it is sent for; default: this machine. */
  readonly address?: string
  /** Cuts it, as a client does that leaves. */
  readonly signal?: AbortSignal | undefined
}

/** The outcome. */
export interface EdgeReplayResult {
  /** The id that the log has. */
  readonly requestId: string
  readonly status: number
  readonly error: string | undefined
}

/** Where the operator sits who has asked for it. */
const HERE = '127.0.0.1'

/** Sends a request the way that every request of a client takes: the same rules hold for it, as for a client at the address. */
export function replayAtEdge(
  context: ExchangeContext,
  { request, body, scheme, address = HERE, signal }: EdgeReplay,
): Promise<EdgeReplayResult> {
  const fields = [...request.fields]
  if (body !== undefined) fields.push('Content-Length', String(body.length))
  const call = new ReplayCall(
    { address, isTrusted: false, scheme, localPort: scheme === 'https' ? 443 : 80 },
    { ...request, fields, httpVersion: '1.1' },
    body,
    signal,
  )
  return new Promise(resolve => {
    const exchange = new HttpExchange(context, call, ({ record }) =>
      resolve({ requestId: record.id, status: call.status, error: record.error }),
    )
    exchange.start()
  })
}
