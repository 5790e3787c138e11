import { describe, expect, test } from '@jest/globals'
import { HEAD_ROOM_BYTES, MAX_MESSAGE_BYTES, type Link } from '../../src/mux/link.ts'
import { within, until } from '../support/wait.ts'
import { dial } from '../../src/link/dialer.ts'
import { dialLink, inbox, linkPair, pattern, startListener, type LinkPair } from './pair.ts'

const SIZES = [1, 2, 125, 126, 127, 4_096, 16_383, 65_535, 65_536, 65_537, 262_144, MAX_MESSAGE_BYTES - 1, MAX_MESSAGE_BYTES]

/** Both ends by their names: every claim about sending holds for either. */
const ENDS: readonly (readonly [string, (pair: LinkPair) => { readonly from: Link; readonly to: Link }])[] = [
  ['the dialled end', ({ dialled, accepted }) => ({ from: dialled, to: accepted })],
  ['the accepted end', ({ dialled, accepted }) => ({ from: accepted, to: dialled })],
]

describe('the wall clock', () => {
  test.each([120_000, -120_000])('may jump by %d ms: a link that goes on sending does not end', async jumpMs => {
    const { dialled, accepted } = await linkPair()
    const [sender, receiver] = [inbox(dialled), inbox(accepted)]
    const { now } = Date
    try {
      Date.now = () => now() + jumpMs
      dialled.send(Buffer.from('after the jump'))
      await until(() => receiver.messages.length === 1)
      accepted.send(Buffer.from('and back'))
      await until(() => sender.messages.length === 1)
      await new Promise(setImmediate)
      expect([sender.closed, receiver.closed]).toEqual([[], []])
    } finally {
      Date.now = now
    }
  })
})

test('bytes of a message that is not complete are counted as they come', async () => {
  const pair = await linkPair({ splitAt: 1_000, bytesPerSecond: 200_000 })
  const box = inbox(pair.accepted)
  const before = pair.accepted.receivedBytes
  pair.dialled.send(pattern(200_000, 3))
  await until(() => pair.accepted.receivedBytes > before + 50_000)
  expect(box.messages.length).toBe(0)
  await until(() => box.messages.length === 1)
  expect(pair.accepted.receivedBytes).toBeGreaterThanOrEqual(before + 200_000)
})

describe.each(ENDS)('a link over socket.io, sending from %s,', (_name, ends) => {
  test('carries messages from 1 byte to 1 MiB in order and intact', async () => {
    const { from, to } = ends(await linkPair({ splitAt: 100_003 }))
    const box = inbox(to)
    const sent = SIZES.map((size, i) => pattern(size, i))
    for (const message of sent) from.send(message)
    await until(() => box.messages.length === sent.length)
    box.messages.forEach((message, i) => expect(message.equals(sent[i]!)).toBe(true))
    expect(box.closed).toEqual([])
  })

  test('counts what the system has not taken, and fires onDrain when it has', async () => {
    const pair = await linkPair({ maxInFlightBytes: 65_536 })
    const { from, to } = ends(pair)
    const [sender, receiver] = [inbox(from), inbox(to)]
    pair.relay.pause()
    const message = pattern(262_144, 7)
    let sent = 0
    // The kernels on the way take some megabytes; then it stays.
    while (from.bufferedBytes < 2_000_000) {
      from.send(message)
      sent++
      if (sent > 1_000) throw new Error('nothing ever piles up')
      await new Promise(setImmediate)
    }
    const drains = sender.drains
    pair.relay.resume()
    await until(() => receiver.messages.length === sent)
    await until(() => sender.drains > drains)
    expect(from.bufferedBytes).toBe(0)
  })

  test('never counts a byte twice', async () => {
    const pair = await linkPair()
    const { from } = ends(pair)
    pair.relay.pause()
    let sent = 0
    for (let i = 0; i < 40; i++) {
      from.send(pattern(100_000, i))
      sent += 100_000
      if (i % 3 === 0) await new Promise(setImmediate)
      // A header of the websocket is at most 14 bytes.
      expect(from.bufferedBytes).toBeLessThanOrEqual(sent + 14 * (i + 1))
    }
  })

  test.each([5_000, 15_000, 17_000, 40_000, 70_000])(
    'fires onDrain also when no more than one message of %i bytes has stayed',
    async size => {
      const pair = await linkPair({ maxInFlightBytes: 65_536 })
      const { from, to } = ends(pair)
      const receiver = inbox(to)
      const message = pattern(size, size)
      pair.relay.pause()
      let sent = 0
      // One at a time until the kernels on the way are full: what stays is the last one alone, below any high-water mark for the small.
      do {
        from.send(message)
        sent++
      } while (!(await stays(from)))
      expect(from.bufferedBytes).toBeLessThanOrEqual(size + 14)
      const drained = new Promise<void>(resolve => {
        from.onDrain = resolve
      })
      pair.relay.resume()
      await within(drained, 'onDrain')
      expect(from.bufferedBytes).toBe(0)
      await until(() => receiver.messages.length === sent)
    },
  )

  test('close() delivers all that was sent before, then both ends close once', async () => {
    const { from, to } = ends(await linkPair())
    const [sender, receiver] = [inbox(from), inbox(to)]
    const sent = [...SIZES, 1, 2, 3].map((size, i) => pattern(size, i))
    for (const message of sent) from.send(message)
    from.close()
    from.close()
    from.send(Buffer.from('too late'))
    await until(() => receiver.closed.length > 0 && sender.closed.length > 0)
    expect(receiver.messages.map(({ length }) => length)).toEqual(sent.map(({ length }) => length))
    from.destroy()
    to.close()
    await new Promise(setImmediate)
    expect([sender.closed.length, receiver.closed.length]).toEqual([1, 1])
  })

  test('close() right after one small message delivers it', async () => {
    for (let round = 0; round < 10; round++) {
      const { from, to } = ends(await linkPair())
      const receiver = inbox(to)
      from.send(Buffer.from('last words'))
      from.close()
      await until(() => receiver.closed.length > 0)
      expect(String(receiver.messages)).toBe('last words')
    }
  })

  test('destroy() ends both ends at once', async () => {
    const { from, to } = ends(await linkPair())
    const [sender, receiver] = [inbox(from), inbox(to)]
    from.destroy()
    await until(() => receiver.closed.length === 1 && sender.closed.length === 1)
  })

  test('a cut on the way closes it on both ends', async () => {
    const pair = await linkPair()
    const { from, to } = ends(pair)
    const [sender, receiver] = [inbox(from), inbox(to)]
    pair.relay.cut()
    await until(() => receiver.closed.length === 1 && sender.closed.length === 1)
    from.send(Buffer.from('into the void'))
    from.close()
  })

  test('a cut while bytes wait closes it on both ends, and so does one while it closes', async () => {
    for (const closes of [false, true]) {
      const pair = await linkPair({ maxInFlightBytes: 65_536 })
      const { from, to } = ends(pair)
      const [sender, receiver] = [inbox(from), inbox(to)]
      pair.relay.pause()
      do from.send(pattern(5_000, 1))
      while (!(await stays(from)))
      const { drains } = sender
      if (closes) from.close()
      pair.relay.cut()
      await until(() => receiver.closed.length === 1 && sender.closed.length === 1)
      expect(sender.drains).toBe(drains)
    }
  })

  test('a message beyond the limit ends this link, and no other', async () => {
    const pair = await linkPair()
    const { from, to } = ends(pair)
    const other = await dialLink(pair.listening.port)
    const [sender, receiver, bystander] = [inbox(from), inbox(to), inbox(other)]
    from.send(pattern(MAX_MESSAGE_BYTES + 1, 1))
    await until(() => receiver.closed.length === 1 && sender.closed.length === 1)
    expect(receiver.messages).toEqual([])
    const peer = await until(() => pair.listening.links[1])
    peer.send(Buffer.from('still here'))
    await until(() => bystander.messages.length === 1)
    expect(bystander.closed).toEqual([])
  })
})

