/** A channel as a stream: what it grants, when a write is done, how it ends. */
import { describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { INITIAL_WINDOW_BYTES, TunnelChannel, type ChannelWire } from '../../src/ssh/tunnel-channel.ts'

const KIB = 1_024

/** The other end: what was said to it, and a connection that may be jammed. */
class Wire implements ChannelWire {
  isJammed = false
  readonly said: string[] = []
  granted = 0
  sent = 0
  readonly #resumes = new Set<() => void>()

  whenFree(resume: () => void): void {
    this.#resumes.add(resume)
  }

  free(): void {
    this.isJammed = false
    for (const resume of [...this.#resumes].filter(each => this.#resumes.delete(each))) resume()
  }

  data(bytes: Buffer): void {
    this.sent += bytes.length
    this.said.push(`data ${bytes.length}`)
  }

  grant(bytes: number): void {
    this.granted += bytes
  }

  eof(): void {
    this.said.push('eof')
  }

  close(): void {
    this.said.push('close')
  }
}

const channelOn = (wire: Wire, more: { readonly credit?: number; readonly holdsEof?: boolean } = {}): TunnelChannel =>
  new TunnelChannel({
    wire,
    credit: more.credit ?? 1_048_576,
    maxPacketBytes: 32 * KIB,
    window: { budget: new GrowthBudget(0), clock: () => performance.now(), roundTripMs: () => 0 },
    holdsEof: more.holdsEof === true,
    lingerMs: 60_000,
  })

/** Resolves when events that are due have come. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('what a client may send', () => {
  test('is granted anew when it was read, not when it came', async () => {
    const wire = new Wire()
    const channel = channelOn(wire)
    for (let i = 0; i < 4; i++) channel.onBytes(Buffer.alloc(16 * KIB))
    await settled()
    expect([wire.granted, channel.readableLength]).toEqual([0, INITIAL_WINDOW_BYTES])
    expect(() => channel.onBytes(Buffer.alloc(1))).toThrow('bytes over the window')
    channel.read(32 * KIB)
    expect(wire.granted).toBe(32 * KIB)
    channel.resume()
    await settled()
    expect(wire.granted).toBe(INITIAL_WINDOW_BYTES)
  })

  test('is granted while somebody reads along, and for standard error at once', async () => {
    const wire = new Wire()
    const channel = channelOn(wire)
    let read = 0
    channel.on('data', (bytes: Buffer) => (read += bytes.length))
    await settled()
    for (let i = 0; i < 64; i++) channel.onBytes(Buffer.alloc(16 * KIB))
    expect(read).toBe(1_024 * KIB)
    expect(wire.granted).toBe(1_024 * KIB)
    channel.discard(INITIAL_WINDOW_BYTES)
    expect(wire.granted).toBe(1_024 * KIB + INITIAL_WINDOW_BYTES)
  })
})

describe('a write', () => {
  test('is done when the connection has room, and waits for credit', () => {
    const wire = new Wire()
    const channel = channelOn(wire, { credit: 48 * KIB })
    let done = 0
    wire.isJammed = true
    channel.write(Buffer.alloc(40 * KIB), () => done++)
    expect([wire.said, done]).toEqual([[], 0])
    wire.free()
    expect(wire.said).toEqual([`data ${32 * KIB}`, `data ${8 * KIB}`])
    channel.write(Buffer.alloc(40 * KIB), () => done++)
    expect(wire.sent).toBe(48 * KIB)
    channel.onCredit(32 * KIB)
    expect(wire.sent).toBe(80 * KIB)
  })

  test('of several small pieces is one packet', () => {
    const wire = new Wire()
    const channel = channelOn(wire)
    channel.cork()
    for (let i = 0; i < 5; i++) channel.write(Buffer.alloc(100))
    channel.uncork()
    expect(wire.said).toEqual(['data 500'])
  })
})

describe('an end', () => {
  test('is one of a half; the channel closes after both', async () => {
    const wire = new Wire()
    const channel = channelOn(wire)
    channel.end('last words')
    await settled()
    expect(wire.said).toEqual(['data 10', 'eof'])
    channel.onBytes(Buffer.from('reply'))
    channel.onEof()
    const closed = once(channel, 'close')
    channel.resume()
    await closed
    expect(wire.said).toEqual(['data 10', 'eof', 'close'])
  })

  test('is not told to a client that would close at it', async () => {
    const wire = new Wire()
    const channel = channelOn(wire, { holdsEof: true })
    channel.end('question')
    await settled()
    expect(wire.said).toEqual(['data 8'])
    channel.onBytes(Buffer.from('reply'))
    channel.onClose()
    const closed = once(channel, 'close')
    let text = ''
    channel.on('data', (bytes: Buffer) => (text += bytes.toString()))
    await closed
    expect([text, wire.said]).toEqual(['reply', ['data 8', 'close']])
  })

  test('by a close takes what is still written, and leaves the reader the rest', async () => {
    const wire = new Wire()
    const channel = channelOn(wire)
    channel.onBytes(Buffer.from('rest'))
    channel.onClose()
    expect(wire.said).toEqual(['close'])
    channel.onBytes(Buffer.from('too late'))
    let text = ''
    channel.on('data', (bytes: Buffer) => (text += bytes.toString()))
    await once(channel, 'end')
    channel.end('nobody reads it')
    await once(channel, 'close')
    expect([text, wire.said]).toEqual(['rest', ['close']])
  })

  test('by us is a close at once', () => {
    const wire = new Wire()
    channelOn(wire).destroy()
    expect(wire.said).toEqual(['close'])
  })
})
