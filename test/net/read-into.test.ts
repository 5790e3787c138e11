/** Sockets that were accepted and read into memory that all of them share, on every Node.js that we run on. */
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { readInto } from '../../src/net/read-into.ts'
import { pattern } from '../link/pair.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

const opened: Socket[] = []
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy()
})

/** Both ends of a connection. */
const pair = async (): Promise<{ readonly client: Socket; readonly socket: Socket }> => {
  let socket: Socket | undefined
  const server = createServer({ allowHalfOpen: true }, accepted => (socket = accepted.pause()))
  const client = connect(await listen(server), '127.0.0.1')
  const accepted = await until(() => socket)
  opened.push(client, accepted)
  return { client, socket: accepted }
}

/** Reads into `shared`; what came, by the way in which it did. */
const read = (socket: Socket, shared: Buffer, { wants = (): boolean => true } = {}) => {
  const came = { borrowed: [] as Buffer[], own: [] as Buffer[], hasEnded: false }
  const isKnown = readInto(socket, shared, bytes => {
    if (!wants()) return false
    expect(bytes.buffer).toBe(shared.buffer)
    came.borrowed.push(Buffer.from(bytes))
    return true
  })
  socket.on('data', (bytes: Buffer) => came.own.push(bytes))
  socket.on('end', () => (came.hasEnded = true))
  return { came, isKnown }
}

test('what many send at once arrives as it was sent, and its end', async () => {
  const shared = Buffer.alloc(65_536)
  const bodies = [1, 2, 3].map(seed => pattern(700_000, seed))
  const all = await Promise.all(
    bodies.map(async body => {
      const { client, socket } = await pair()
      const { came, isKnown } = read(socket, shared)
      expect(isKnown).toBe(true)
      client.end(body)
      socket.resume()
      return came
    }),
  )
  await until(() => all.every(({ hasEnded }) => hasEnded))
  for (const [i, { borrowed, own }] of all.entries()) {
    expect(Buffer.concat(borrowed).equals(bodies[i]!)).toBe(true)
    expect(own).toEqual([])
  }
})

test('one that is paused gives nothing until it is resumed', async () => {
  const { client, socket } = await pair()
  const { came } = read(socket, Buffer.alloc(65_536))
  const body = pattern(300_000, 4)
  let pauses = 0
  socket.resume()
  client.end(body)
  const watch = (): number => came.borrowed.reduce((sum, { length }) => sum + length, 0)
  await until(() => watch() > 0)
  socket.pause()
  const held = watch()
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  expect(watch()).toBe(held)
  for (; !came.hasEnded; pauses++) {
    socket.resume()
    await new Promise(setImmediate)
    socket.pause()
    await new Promise(setImmediate)
    if (pauses > 1_000) break
  }
  socket.resume()
  await until(() => came.hasEnded)
  expect(Buffer.concat([...came.borrowed, ...came.own]).equals(body)).toBe(true)
})

test('what is not wanted any more comes as of any other socket, in memory of its own', async () => {
  const { client, socket } = await pair()
  const shared = Buffer.alloc(65_536)
  let isWanted = true
  const { came } = read(socket, shared, { wants: () => isWanted })
  socket.resume()
  client.write('first')
  await until(() => came.borrowed.length > 0)
  isWanted = false
  client.end('second')
  await until(() => came.hasEnded)
  shared.fill(0)
  expect([Buffer.concat(came.borrowed).toString(), Buffer.concat(came.own).toString()]).toEqual(['first', 'second'])
})

test('a socket that is no plain one is left as it is', async () => {
  const { socket } = await pair()
  expect(readInto(Object.create(socket) as Socket, Buffer.alloc(10), () => true)).toBe(false)
})
