/** Programs that feed a gateway with hostile input, each until its time is over; what they find is in `gateway.faults`. */
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { encodeResponseHead } from '../../src/payload/head-codec.ts'
import { encodeCredit, encodeGoAway, encodeReset } from '../../src/wire/control.ts'
import { encodeFrame, FrameType } from '../../src/wire/frame.ts'
import { mutated } from '../http1/mutate.ts'
import { playInner, type HandPlayed } from '../support/evil-inner.ts'
import { exchange } from '../support/exchange.ts'
import { settings } from '../support/h2-frames.ts'
import { privateKeyOf, testKeyPair } from '../support/layers.ts'
import { bytesOf, type Chance, randomOf } from '../support/random.ts'
import { rawResponse } from '../support/raw-origin.ts'
import type { Gateway } from './gateway.ts'
import { AMPLIFIED, mutatedRequest } from './http1-input.ts'
import { AMPLIFIED_FRAMES, frameSequence } from './http2-input.ts'
import { Simulation } from './mux-simulator.ts'

/** Feeds `gateway` by chance until `isOver`. @returns the number of inputs */
export type Fuzz = (gateway: Gateway, chance: Chance, isOver: () => boolean) => Promise<number>

/** Between two looks at the gateway. */
const BATCH = 300
const AT_A_TIME = 24
/** A connection that is neither answered nor closed is ended by its client after this. */
const PATIENCE_MS = 300
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings()])

/** The address that the gateway takes for that of a proxy, behind which many clients share it: limits of an address do not hold for it. */
const PROXY = '127.0.0.1'

/** Sends bytes, in two pieces, and is gone once the peer has closed or time is over; also once something came, unless it `stays`. */
const throwAt = (
  port: number,
  bytes: Buffer,
  cutAt: number,
  { patienceMs = PATIENCE_MS, stays = false, from = PROXY } = {},
): Promise<void> =>
  new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true })
    const timer = setTimeout(() => socket.destroy(), patienceMs)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.write(bytes.subarray(0, cutAt))
    setImmediate(() => socket.write(bytes.subarray(cutAt)))
    if (stays) socket.resume()
    else socket.once('data', () => setTimeout(() => socket.destroy(), 20))
  })

/** `use` for `count` inputs, some at a time. */
const each = async (count: number, use: (index: number) => Promise<unknown>): Promise<void> => {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await use(next++)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
}

/** Batches of inputs made by `make` and used by `use`, with a look after each. */
const inBatches =
  (name: string, make: (chance: Chance) => Buffer, use: (gateway: Gateway, input: Buffer, chance: Chance) => Promise<unknown>): Fuzz =>
  async (gateway, chance, isOver) => {
    let count = 0
    while (!isOver()) {
      const inputs = Array.from({ length: BATCH }, () => make(chance))
      await each(BATCH, index => use(gateway, inputs[index]!, chance))
      count += BATCH
      const wrong = await gateway.check(name)
      if (wrong.length > 0) return count
    }
    return count
  }

/** Something small many times over. */
interface Flood {
  readonly name: string
  readonly connections: number
  readonly bytes: Buffer
  /** The most that may be held while it lasts, MiB. */
  readonly mostMiB: number
  /** It comes by a proxy. */
  readonly isProxied?: boolean
}

/** Each input on its connections at once, from an address of its own, then a look; each of them once, however little time there is. */
export const floods =
  (inputs: readonly Flood[]): Fuzz =>
  async gateway => {
    let count = 0
    for (const [index, { name, connections, bytes, mostMiB, isProxied = false }] of inputs.entries()) {
      gateway.origin.handle((request, socket) => {
        // What is slow is never answered; all else is answered at once.
        if (!request.target.startsWith('/slow') && !request.target.startsWith('/many')) socket.write(rawResponse(200, 'ok'))
      })
      const throwIt = (): Promise<void> =>
        throwAt(gateway.appPort, bytes, bytes.length >> 1, {
          patienceMs: FLOOD_MS,
          stays: true,
          from: isProxied ? PROXY : `127.0.1.${index + 1}`,
        })
      const flood = Promise.all(Array.from({ length: connections }, throwIt))
      // Once, in the middle: looking collects garbage, which nobody does for the gateway otherwise.
      await new Promise(resolve => setTimeout(resolve, FLOOD_MS / 2))
      const { outer, inner } = await gateway.grownMiB()
      const most = Math.max(outer, inner)
      await flood
      count += connections
      gateway.most.set(name, most)
      if (most > mostMiB) gateway.faults.push(`${name}: ${Math.round(most)} MiB more are held while it lasts`)
      if ((await gateway.check(name)).length > 0) return count
    }
    return count
  }
