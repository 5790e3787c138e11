import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import * as ws from 'ws'
import WebSocket, { WebSocketServer } from 'ws'
import { MessageReader, type ReadWebSocket, type ReceiverLike } from '../../src/link/message-reader.ts'
import { MAX_MESSAGE_BYTES } from '../../src/mux/link.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { Chance, hashOf } from '../support/random.ts'
import { SEED } from '../support/seed.ts'
import { until } from '../support/wait.ts'
import { closePayload, frame, Opcode } from '../support/websocket-frames.ts'
import { pattern } from './pair.ts'

type ReceiverOfWs = NodeJS.WritableStream & ReceiverLike
const { Receiver } = ws as unknown as { readonly Receiver: new (options: object) => ReceiverOfWs }

/** What one receiver has told, in order. */
const listen = (isServer: boolean) => {
  const told: string[] = []
  const options = { isServer, maxPayload: MAX_MESSAGE_BYTES }
  const receiver = new Receiver(options)
  const tell =
    (what: string) =>
    (bytes: Buffer | number, more?: boolean | Buffer): void =>
      void told.push(`${what} ${Buffer.isBuffer(bytes) ? `${bytes.length} ${hashOf(bytes)}` : bytes} ${String(more ?? '')}`)
  for (const event of ['message', 'ping', 'pong', 'conclude']) receiver.on(event, tell(event))
  receiver.on('error', (error: Error & { code?: string }) => told.push(`error ${error.code}`))
  return { told, receiver, tell }
}

/** A receiver of `ws` alone, and one behind a reader: what they tell of the same bytes in the same pieces. */
const both = async (pieces: readonly Buffer[], isServer = true) => {
  const [alone, behind] = [listen(isServer), listen(isServer)]
  const websocket: ReadWebSocket = { _receiver: behind.receiver, _socket: {} }
  const taken = MessageReader.takeOver(websocket, Buffer.alloc(0), message => behind.tell('message')(message, true))
  expect(taken).toBe(true)
  for (const piece of pieces) {
    alone.receiver.write(Buffer.from(piece))
    behind.receiver.write(Buffer.from(piece))
    // The error of a stream is told a moment later, and nobody writes to it then.
    await new Promise(setImmediate)
    if (alone.told.at(-1)?.startsWith('error') === true) break
  }
  return { alone: alone.told, behind: behind.told }
}

const pieces = (bytes: Buffer, chance: Chance, most: number): Buffer[] => {
  const result: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const size = chance.between(1, most)
    result.push(bytes.subarray(at, at + size))
    at += size
  }
  return result
}

const SIZES = [0, 1, 4, 125, 126, 127, 4_095, 4_097, 65_535, 65_536, 70_001, 300_000]

/** One to three frames, as peers send them and as they may not. */
const someFrames = (chance: Chance, mask: readonly number[] | undefined): Buffer[] => {
  const options = { mask }
  const bytes = (size: number): Buffer => pattern(size, chance.below(100))
  switch (chance.below(12)) {
    case 0:
      return [frame(Opcode.TEXT, 'a text', options)]
    case 1:
      return [frame(Opcode.PING, bytes(chance.below(126)), options)]
    case 2:
      return [frame(Opcode.PONG, '', options)]
    case 3:
      return [
        frame(Opcode.BINARY, bytes(chance.one(SIZES)), { ...options, fin: false }),
        frame(Opcode.PING, 'between', options),
        frame(Opcode.CONTINUATION, bytes(10), options),
      ]
    case 4:
      return chance.rarely(4) ? [frame(Opcode.CLOSE, chance.rarely(2) ? '' : closePayload(1000, 'bye'), options)] : []
    case 5:
      return chance.rarely(6) ? [frame(Opcode.BINARY, bytes(5), { ...options, reserved: chance.between(1, 7) })] : []
    case 6:
      return chance.rarely(6) ? [frame(chance.one([0, 3, 7, 11, 15]), 'x', options)] : []
    case 7:
      return chance.rarely(6) ? [frame(Opcode.BINARY, 'x', { mask: mask === undefined ? [1, 2, 3, 4] : undefined })] : []
    case 8:
      return chance.rarely(6) ? [frame(Opcode.BINARY, Buffer.alloc(MAX_MESSAGE_BYTES + 1), options)] : []
    default:
      return [frame(Opcode.BINARY, bytes(chance.one(SIZES)), options)]
  }
}