test('close() towards a peer that takes nothing gives up after five seconds, on either end', async () => {
  const closed = ENDS.map(async ([, ends]) => {
    const pair = await linkPair()
    const { from } = ends(pair)
    const sender = inbox(from)
    pair.relay.pause()
    for (let i = 0; i < 40; i++) from.send(Buffer.alloc(MAX_MESSAGE_BYTES))
    from.close()
    await until(() => sender.closed.length > 0)
  })
  await Promise.all(closed)
})

describe('closing a listener', () => {
  test('delivers what was sent, closes every link and frees the port', async () => {
    const listening = await startListener(undefined, link => {
      link.onMessage = () => {
        for (let i = 0; i < 5; i++) link.send(pattern(200_000, i))
        void listening.close()
      }
    })
    const links = await Promise.all([dialLink(listening.port), dialLink(listening.port)])
    const boxes = links.map(inbox)
    await until(() => listening.links.length === 2)
    links[0].send(Buffer.from('go'))
    await until(() => boxes.every(({ closed }) => closed.length === 1))
    expect(boxes[0]!.messages.map(({ length }) => length)).toEqual([200_000, 200_000, 200_000, 200_000, 200_000])
    await listening.close()
    expect(listening.server.listening).toBe(false)
    await expect(dialLink(listening.port)).rejects.toThrow(/ECONNREFUSED.*; nothing listens there: is the outer layer running/)
  })
})

test('to a name that nobody has says so, and which option has it', async () => {
  // A label of more than 63 characters is none to any resolver, and no name server is asked.
  const failure = new Promise<string>((resolve, reject) => {
    dial({ url: `ws://${'a'.repeat(64)}.invalid:3001` }, { onLink: () => reject(new Error('a link')), onFailure: resolve })
  })
  expect(await failure).toMatch(/ENOTFOUND.*; there is no such name: is the URL of --outer-layer right\?$/)
})

/** True when bytes stay in `link`; false as soon as there are none. */
async function stays(link: Link): Promise<boolean> {
  const since = performance.now()
  while (link.bufferedBytes > 0) {
    if (performance.now() - since > 200) return true
    await new Promise(setImmediate)
  }
  return false
}

describe.each(ENDS)('messages with room for a head before them, sent from %s,', (_name, ends) => {
  test('arrive in order and intact among those without', async () => {
    const { from, to } = ends(await linkPair({ splitAt: 100_003 }))
    const box = inbox(to)
    const sent = SIZES.map((size, i) => pattern(size, i))
    for (const [i, message] of sent.entries()) {
      const memory = Buffer.concat([Buffer.alloc(HEAD_ROOM_BYTES), message])
      if (i % 3 === 2) from.send(message)
      else from.send(memory.subarray(HEAD_ROOM_BYTES), true)
    }
    await until(() => box.messages.length === sent.length)
    box.messages.forEach((message, i) => expect(message.equals(sent[i]!)).toBe(true))
    expect(box.closed).toEqual([])
  })
})
