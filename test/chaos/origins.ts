/** Origins that do what the path of a request says, and tell the ledger what they executed. */
import { createServer as createHttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { whenTrulyEnded } from '../../src/net/true-end.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { bytesOf } from '../support/random.ts'
import { rawResponse, startRawOrigin, type RawOrigin, type RawRequest } from '../support/raw-origin.ts'
import { startTcpOrigin, type TcpOrigin } from '../support/tcp-origin.ts'
import type { Ledger } from './ledger.ts'
import { readPath } from './plan.ts'

/** All that a world has. */
export interface Origins {
  readonly http: RawOrigin
  readonly webSocketPort: number
  readonly tcp: TcpOrigin
  /** Connections of WebSockets that are open. */
  readonly openWebSockets: number
  /** Closes what is kept alive and idle, so that nothing is left to count. */
  closeIdle(): void
}

const PIECES = 8
const chunk = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])

const answer = (request: RawRequest, socket: Socket): void => {
  const told = readPath(request.target)!
  const { id, mood, download, seed } = told
  const body = bytesOf(seed + 1, download)
  const head = `HTTP/1.1 200 OK\r\nX-Id: ${id}\r\n`
  if (mood === 'length' || mood === 'early') socket.write(rawResponse(200, body, [`X-Id: ${id}`]))
  else if (mood === 'until-close') socket.end(Buffer.concat([Buffer.from(`${head}Connection: close\r\n\r\n`), body]))
  else if (mood === 'die-before') socket.destroy()
  else if (mood === 'die-in-head') socket.write(head, () => socket.destroy())
  else if (mood === 'die-in-body') {
    socket.write(`${head}Content-Length: ${body.length + 1}\r\n\r\n`)
    socket.write(body, () => socket.resetAndDestroy())
  } else if (mood === 'garbage') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n: x\r\n\r\nabc')
  else if (mood === 'oversize') socket.write(`${head}${'X-Large: '.padEnd(8_000, 'x')}\r\n`.repeat(40))
  else if (mood === 'more-than-asked') {
    socket.write(Buffer.concat([rawResponse(200, body, [`X-Id: ${id}`]), rawResponse(200, 'nobody asked', [`X-Id: of-nobody-${id}`])]))
  } else if (mood !== 'never') {
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`)
    const size = Math.max(1, Math.ceil(body.length / (mood === 'slow' ? PIECES : 1)))
    let at = 0
    const next = (): void => {
      if (socket.destroyed) return
      if (at >= body.length) return void socket.write('0\r\n\r\n')
      socket.write(chunk(body.subarray(at, (at += size))))
      if (mood === 'slow') setTimeout(next, 5)
      else setImmediate(next)
    }
    next()
  }
}

const differenceOf = (came: Buffer, sent: Buffer): string => {
  const at = came.findIndex((byte, i) => byte !== sent[i])
  return `${came.length} of ${sent.length} bytes${at < 0 ? '' : `, another one at ${at}`}`
}

/** Outcomes are kept for so many requests: a run of an hour has hundreds of thousands. */
const KEPT_REQUESTS = 500

const startHttpOrigin = async (ledger: Ledger, sockets: Set<Socket>): Promise<RawOrigin> => {
  const origin = await startRawOrigin(
    async (request, socket) => {
      if (origin.hits > KEPT_REQUESTS) origin.clear()
      if (!sockets.has(socket)) socket.once('close', () => sockets.delete(socket))
      sockets.add(socket)
      const told = readPath(request.target)
      if (told === undefined) return void socket.write(rawResponse(200, request.method === 'HEAD' ? '' : 'well'))
      ledger.executed(told.id, told.area === 'forbidden')
      if (told.mood !== 'early') {
        await request.complete
        if (!request.body.equals(bytesOf(told.seed, told.upload)))
          ledger.uploadedWrong(told.id, differenceOf(request.body, bytesOf(told.seed, told.upload)))
      }
      answer(request, socket)
    },
    { keepBytes: 1 << 20 },
  )
  return origin
}

/** How many messages the bytes of a WebSocket are sent in. */
export const MESSAGES = 4

/**
 * Sends back each message, and at last those of the origin. `bye` is answered by closing with 4000 and the number of messages that came: so a clean
 * close says how many there were.
 */
const startWebSocketOrigin = async (ledger: Ledger) => {
  const server = createHttpServer((_request, response) => response.end('well'))
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket, request) => {
    const told = readPath(request.url ?? '')
    socket.on('error', () => undefined)
    if (told === undefined) return socket.terminate()
    ledger.executed(told.id)
    let count = 0
    socket.send(`hello ${told.id}`)
    socket.on('message', (message: Buffer, isBinary) => {
      if (isBinary) {
        count++
        socket.send(message)
      } else {
        socket.send(bytesOf(told.seed + 1, told.download))
        socket.close(4_000 + count)
      }
    })
  })
  const port = await listen(server)
  onCleanUp(() => sockets.clients.forEach(socket => socket.terminate()))
  return { port, sockets }
}

/** One line with id, seed, bytes up and bytes down, then the bytes and the end; answers with the id in a line, its bytes, and the end. */
const startPlainOrigin = (ledger: Ledger): Promise<TcpOrigin> =>
  startTcpOrigin(socket => {
    const chunks: Buffer[] = []
    socket.on('data', (bytes: Buffer) => chunks.push(bytes))
    const ended = (): void => {
      const all = Buffer.concat(chunks)
      const end = all.indexOf('\n')
      const [id = '', seed, up, down] = all.subarray(0, Math.max(0, end)).toString('latin1').split(' ').slice(1)
      if (end < 0 || down === undefined) return void socket.destroy() // cut before it said anything
      ledger.executed(id)
      const [came, sent] = [all.subarray(end + 1), bytesOf(Number(seed), Number(up))]
      if (!came.equals(sent)) ledger.uploadedWrong(id, differenceOf(came, sent))
      socket.end(Buffer.concat([Buffer.from(`${id}\n`), bytesOf(Number(seed) + 1, Number(down))]))
    }
    const fail = (thrown: unknown): void => ledger.fault(String(thrown))
    socket.on('end', () => whenTrulyEnded(socket, fail, ended))
  })

export const startOrigins = async (ledger: Ledger): Promise<Origins> => {
  const sockets = new Set<Socket>()
  const http = await startHttpOrigin(ledger, sockets)
  const { port: webSocketPort, sockets: webSockets } = await startWebSocketOrigin(ledger)
  const tcp = await startPlainOrigin(ledger)
  return {
    http,
    webSocketPort,
    tcp,
    get openWebSockets() {
      return webSockets.clients.size
    },
    closeIdle: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}
