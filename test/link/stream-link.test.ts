/** Links over a socket of their own: messages stay whole whatever pieces TCP makes of them, and each way to an end is told once. */
import { describe, expect, test } from '@jest/globals'
import { connect, createServer, type Socket } from 'node:net'
import { dialStream, STREAM_PATH, SWITCHED_HEAD } from '../../src/link/stream-dialer.ts'
import { StreamLink } from '../../src/link/stream-link.ts'
import { MAX_MESSAGE_BYTES, type Link } from '../../src/mux/link.ts'
import { openStream, pump, startEnd } from '../mux/ends.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import { pattern } from './pair.ts'

/** Two sockets that are connected. */
const sockets = async (): Promise<readonly [Socket, Socket]> => {
  const accepted: Socket[] = []
  const port = await listen(createServer(socket => void accepted.push(socket)))
  const dialled = connect(port, '127.0.0.1')
  dialled.on('error', () => undefined)
  onCleanUp(() => dialled.destroy())
  await until(() => accepted.length === 1)
  return [accepted[0]!, dialled]
}

const framed = (...messages: readonly Buffer[]): Buffer =>
  Buffer.concat(
    messages.flatMap(message => {
      const header = Buffer.alloc(4)
      header.writeUInt32BE(message.length)
      return [header, message]
    }),
  )

interface Heard {
  readonly messages: Buffer[]
  readonly ends: string[]
}

const hear = (link: Link): Heard => {
  const heard: Heard = { messages: [], ends: [] }
  link.onMessage = message => void heard.messages.push(Buffer.from(message))
  link.onClose = reason => void heard.ends.push(reason)
  return heard
}

describe('a link over a socket', () => {
  test.each([1, 3, 4, 5, 7, 4_099, 1_000_000])('hands over whole messages when they come in pieces of %d bytes', async size => {
    const messages = [pattern(1, 1), Buffer.alloc(0), pattern(5, 2), pattern(size > 100 ? 300_000 : 500, 3), pattern(4, 4)]
    const bytes = framed(...messages)
    const [socket] = await sockets()
    const link = new StreamLink(socket)
    const { messages: heard } = hear(link)
    for (let at = 0; at < bytes.length; at += size) link.push(bytes.subarray(at, at + size))
    expect(heard.map(message => message.toString('hex'))).toEqual(messages.map(message => message.toString('hex')))
  })

  test('carries a session in both directions', async () => {
    const [a, b] = await sockets()
    const [outer, inner] = [startEnd(new StreamLink(a), 'outer'), startEnd(new StreamLink(b), 'inner')]
    const bodies = [pattern(3_000_000, 1), pattern(2_000_000, 2)]
    const streams = bodies.map(() => openStream(outer))
    await until(() => inner.accepted.length === 2)
    streams.forEach(({ recorder }, i) => void pump(recorder, bodies[i]!))
    await until(() => inner.accepted.every(({ ends }) => ends === 1))
    inner.accepted.forEach((recorder, i) => expect(recorder.bytes.equals(bodies[i]!)).toBe(true))
  })

  test('says that it has room whenever it has held bytes back', async () => {
    const [socket, peer] = await sockets()
    const link = new StreamLink(socket)
    let drains = 0
    link.onDrain = () => {
      drains++
    }
    peer.pause()
    while (link.bufferedBytes === 0) link.send(pattern(1_000_000, 1))
    expect(drains).toBe(0)
    peer.resume()
    await until(() => drains === 1)
    expect(link.bufferedBytes).toBe(0)
  })

  test('ends at a message that is longer than any', async () => {
    const [socket, peer] = await sockets()
    const { ends, messages } = hear(new StreamLink(socket))
    const header = Buffer.alloc(4)
    header.writeUInt32BE(MAX_MESSAGE_BYTES + 1)
    peer.write(header)
    await until(() => ends.length === 1)
    expect(ends).toEqual(['the peer sent what is no message of this link'])
    expect(messages).toEqual([])
  })

  test('closes after what was sent has left, and is told at either end, once', async () => {
    const [a, b] = await sockets()
    const [near, far] = [new StreamLink(a), new StreamLink(b)]
    const [nearHeard, farHeard] = [hear(near), hear(far)]
    const last = pattern(900_000, 1)
    near.send(last)
    near.close()
    near.close()
    near.send(pattern(1, 1))
    await until(() => nearHeard.ends.length === 1 && farHeard.ends.length === 1)
    expect(farHeard.messages.map(({ length }) => length)).toEqual([last.length])
    expect(farHeard.messages[0]!.equals(last)).toBe(true)
    expect(nearHeard.ends).toEqual(['closed here'])
    expect(farHeard.ends).toEqual(['the connection was closed'])
  })

  test('ends when what it is told throws, and nothing else does', async () => {
    const [a, b] = await sockets()
    const link = new StreamLink(a)
    const { ends } = hear(link)
    link.onMessage = () => {
      throw new Error('a fault of ours')
    }
    b.write(framed(pattern(3, 1)))
    await until(() => ends.length === 1)
    expect(ends[0]).toBe('internal fault: a fault of ours')
  })
})

describe('dialling one', () => {
  const dialled = (answer: (socket: Socket) => void): Promise<{ readonly links: Link[]; readonly failures: string[]; gone: number }> =>
    listen(createServer(socket => socket.on('error', () => undefined).once('data', () => answer(socket)))).then(port => {
      const told = { links: [] as Link[], failures: [] as string[], gone: 0 }
      const giveUp = dialStream(
        { url: `ws://127.0.0.1:${port}` },
        {
          onLink: link => void told.links.push(link),
          onFailure: reason => void told.failures.push(reason),
          onGone: () => {
            told.gone++
          },
        },
      )
      onCleanUp(giveUp)
      return told
    })

  test('has what came together with the answer', async () => {
    const told = await dialled(socket => void socket.write(Buffer.concat([Buffer.from(SWITCHED_HEAD), framed(pattern(9, 1))])))
    const messages: Buffer[] = []
    await until(() => told.links.length === 1)
    told.links[0]!.onMessage = message => void messages.push(message)
    // It came before there was anybody to hear it here; a session is there within `onLink`.
    expect(told.failures).toEqual([])
    told.links[0]!.destroy()
    await until(() => told.gone === 1)
  })

  test.each([
    ['another answer', (socket: Socket) => void socket.end('HTTP/1.1 404 Not Found\r\n\r\n'), 'HTTP/1.1 404 Not Found instead of a link'],
    ['an answer without an end', (socket: Socket) => void socket.write('HTTP/1.1 101 x'.repeat(400)), 'instead of a link'],
    ['no answer', (socket: Socket) => void socket.destroy(), 'the connection was closed before it was ready'],
  ])('fails at %s, and says so', async (_name, answer, words) => {
    const told = await dialled(answer)
    await until(() => told.failures.length === 1)
    expect(told.failures[0]).toContain(words)
    expect(told.links).toEqual([])
  })

  test('asks for its path', async () => {
    const heads: string[] = []
    const port = await listen(
      createServer(socket => socket.on('error', () => undefined).on('data', bytes => void heads.push(bytes.toString()))),
    )
    onCleanUp(dialStream({ url: `ws://127.0.0.1:${port}` }, { onLink: () => undefined, onFailure: () => undefined }))
    await until(() => heads.length > 0)
    expect(heads[0]).toMatch(new RegExp(`^GET ${STREAM_PATH} HTTP/1\\.1\\r\\n`))
  })
})
