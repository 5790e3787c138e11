/** Many streams at a time on one session, all of them moving. */
import { createServer } from 'node:http'
import { Agent, request } from 'node:http'
import { wait } from '../chaos/fault.ts'
import { listen } from '../support/ports.ts'
import { bytesOf, hashOf } from '../support/random.ts'
import type { Figure } from './figure.ts'
import { Stand } from './stand.ts'

const STREAMS = 1_000
const BODY_BYTES = 40_000
/** The answer comes in as many pieces, half a second apart: so that all are open at a time. */
const PIECES = 6
const PIECE_MS = 500

/** `/SEED`: answers bytes of the seed in pieces; an upload has to be those of the next seed, or the answer is 400. */
const startOrigin = (): Promise<number> =>
  listen(
    createServer({ requestTimeout: 0, keepAliveTimeout: 0 }, (incoming, response) => {
      const seed = Number(incoming.url!.slice(1))
      const pieces: Buffer[] = []
      const answer = async (): Promise<void> => {
        const upload = Buffer.concat(pieces)
        if (incoming.method === 'PUT' && !upload.equals(bytesOf(seed + 1, BODY_BYTES))) return void response.writeHead(400).end()
        const body = bytesOf(seed, BODY_BYTES)
        const size = Math.ceil(body.length / PIECES)
        response.writeHead(200, { 'x-hash': hashOf(body) })
        for (let at = 0; at < body.length; at += size) {
          response.write(body.subarray(at, at + size))
          await wait(PIECE_MS)
        }
        response.end()
      }
      incoming.on('data', (piece: Buffer) => pieces.push(piece))
      incoming.on('end', () => void answer())
    }),
  )

/** One exchange. @returns whether all of it was right */
const ask = (port: number, agent: Agent, seed: number): Promise<boolean> =>
  new Promise(resolve => {
    const isUpload = seed % 2 === 0
    const asked = request(
      { port, host: '127.0.0.1', agent, path: `/${seed}`, method: isUpload ? 'PUT' : 'GET', headers: { host: 'a.test' } },
      response => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('error', () => resolve(false))
        response.on('end', () => resolve(response.statusCode === 200 && Buffer.concat(pieces).equals(bytesOf(seed, BODY_BYTES))))
      },
    )
    asked.on('error', () => resolve(false))
    asked.end(isUpload ? bytesOf(seed + 1, BODY_BYTES) : undefined)
  })

export const active = async (minutes: number, say: (text: string) => void): Promise<readonly Figure[]> => {
  const stand = await Stand.start({ originPort: await startOrigin(), connections: 1 })
  const outer = stand.outers[0]!
  const agent = new Agent({ keepAlive: true, maxSockets: STREAMS })
  const end = performance.now() + minutes * 60_000
  let [next, right, wrong, most] = [0, 0, 0, 0]
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      if (await ask(outer.ports.app, agent, next++)) right++
      else wrong++
    }
  }
  const watch = async (): Promise<void> => {
    while (performance.now() < end) {
      const streams = [...(await outer.metrics())].filter(([name]) => /^socket_gateway_link_streams\b/.test(name))
      most = Math.max(
        most,
        streams.reduce((sum, [, count]) => sum + count, 0),
      )
      await wait(500)
    }
  }
  await Promise.all([...Array.from({ length: STREAMS }, worker), watch()])
  agent.destroy()
  await stand.quiet()
  say(`${right} exchanges were right`)
  return [
    { what: 'streams open at a time on one session', value: most, unit: 'streams', atLeast: STREAMS * 0.95 },
    { what: 'exchanges that were not right', value: wrong, unit: `of ${right + wrong}`, atMost: 0 },
  ]
}
