/**
 * The Node origin: `node --import tsx bench/origin.ts PORT`. Serves what nginx cannot, and the files too where there is no nginx.
 *
 *   GET  /1k /64k /50m /100m /2g   so many bytes
 *   GET  /stream          1 GiB of zeros, made as fast as they are read
 *   POST /sink            reads the body, then answers 200
 *   POST /unread          never reads the body, never answers
 *   GET  /echo            a WebSocket that sends back what comes, byte for byte
 *   GET  /state           {"streams": open /stream answers, "unread": open /unread requests, "sunk": bytes that /sink has read}
 */
import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const SIZES: Readonly<Record<string, number>> = {
  '/1k': 1024,
  '/64k': 65_536,
  '/50m': 50 << 20,
  '/100m': 100 << 20,
  '/2g': 2 ** 31,
  '/stream': 2 ** 30,
}
const ZEROS = Buffer.alloc(65_536)
const KIB = Buffer.alloc(1024, 'x')
const open = { streams: 0, unread: 0, sunk: 0 }

const answer = (response: ServerResponse, text: string | Buffer): void => {
  response.writeHead(200, { 'Content-Length': Buffer.byteLength(text) }).end(text)
}

/** Counts this answer as open until its connection is gone. */
const count = (response: ServerResponse, what: 'streams' | 'unread'): void => {
  open[what]++
  response.on('close', () => open[what]--)
}

const stream = (response: ServerResponse, bytes: number): void => {
  let left = bytes
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': bytes })
  const more = (): void => {
    while (left > 0 && !response.destroyed) {
      const chunk = left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS
      left -= chunk.length
      if (!response.write(chunk)) return
    }
    response.end()
  }
  response.on('drain', more)
  more()
}

const server = createServer({ requestTimeout: 0 }, (request, response) => {
  const path = request.url ?? ''
  const size = SIZES[path]
  if (size === 1024) answer(response, KIB)
  else if (size !== undefined) {
    if (path === '/stream') count(response, 'streams')
    stream(response, size)
  } else if (path === '/sink') {
    request.on('end', () => answer(response, 'taken'))
    request.on('data', (bytes: Buffer) => (open.sunk += bytes.length))
  } else if (path === '/unread') count(response, 'unread')
  else if (path === '/state') answer(response, JSON.stringify(open))
  else response.writeHead(404, { 'Content-Length': 0 }).end()
})
server.on('upgrade', (_request, socket: Socket, head: Buffer) => {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  socket.write(head)
  socket.pipe(socket)
})
server.keepAliveTimeout = 0
server.listen(Number(process.argv[2]), '127.0.0.1', 4096)
process.on('disconnect', () => process.exit())
