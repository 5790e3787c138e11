/** What the books of a port say is compared with what Node.js says; a difference that stands is told, and freed where it can be. */
import { createServer, type Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { SocketBook, countConnections } from '../../src/net/socket-book.ts'
import { ConnectionLimits } from '../../src/outer/access/connection-limits.ts'
import { BookWatch } from '../../src/outer/book-watch.ts'
import { captureLog } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { tcpConnect } from '../support/tcp.ts'
import { until } from '../support/wait.ts'

/** A port whose connections are entered into `book` as they come. */
const watched = async (book: SocketBook, accept: (socket: Socket) => void) => {
  const sockets: Socket[] = []
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    accept(socket)
    sockets.push(socket)
  })
  const port = await listen(server)
  const { log, records } = captureLog()
  const watch = new BookWatch(() => [{ name: `app port ${port}`, book, count: () => countConnections(server) }], log)
  const connect = async (): Promise<Socket> => {
    const before = sockets.length
    await tcpConnect(port)
    await until(() => sockets.length > before)
    return sockets.at(-1)!
  }
  const told = (): string[] => records.filter(({ level }) => level === 'warn').map(({ msg }) => msg)
  return { port, watch, connect, told, records }
}

test('a connection that ended without a word is told and freed in the second look, and counts no more', async () => {
  const limits = new ConnectionLimits({ connections: 2, connectionsPerAddress: 0 }, () => false)
  const { port, watch, connect, told } = await watched(limits.book, socket => void limits.admit(socket, '127.0.0.1'))
  const deaf = await connect()
  await connect()
  deaf.removeAllListeners('close') // as Node.js does it that never says so
  deaf.destroy()
  expect(limits.count).toBe(2)
  await watch.look()
  expect(told()).toEqual([])
  await watch.look()
  expect(told()).toEqual([
    `the books of app port ${port} had 2 connections, Node.js 1: freed 1 that ended and never said so; please report this`,
  ])
  expect([limits.count, limits.book.size, watch.freed, watch.unaccounted]).toEqual([1, 1, 1, 0])
  await watch.look()
  expect(told()).toHaveLength(1)
})

test('whoever waits for the `close` that Node.js did not say hears it', async () => {
  const book = new SocketBook()
  const { watch, connect } = await watched(book, socket => book.enter(socket))
  const deaf = await connect()
  deaf.removeAllListeners('close')
  const isSaid = new Promise(resolve => deaf.once('close', resolve))
  deaf.destroy()
  await isSaid
  let heard = 0
  deaf.on('close', () => heard++)
  await watch.look()
  expect(heard).toBe(0)
  await watch.look()
  expect([heard, book.size]).toEqual([1, 0])
})

test('a connection that the books do not know is told once, as is the end of the difference', async () => {
  const book = new SocketBook()
  const { port, watch, connect, told, records } = await watched(book, socket => book.enter(socket))
  const lost = await connect()
  await connect()
  book.strike(lost)
  await watch.look()
  expect(told()).toEqual([])
  for (let looks = 0; looks < 3; looks++) await watch.look()
  const text = `the books of app port ${port} have 1 open connections, Node.js has 2: please report this`
  expect(told()).toEqual([text])
  expect(records.find(({ msg }) => msg === text)).toMatchObject({ port: `app port ${port}`, books: 1, node: 2 })
  expect(watch.unaccounted).toBe(1)
  book.enter(lost)
  await watch.look()
  expect(watch.unaccounted).toBe(0)
  expect(records.at(-1)!.msg).toMatch(/they agree again$/)
})

test('connections that come and go between looks say nothing', async () => {
  const book = new SocketBook()
  const { watch, connect, told } = await watched(book, socket => book.enter(socket))
  for (let round = 0; round < 5; round++) {
    const socket = await connect()
    await watch.look()
    socket.destroy()
    await watch.look()
    await until(() => book.size === 0)
  }
  expect(told()).toEqual([])
  expect([watch.freed, watch.unaccounted]).toEqual([0, 0])
})