describe('what a reader tells is what the receiver of ws would have told', () => {
  test.each([
    { isServer: true, mask: [0, 0, 0, 0] },
    { isServer: true, mask: [7, 0, 255, 9] },
    { isServer: false, mask: undefined },
  ])('server: $isServer, mask: $mask', async ({ isServer, mask }) => {
    const chance = new Chance(SEED)
    const kinds = new Set<string>()
    for (let round = 0; round < 60; round++) {
      const frames = Array.from({ length: chance.between(1, 12) }, () => someFrames(chance, mask)).flat()
      const { alone, behind } = await both(pieces(Buffer.concat(frames), chance, chance.one([3_000, 70_000, 1_000_000])), isServer)
      expect(behind).toEqual(alone)
      for (const line of alone) kinds.add(line.split(' ')[0]!)
    }
    expect([...kinds].sort()).toEqual(['conclude', 'error', 'message', 'ping', 'pong'])
  })

  test('byte by byte', async () => {
    const frames = [
      frame(Opcode.BINARY, pattern(200, 1)),
      frame(Opcode.TEXT, 't'),
      frame(Opcode.BINARY, ''),
      frame(Opcode.CLOSE, closePayload(1001)),
    ]
    const { alone, behind } = await both(pieces(Buffer.concat([...frames, Buffer.from('nobody reads this')]), new Chance(SEED), 1))
    expect(behind).toEqual(alone)
    expect(alone.length).toBe(4)
  })

  test('a message of the largest size, and one that is longer', async () => {
    const chance = new Chance(SEED)
    for (const bytes of [MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1]) {
      const { alone, behind } = await both(pieces(frame(Opcode.BINARY, pattern(bytes, 3)), chance, 65_536))
      expect(behind).toEqual(alone)
    }
  })
})

test('in the middle of a frame nothing is taken over', () => {
  const { receiver, told } = listen(true)
  const bytes = frame(Opcode.BINARY, pattern(100, 1))
  receiver.write(bytes.subarray(0, 50))
  const websocket: ReadWebSocket = { _receiver: receiver, _socket: {} }
  expect(MessageReader.takeOver(websocket, Buffer.alloc(0), () => undefined)).toBe(false)
  receiver.write(bytes.subarray(50))
  expect(told.length).toBe(1)
})

test('this ws and this Node.js have what is needed at both ends: messages come past their events, and share no memory', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  onCleanUp(() => server.close())
  await new Promise(resolve => void server.once('listening', resolve))
  const accepting = new Promise<WebSocket>(resolve => void server.once('connection', resolve))
  const dialled = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onCleanUp(() => dialled.terminate())
  await new Promise(resolve => void dialled.once('open', resolve))
  const ends = [await accepting, dialled]
  const memory = Buffer.alloc(65_536)
  const got: Buffer[][] = [[], []]
  let events = 0
  ends.forEach((end, i) => {
    end.on('message', () => events++)
    expect(MessageReader.takeOver(end as unknown as ReadWebSocket, memory, message => got[i]!.push(message))).toBe(true)
  })
  const sent = [1, 70_000, 5_000, 200_000, 3].map((size, i) => pattern(size, i))
  for (const message of sent) for (const end of ends) end.send(message)
  await until(() => got.every(messages => messages.length === sent.length))
  for (const messages of got) messages.forEach((message, i) => expect(message.equals(sent[i]!)).toBe(true))
  expect(events).toBe(0)
  // What was read into it is told from what came as a copy: memory that nobody reads into stays as it was.
  expect(memory.some(byte => byte !== 0)).toBe(true)
})
