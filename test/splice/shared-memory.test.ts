import { expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { pauseSocket, resumeSocket } from '../../src/net/pause-socket.ts'
import { READ_BYTES, readInto } from '../../src/net/read-into.ts'
import { whenTrulyEnded } from '../../src/net/true-end.ts'
import { bytesOf, Chance } from '../support/random.ts'
import { SEED } from '../support/seed.ts'
import { startTcpLayers, toOrigin } from '../support/tcp-layers.ts'
import { startTcpOrigin } from '../support/tcp-origin.ts'
import { until, within } from '../support/wait.ts'
import { socketPair } from './spliced.ts'

/** Connections at a time. */
const CONNECTIONS = 24
/** Longest body of one direction, some reads of a socket long. */
const LONGEST = 6 * READ_BYTES

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** Writes `bytes` in pieces of any length, each in a turn of its own, and ends. */
const pour = (socket: Socket, bytes: Buffer, chance: Chance): void => {
  let at = 0
  const next = (): void => {
    if (socket.destroyed) return
    if (at >= bytes.length) return void socket.end()
    const length = chance.rarely(3) ? chance.between(1, 40) : chance.between(1, READ_BYTES + 100)
    const piece = bytes.subarray(at, (at += length))
    if (socket.write(piece)) setImmediate(next)
    else socket.once('drain', next)
  }
  next()
}

/** Reads to the end, and stands still now and then. */
const read = (socket: Socket, chance: Chance): Promise<string> => {
  const hash = createHash('sha256')
  socket.on('data', (bytes: Buffer) => {
    hash.update(bytes)
    if (!chance.rarely(4)) return
    socket.pause()
    let turns = chance.between(1, 30)
    const resume = (): void => {
      if (turns-- > 0) setImmediate(resume)
      else socket.resume()
    }
    resume()
  })
  return new Promise(resolve => {
    socket.once('end', () => resolve(hash.digest('hex')))
    socket.on('error', () => resolve('reset'))
  })
}

test('a connection that ends while it stands still and goes on at once is not cut', async () => {
  const [far, near] = await socketPair()
  const errors: unknown[] = []
  near.on('error', error => errors.push(error))
  let ended = false
  const fail = (thrown: unknown): void => void errors.push(thrown)
  near.on('end', () => {
    // The last piece was more than there was room for, and there is some again before it is certain that this is the end.
    pauseSocket(near)
    whenTrulyEnded(near, fail, () => (ended = true))
    resumeSocket(near)
  })
  readInto(near, Buffer.allocUnsafeSlow(READ_BYTES), () => true)
  near.resume()
  far.end('the last piece')
  await until(() => ended || errors.length > 0)
  expect([ended, errors]).toEqual([true, []])
  const answer = read(far, new Chance(SEED))
  near.end('and an answer')
  expect(await within(answer, 'the answer')).toBe(digestOf(Buffer.from('and an answer')))
})

test('what many connections read into one memory goes to the one that it is of, however each of them stops and goes on', async () => {
  // The first four bytes say which one it is; what comes back is made of that number.
  const down = (number: number): Buffer => bytesOf(2 * number + 1, 1 + new Chance(number).below(LONGEST))
  const up = (number: number): Buffer => {
    const bytes = bytesOf(2 * number, 4 + new Chance(number + 1_000).below(LONGEST))
    bytes.writeUInt32BE(number)
    return bytes
  }
  const seen = new Map<number, Promise<string>>()
  const origin = await startTcpOrigin(socket => {
    socket.once('readable', function begin() {
      const head = socket.read(4) as Buffer | null
      if (head === null) return void socket.once('readable', begin)
      const number = head.readUInt32BE(0)
      socket.unshift(head)
      const chance = new Chance(SEED + number)
      seen.set(number, read(socket, chance))
      pour(socket, down(number), chance)
    })
  })
  const layers = await startTcpLayers(toOrigin(origin.port))
  for (let round = 0; round < 2; round++) {
    const numbers = Array.from({ length: CONNECTIONS }, (_, i) => round * CONNECTIONS + i + 1)
    const got = numbers.map(number => {
      const chance = new Chance(SEED + 10_000 + number)
      const socket = connect({ port: layers.tcpPort, host: '127.0.0.1', allowHalfOpen: true })
      const answer = read(socket, chance)
      pour(socket, up(number), chance)
      // Some leave in the middle, and what was read of them must not show up at another.
      if (number % 8 === 7) {
        socket.once('data', () => socket.resetAndDestroy())
        return undefined
      }
      return answer
    })
    for (const [i, answer] of got.entries()) {
      if (answer === undefined) continue
      const number = numbers[i]!
      expect([number, await within(answer, `the answer to ${number}`)]).toEqual([number, digestOf(down(number))])
      await until(() => seen.has(number))
      expect([number, await within(seen.get(number)!, `the end of ${number}`)]).toEqual([number, digestOf(up(number))])
    }
  }
  await until(() => layers.outer.registry.connections.every(({ session }) => session.streamCount === 0 && session.outstandingBytes === 0))
})
