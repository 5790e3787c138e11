import type { ExchangeRecord } from '../exchange-record.ts'
import type { Inspector } from '../inspector.ts'
import type { Replayer, ReplayRequest, ReplayResult } from './replay.ts'

/** Sends a request the way that requests of clients take. */
export type SendAtEdge = (replay: {
  readonly request: { readonly method: string; readonly target: string; readonly fields: readonly string[] }
  readonly body: Buffer | undefined
  readonly scheme: 'http' | 'https'
  /** Address of the client that it is sent for; default: this machine. */
  readonly address?: string
  readonly signal?: AbortSignal | undefined
}) => Promise<{ readonly requestId: string; readonly status: number; readonly error: string | undefined }>

/** Sends requests as clients of the outer layer do: the same rules decide about them. */
export class EdgeReplayer implements Replayer {
  constructor(
    private readonly sendAtEdge: SendAtEdge,
    private readonly inspector: Inspector,
  ) {}

  async send({ method, path, fields, body, replayOf, signal }: ReplayRequest, { start }: ExchangeRecord): Promise<ReplayResult> {
    const { clock } = this.inspector.options
    const startedMs = clock()
    const scheme = start.scheme === 'https' ? 'https' : 'http'
    const { requestId, status, error } = await this.sendAtEdge({ request: { method, target: path, fields }, body, scheme, signal })
    const durationMs = clock() - startedMs
    for (const record of this.inspector.newestFirst()) {
      if (record.start.requestId !== requestId) continue
      record.replayOf = replayOf
      return { id: record.id, status: status || null, durationMs, error: error ?? null }
    }
    return { id: null, status: status || null, durationMs, error: error ?? null }
  }
}
