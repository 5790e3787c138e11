/** What a parser makes of the same bytes: ours, and the one of Node behind `node:http`. */
import { request, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import { ResponseReader } from '../../src/http1/response-reader.ts'
import type { Http1ResponseHead } from '../../src/http1/response-head.ts'

/** One response as somebody has read it; `ok` false: refused or cut. */
export interface Verdict {
  readonly ok: boolean
  readonly why: string
  readonly interims: readonly (readonly [number, string, ...string[]])[]
  readonly status: number
  readonly reason: string
  readonly fields: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

const refused = (why: string): Verdict => ({ ok: false, why, interims: [], status: 0, reason: '', fields: [], body: '', trailers: [] })

/** Reads `pieces` and then the end of the connection with our reader. */
export function ours(pieces: readonly Buffer[], method = 'GET'): Verdict {
  const reader = new ResponseReader({ isHead: method === 'HEAD', isUpgrade: true })
  const interims: Http1ResponseHead[] = []
  const body: Buffer[] = []
  try {
    for (const piece of pieces) {
      if (piece.length > 0) reader.push(piece)
      interims.push(...reader.interims)
      body.push(...reader.chunks)
      if (reader.isDone) break
    }
    if (!reader.isDone) reader.finish()
  } catch (thrown) {
    return refused((thrown as Error).message)
  }
  const head = reader.head!
  return {
    ok: true,
    why: '',
    interims: interims.map(({ status, reason, fields }) => [status, reason, ...fields] as const),
    status: head.status,
    reason: head.reason,
    fields: head.fields,
    body: Buffer.concat(body).toString('latin1'),
    trailers: reader.trailers,
  }
}

/** A connection that plays `pieces` and ends, once something was asked. */
class Played extends Duplex {
  #hasBegun = false

  constructor(private readonly pieces: readonly Buffer[]) {
    super()
  }

  override _read(): void {
    // everything is pushed at once
  }

  override _write(_chunk: unknown, _encoding: BufferEncoding, callback: () => void): void {
    callback()
    if (this.#hasBegun) return
    this.#hasBegun = true
    for (const piece of this.pieces) if (piece.length > 0) this.push(piece)
    this.push(null)
  }
}

/** Reads the same with the client of Node. @param connect  another connection than one that plays the pieces */
export const nodes = (pieces: readonly Buffer[], method = 'GET', connect?: () => Duplex): Promise<Verdict> =>
  new Promise(resolve => {
    const interims: [number, string, ...string[]][] = []
    let response: IncomingMessage | undefined
    const connection = connect?.() ?? new Played(pieces)
    const settle = (verdict: Verdict): void => {
      resolve(verdict)
      connection.destroy()
    }
    const asked = request({ method, maxHeaderSize: 65_536, createConnection: () => connection })
    asked.maxHeadersCount = 0
    const whole = (message: IncomingMessage, body: string): Verdict => ({
      ok: true,
      why: '',
      interims,
      status: message.statusCode ?? 0,
      reason: message.statusMessage ?? '',
      fields: message.rawHeaders,
      body,
      trailers: message.rawTrailers,
    })
    asked.on('information', info => {
      interims.push([info.statusCode, info.statusMessage, ...info.rawHeaders])
    })
    asked.on('upgrade', message => settle(whole(message, '')))
    asked.on('response', message => {
      response = message
      const body: Buffer[] = []
      message.on('data', (chunk: Buffer) => body.push(chunk))
      message.on('error', error => settle(refused(error.message)))
      message.on('end', () =>
        settle(message.complete ? whole(message, Buffer.concat(body).toString('latin1')) : refused('the end before the end')),
      )
      message.on('close', () => settle(refused('closed')))
    })
    asked.on('error', error => {
      if (response?.complete !== true) settle(refused(error.message))
    })
    asked.on('close', () => {
      if (response === undefined) settle(refused('closed'))
    })
    asked.end()
  })

/** `bytes` in pieces, cut at `cuts`. */
export function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.filter(cut => cut > 0 && cut < bytes.length))].sort((a, b) => a - b)
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length))
}

/** Every byte alone. */
export const single = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
