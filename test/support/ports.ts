import { randomInt } from 'node:crypto'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { onCleanUp } from './cleanup.ts'

/** Ends the server after the test file, with the connections that it has: one that nobody reads would not notice the end of its client. */
export const closeAfterwards = (server: Server): void => {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  onCleanUp(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
}

/** Listens on a port of `host`, a free one unless it is named; resolves to the port. The server and its connections are closed after the test file. */
export const listen = async (server: Server, host = '127.0.0.1', port = 0): Promise<number> => {
  closeAfterwards(server)
  const at = port === 0 ? await ownPort() : port
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(at, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return (server.address() as AddressInfo).port
}

/**
 * Below those that Linux gives to connections, which would take such a port before whoever was meant to listen there. Each worker of Jest has a part of
 * its own: a port that one has been told and does not use yet looks free to the others.
 */
const LISTENED = { from: 12_000, to: 32_000, parts: 8 } as const

const part = Number(process.env.JEST_WORKER_ID ?? 0) % LISTENED.parts
const size = (LISTENED.to - LISTENED.from) / LISTENED.parts
const first = LISTENED.from + part * size
/** The first half of them is for `freePort`, the second one for `ownPort`. */
const half = size / 2

/** True when nobody listens on it. */
const isFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  const isBound = await new Promise<boolean>(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (isBound) await new Promise(resolve => server.close(resolve))
  return isBound
}

const told = new Set<number>()

/** A port of 127.0.0.1 on which nobody listens at the moment: to start a program on, or to be refused at. Never the same one twice to one test file. */
export const freePort = async (): Promise<number> => {
  if (told.size > half * 0.8) told.clear()
  for (;;) {
    const port = randomInt(first, first + half)
    if (told.has(port)) continue
    told.add(port)
    if (await isFree(port)) return port
  }
}

let turn = randomInt(half)

/**
 * A port of 127.0.0.1 for a server of this process. Each has its turn when all others have had theirs: what a test has closed is asked for a while by
 * whoever does not give up, and the ports that Linux chooses may be those that another worker has closed a moment ago.
 */
export const ownPort = async (): Promise<number> => {
  for (;;) {
    const port = first + half + turn
    turn = (turn + 1) % half
    if (await isFree(port)) return port
  }
}