const FLOOD_MS = 4_000
/**
 * What may be held while a flood of HTTP/1 lasts, by docs/limits.md: of each of its 60 connections at most 256 KiB that are not parsed, and 16 requests
 * of some KiB; of what is under way windows of 64 KiB in either layer, which grow by 16 MiB in all.
 */
const MOST_MIB = 64
/** The same of HTTP/2 from a stranger: heads of 16 MiB, as strings and as bytes for the link, in both layers, and streams of Node.js with some KiB each. */
const MOST_HTTP2_MIB = 96
/**
 * By a proxy each connection has its own budget of heads: 1 MiB, 200 times. V8 counts what many heads share in the table of HPACK once for each of them, so that
 * the figure is many times as high as what is held.
 */
const MOST_PROXIED_MIB = 192

const MESSAGES = [
  '2',
  '3',
  '40',
  '41',
  '4{"type":0,"nsp":"/"}',
  '4{"type":0,"nsp":"/","data":{}}',
  '4{"type":1,"nsp":"/"}',
  '4{"type":2,"nsp":"/","data":["f"]}',
] as const

/** Strangers at the socket port: packets of engine.io and socket.io, then frames, HELLO and proofs of their own making. */
const stranger = async (gateway: Gateway, bytes: Buffer, chance: Chance): Promise<void> => {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.socketPort}/socket.io/?EIO=4&transport=websocket`)
  socket.on('error', () => undefined)
  await new Promise<void>(resolve => {
    const timer = setTimeout(() => socket.terminate(), PATIENCE_MS)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.on('open', () => {
      if (chance.below(3) > 0) socket.send('4{"type":0,"nsp":"/"}')
      for (let left = chance.below(5); left > 0; left--) {
        const text = chance.one(MESSAGES)
        const at = chance.below(text.length)
        socket.send(chance.below(2) === 0 ? text.slice(0, at) + String.fromCharCode(chance.below(128)) + text.slice(at) : text)
        socket.send(bytes)
      }
    })
  })
}

const { DATA, OPEN, RESPONSE, TRAILERS, RESET, CREDIT, PING, PONG, GOAWAY } = FrameType
const TYPES = [DATA, DATA, OPEN, RESPONSE, RESPONSE, TRAILERS, RESET, CREDIT, PING, PONG, GOAWAY, 9, 10, 11, 12, 13, 255] as const

const payloadOf = (chance: Chance, type: number): Uint8Array => {
  if (chance.rarely(5)) return bytesOf(chance.below(2 ** 30), chance.below(400))
  if (type === RESET) return encodeReset(chance.below(60), 'bye')
  if (type === CREDIT) return encodeCredit(chance.one([1, 5_000, 2 ** 31 - 1]))
  if (type === GOAWAY) return encodeGoAway(chance.below(50), chance.below(60), 'x')
  if (type === RESPONSE) {
    const body = chance.one([{ kind: 'none' }, { kind: 'stream' }, { kind: 'length', length: chance.below(50) }] as const)
    const fields = [
      'Refresh',
      `0;url=a${' '.repeat(chance.below(9_000))}b`,
      'Set-Cookie',
      `a=b; Domain=x${' '.repeat(chance.below(9_000))}y`,
      'A',
      'b',
    ]
    const head = encodeResponseHead({
      status: chance.between(100, 599),
      reason: 'By Hand',
      body,
      fields: fields.slice(0, 2 * chance.below(4)),
    })
    if (chance.rarely(3)) head[chance.below(head.length)] = chance.below(256)
    return head
  }
  return bytesOf(chance.below(2 ** 30), type === PING || type === PONG ? 8 : chance.one([0, 1, 30, 3_000]))
}

/** One frame; a stream id near those that are open. */
const aFrame = (chance: Chance): Buffer => {
  const type = chance.one(TYPES)
  const stream = type >= PING && type <= GOAWAY ? 0 : chance.below(16)
  return encodeFrame(type, chance.one([0, 0, 0, 1, 2, 0x80]), stream, payloadOf(chance, type))
}

/** An inner layer that has proven itself answers requests with frames of its own making. */
const evilInner: Fuzz = async (gateway, chance, isOver) => {
  const privateKey = privateKeyOf(await testKeyPair())
  let count = 0
  while (!isOver()) {
    for (let round = 0; round < 12; round++) {
      const answer = ({ type, stream }: { readonly type: number; readonly stream: number }, self: HandPlayed): void => {
        if (type !== OPEN) return
        for (let left = chance.between(1, 6); left > 0; left--) {
          const what = chance.one(TYPES)
          const id = chance.rarely(5) ? chance.below(20) : what >= PING && what <= GOAWAY ? 0 : stream
          self.send(what, chance.one([0, 0, 1, 2]), id, payloadOf(chance, what))
          count++
        }
      }
      const peer = await playInner({ port: gateway.socketPort, privateKey, identifier: 'evil', onFrame: answer }).catch(() => undefined)
      await Promise.all(
        Array.from({ length: 8 }, (_, i) => {
          const method = i % 2 === 0 ? 'GET' : 'POST'
          return exchange(gateway.appPort, { host: 'a.test', method, signal: AbortSignal.timeout(PATIENCE_MS) })
        }),
      )
      peer?.destroy()
    }
    if ((await gateway.check('frames of an inner layer')).length > 0) return count
  }
  return count
}

/** Origins that answer what is almost right. */
const evilOrigin: Fuzz = async (gateway, chance, isOver) => {
  let count = 0
  while (!isOver()) {
    const next = randomOf(chance.below(2 ** 30))
    gateway.origin.handle((_request, socket) => {
      count++
      const bytes = mutated(next)
      const at = Math.floor(next() * bytes.length)
      socket.write(bytes.subarray(0, at))
      setImmediate(() => (next() < 0.5 ? socket.end(bytes.subarray(at)) : socket.write(bytes.subarray(at))))
    })
    await each(BATCH, index =>
      exchange(gateway.appPort, {
        host: 'a.test',
        method: index % 3 === 0 ? 'POST' : 'GET',
        signal: AbortSignal.timeout(PATIENCE_MS),
        ...(index % 3 === 0 ? { body: 'x' } : {}),
      }),
    )
    if ((await gateway.check('answers of an origin')).length > 0) return count
  }
  return count
}

/** As many, however little time there is. */
const LEAST_SCHEDULES = 20_000

/** Schedules of the mux, in this process. */
const schedules: Fuzz = async (gateway, chance, isOver) => {
  let count = 0
  while (count < LEAST_SCHEDULES || !isOver()) {
    for (let i = 0; i < 200; i++) {
      const commands = Array.from({ length: chance.between(10, 200) }, () => chance.below(2 ** 30))
      const wrong = new Simulation().run(commands, i % 2 === 1)
      count++
      if (wrong.length === 0) continue
      gateway.faults.push(`a schedule of the mux: ${wrong.join('; ')}: ${JSON.stringify(commands)}`)
      return count
    }
    await new Promise(setImmediate)
  }
  return count
}

const throwHttp1 = (gateway: Gateway, input: Buffer, chance: Chance): Promise<void> =>
  throwAt(gateway.appPort, input, chance.below(input.length + 1))

const FRAME_FLOODS = AMPLIFIED_FRAMES.map(({ name, connections, bytes }) => ({
  name,
  connections,
  bytes: Buffer.concat([PREFACE, bytes()]),
}))

/** Every program by its name. */
export const FUZZERS: ReadonlyMap<string, Fuzz> = new Map<string, Fuzz>([
  ['mux', schedules],
  ['http1', inBatches('requests of HTTP/1', mutatedRequest, throwHttp1)],
  [
    'http1 floods',
    floods(AMPLIFIED.map(({ name, connections, bytes, times }) => ({ name, connections, bytes: bytes(times), mostMiB: MOST_MIB }))),
  ],
  ['http2', inBatches('frames of HTTP/2', chance => Buffer.concat([PREFACE, frameSequence(chance)]), throwHttp1)],
  [
    'http2 floods',
    floods([
      ...FRAME_FLOODS.map(flood => ({ ...flood, mostMiB: MOST_HTTP2_MIB })),
      ...FRAME_FLOODS.slice(0, 2).map(flood => ({
        ...flood,
        name: `${flood.name}, by a proxy`,
        mostMiB: MOST_PROXIED_MIB,
        isProxied: true,
      })),
    ]),
  ],
  ['link', inBatches('packets of strangers', aFrame, stranger)],
  ['evil inner layer', evilInner],
  ['evil origin', evilOrigin],
])
