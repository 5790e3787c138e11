import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RawRequest } from '../../http/admission.ts'
import type { Peer } from '../../http/client.ts'
import type { Fields } from '../../http/fields.ts'
import type { WritableHead } from '../../http/response-fields.ts'
import type { EdgeRequest, ClientEvents } from '../exchange/edge-request.ts'
import { guarded, type Fail } from '../../net/guard.ts'
import type { PipelineGate } from './pipeline-gate.ts'
import { withHsts } from '../../http/hsts.ts'
import { pauseMessage } from '../../net/pause-message.ts'
import { discardUpload, endAbruptly, endLingering } from '../../net/linger.ts'

/** A request of HTTP/1.0 or HTTP/1.1. */
export class Http1EdgeRequest implements EdgeRequest {
  events: ClientEvents | undefined
  readonly request: RawRequest
  #awaitsDrain = false
  #uploadedBytes = 0

  /** @param gate  of its connection; one that has left node:http has none */
  constructor(
    readonly peer: Peer,
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    upgrades?: readonly string[],
    private readonly gate?: PipelineGate,
  ) {
    this.request = { method: req.method ?? '', target: req.url ?? '', httpVersion: req.httpVersion, fields: req.rawHeaders, upgrades }
    res.on(
      'close',
      guarded(this.fail, () => this.events?.onClosed()),
    )
  }

  /** Handles what one of the events below throws. */
  protected readonly fail: Fail = thrown => {
    if (this.events === undefined) throw thrown
    this.events.onFault(thrown)
  }

  get isReceived(): boolean {
    return this.req.complete
  }

  get trailers(): readonly string[] {
    return this.req.rawTrailers
  }

  startUpload(): void {
    this.req.on(
      'data',
      guarded(this.fail, (chunk: Buffer) => {
        this.#uploadedBytes += chunk.length
        this.events?.onUpload(chunk)
      }),
    )
    this.req.on(
      'end',
      guarded(this.fail, () => this.events?.onUploadEnd()),
    )
  }

  pauseUpload(): void {
    // A parser that reads by itself goes on when its socket was resumed and paused in one turn, and the whole upload would wait in memory.
    this.gate?.close()
    pauseMessage(this.req, this.#uploadedBytes)
  }

  resumeUpload(): void {
    this.req.resume()
  }

  discardUpload(): void {
    discardUpload(this.req)
  }

  get hasHead(): boolean {
    return this.res.headersSent
  }

  get status(): number {
    return this.res.headersSent ? this.res.statusCode : 0
  }

  get isFinished(): boolean {
    return this.res.writableFinished
  }

  get isGone(): boolean {
    return this.res.destroyed
  }

  get needsDrain(): boolean {
    return this.res.writableNeedDrain
  }

  writeContinue(): void {
    this.res.writeContinue()
  }

  writeInterim(status: number, reason: string, fields: Fields): void {
    let text = `HTTP/1.1 ${status} ${reason}\r\n`
    for (let i = 0; i < fields.length; i += 2) text += `${fields[i]!}: ${fields[i + 1]!}\r\n`
    this.res.socket?.write(`${text}\r\n`, 'latin1')
  }

  writeHead({ status, reason, fields }: Pick<WritableHead, 'status' | 'reason' | 'fields'>): void {
    this.res.writeHead(status, reason, withHsts(this.peer, fields))
  }

  flush(): void {
    this.res.flushHeaders()
  }

  write(chunk: Buffer): boolean {
    if (this.res.write(chunk)) return true
    if (!this.#awaitsDrain) {
      this.#awaitsDrain = true
      this.res.once(
        'drain',
        guarded(this.fail, () => {
          this.#awaitsDrain = false
          this.events?.onDrain()
        }),
      )
    }
    return false
  }

  setTrailers(fields: Fields): void {
    const pairs: [string, string][] = []
    for (let i = 0; i < fields.length; i += 2) pairs.push([fields[i]!, fields[i + 1]!])
    this.res.addTrailers(pairs)
  }

  end(body?: string | Buffer): void {
    if (body === undefined) this.res.end()
    else this.res.end(body)
  }

  closeAfterwards(): void {
    // node:http writes `Connection: close` from this, and the edge takes no further request from the connection.
    this.res.shouldKeepAlive = false
  }

  /** A client that counts bytes, or waits for the last chunk, sees the cut. One that reads up to the end of the connection sees a reset. */
  cut(isDelimitedByClose: boolean): void {
    const { socket } = this.res
    if (socket === null) return
    // A head that waits for its body would go with it, and the client would get nothing at all.
    if (this.res.headersSent && !this.res.writableEnded) this.res.flushHeaders()
    if (isDelimitedByClose) endAbruptly(socket)
    else endLingering(socket)
  }
}
