/** One request by each protocol, as its plan says; never throws, whatever happens to it. */
import { Agent, request as requestHttp, type ClientRequest } from 'node:http'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { whenTrulyEnded } from '../../src/net/true-end.ts'
import { bytesOf } from '../support/random.ts'
import type { Seen } from './ledger.ts'
import { MESSAGES } from './origins.ts'
import { hostOf, pathOf, type Plan } from './plan.ts'

/** Where a client finds the gateway. */
export interface Doors {
  readonly appPort: number
  readonly tcpPort: number
  readonly tunnelPort: number
}

/** A client gives up after this: the gateway has to have said something by then. */
const PATIENCE_MS = 300_000
const NOTHING: Seen = { status: 0, isComplete: false, id: undefined, isRight: false, bytes: 0 }

/** A client with its kept-alive connections. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 })
  #session: ClientHttp2Session | undefined

  constructor(private readonly doors: Doors) {}

  do(plan: Plan): Promise<Seen> {
    if (plan.kind === 'http1') return plan.manner.startsWith('pipelines') ? this.#pipeline(plan) : this.#http1(plan)
    if (plan.kind === 'http2') return this.#http2(plan)
    if (plan.kind === 'websocket') return this.#webSocket(plan)
    return this.#tcp(plan, plan.kind === 'tcp' ? this.doors.tcpPort : this.doors.tunnelPort)
  }

  /** Lets go of every connection. */
  close(): void {
    this.#agent.destroy()
    this.#session?.destroy()
    this.#session = undefined
  }

  #http1(plan: Plan): Promise<Seen> {
    return new Promise(resolve => {
      const body = bytesOf(plan.seed, plan.upload)
      const headers = { host: hostOf(plan), ...(plan.upload > 0 ? { 'content-length': String(body.length) } : {}) }
      const asked = requestHttp(
        { host: '127.0.0.1', port: this.doors.appPort, path: pathOf(plan), method: plan.method, headers, agent: this.#agent },
        response => {
          const pieces: Buffer[] = []
          const over = (isComplete: boolean): void =>
            done(seenOf(plan, response.statusCode!, isComplete, response.headers['x-id'] as string | undefined, Buffer.concat(pieces)))
          response.on('data', (piece: Buffer) => {
            pieces.push(piece)
            if (plan.manner !== 'reads slowly') return
            response.pause()
            setTimeout(() => response.resume(), 5)
          })
          response.on('end', () => over(response.complete))
          response.on('error', () => over(false))
          response.on('close', () => over(response.complete))
        },
      )
      const timer = setTimeout(
        () => asked.destroy(),
        plan.manner === 'leaves' || plan.manner === 'resets' ? plan.leavesAfterMs : PATIENCE_MS,
      )
      const done = (seen: Seen): void => {
        clearTimeout(timer)
        resolve(seen)
      }
      asked.on('error', () => done(NOTHING))
      if (plan.manner === 'resets') resetsAfter(asked, plan.leavesAfterMs)
      if (plan.manner === 'sends slowly' && body.length > 0)
        sendSlowly(
          body,
          piece => asked.write(piece),
          () => asked.end(),
        )
      else asked.end(body)
    })
  }

  /** The request and another one behind it, and gone at the first byte of an answer. */
  #pipeline(plan: Plan): Promise<Seen> {
    return new Promise(resolve => {
      const socket = connect({ port: this.doors.appPort, host: '127.0.0.1' })
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(NOTHING))
      socket.setTimeout(PATIENCE_MS, () => socket.destroy())
      const length = plan.upload > 0 ? `Content-Length: ${plan.upload}\r\n` : ''
      socket.write(`${plan.method} ${pathOf(plan)} HTTP/1.1\r\nHost: ${hostOf(plan)}\r\n${length}\r\n`)
      socket.write(bytesOf(plan.seed, plan.upload))
      socket.write('GET /another HTTP/1.1\r\nHost: a.test\r\n\r\n')
      socket.once('data', () => socket.destroy())
    })
  }

  #http2(plan: Plan): Promise<Seen> {
    return new Promise(resolve => {
      const session = this.#openSession()
      const stream = session.request(
        { ':authority': hostOf(plan), ':path': pathOf(plan), ':method': plan.method },
        { endStream: plan.upload === 0 },
      )
      const pieces: Buffer[] = []
      let [status, hasEnded] = [0, false]
      let id: string | undefined
      const timer = setTimeout(
        () => stream.close(8),
        plan.manner === 'leaves' || plan.manner === 'resets' ? plan.leavesAfterMs : PATIENCE_MS,
      )
      stream.on('error', () => undefined)
      stream.on('response', headers => {
        status = headers[':status'] ?? 0
        id = headers['x-id'] as string | undefined
      })
      stream.on('data', (piece: Buffer) => {
        pieces.push(piece)
        if (plan.manner !== 'reads slowly') return
        stream.pause()
        setTimeout(() => stream.resume(), 5)
      })
      stream.on('end', () => (hasEnded = true))
      stream.on('close', () => {
        clearTimeout(timer)
        resolve(status === 0 ? NOTHING : seenOf(plan, status, hasEnded && stream.rstCode === 0, id, Buffer.concat(pieces)))
      })
      const body = bytesOf(plan.seed, plan.upload)
      if (plan.upload === 0) return
      if (plan.manner === 'sends slowly')
        sendSlowly(
          body,
          piece => stream.write(piece),
          () => stream.end(),
        )
      else stream.end(body)
    })
  }

  #openSession(): ClientHttp2Session {
    const session = this.#session
    if (session !== undefined && !session.closed && !session.destroyed) return session
    const opened = connectHttp2(`http://127.0.0.1:${this.doors.appPort}`)
    const forget = (): void => {
      if (this.#session === opened) this.#session = undefined
    }
    opened.on('error', forget).on('goaway', forget).on('close', forget)
    return (this.#session = opened)
  }

  #webSocket(plan: Plan): Promise<Seen> {
    return new Promise(resolve => {
      const socket = new WebSocket(`ws://127.0.0.1:${this.doors.appPort}${pathOf(plan)}`, {
        headers: { host: 'ws.test' },
        handshakeTimeout: PATIENCE_MS,
      })
      const sent = bytesOf(plan.seed, plan.upload)
      const size = Math.ceil(sent.length / MESSAGES)
      const expected: Buffer[] = Array.from({ length: MESSAGES }, (_, i) => sent.subarray(i * size, (i + 1) * size))
      expected.push(bytesOf(plan.seed + 1, plan.download))
      let [status, came, isRight] = [0, 0, true]
      let id: string | undefined
      const timer = setTimeout(
        () => socket.terminate(),
        plan.manner === 'leaves' || plan.manner === 'resets' ? plan.leavesAfterMs : PATIENCE_MS,
      )
      socket.on('error', () => undefined)
      socket.on('unexpected-response', (_request, response) => {
        status = response.statusCode ?? 0
        response.resume()
        socket.terminate()
      })
      socket.on('open', () => {
        status = 101
        for (const message of expected.slice(0, MESSAGES)) socket.send(message)
        socket.send('bye')
      })
      socket.on('message', (message: Buffer, isBinary) => {
        if (!isBinary) id = message.toString().slice('hello '.length)
        else isRight &&= expected[came++]?.equals(message) ?? false
      })
      socket.on('close', code => {
        clearTimeout(timer)
        const isComplete = code >= 4_000
        // A refusal of a handshake is whole; `terminate` is ours.
        const seen = { status, id, bytes: came, isComplete: isComplete || (status !== 101 && status !== 0) }
        resolve({ ...seen, isRight: isRight && came === expected.length && code === 4_000 + MESSAGES })
      })
    })
  }

  #tcp(plan: Plan, port: number): Promise<Seen> {
    return new Promise(resolve => {
      const pieces: Buffer[] = []
      let [hasEnded, hasFailed] = [false, false]
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      const leaves = plan.manner === 'leaves' || plan.manner === 'resets'
      const timer = setTimeout(
        () => (plan.manner === 'resets' ? socket.resetAndDestroy() : socket.destroy()),
        leaves ? plan.leavesAfterMs : PATIENCE_MS,
      )
      socket.on('data', (piece: Buffer) => pieces.push(piece))
      socket.on('end', () =>
        whenTrulyEnded(
          socket,
          () => (hasFailed = true),
          () => (hasEnded = true),
        ),
      )
      socket.on('error', () => (hasFailed = true))
      socket.on('close', () => {
        clearTimeout(timer)
        const all = Buffer.concat(pieces)
        const end = all.indexOf('\n')
        if (!hasEnded || hasFailed) return resolve({ ...NOTHING, bytes: all.length })
        resolve(seenOf(plan, 200, true, end < 0 ? undefined : all.subarray(0, end).toString('latin1'), all.subarray(end + 1)))
      })
      socket.write(`do ${plan.id} ${plan.seed} ${plan.upload} ${plan.download}\n`)
      const body = bytesOf(plan.seed, plan.upload)
      // Libuv resets no connection whose end is under way: it would end in good order, before all its bytes.
      if (plan.manner === 'resets') socket.write(body)
      else socket.end(body)
    })
  }
}

const seenOf = (plan: Plan, status: number, isComplete: boolean, id: string | undefined, body: Buffer): Seen => ({
  status,
  isComplete,
  id,
  isRight: body.equals(bytesOf(plan.seed + 1, plan.download)),
  bytes: body.length,
})

const resetsAfter = (asked: ClientRequest, ms: number): void => {
  asked.once('socket', socket => {
    const timer = setTimeout(() => socket.resetAndDestroy(), ms)
    socket.once('close', () => clearTimeout(timer))
    asked.once('close', () => clearTimeout(timer))
  })
}

/** In twenty pieces, five milliseconds apart. */
const sendSlowly = (body: Buffer, write: (piece: Buffer) => unknown, end: () => unknown): void => {
  const size = Math.max(1, Math.ceil(body.length / 20))
  let at = 0
  const next = (): void => {
    if (at >= body.length) return void end()
    write(body.subarray(at, (at += size)))
    setTimeout(next, 5)
  }
  next()
}
