import { describe, expect, test } from '@jest/globals'
import { ERRORS, GatewayError, type ErrorCode } from '../../src/errors.ts'
import { MemoryLink } from '../../src/link/memory-link.ts'
import { greet, introduce, type Greeting, type Introduction } from '../../src/mux/handshake.ts'
import { DEFAULT_LIMITS } from '../../src/mux/limits.ts'
import { decodeGoAway, encodeGoAway, encodeObject, MAX_HANDSHAKE_BYTES } from '../../src/wire/control.ts'
import { decodeBatch, encodeFrame, FrameType } from '../../src/wire/frame.ts'
import { until } from '../support/wait.ts'
import { turns } from './ends.ts'

interface Outcome {
  readonly ready: unknown[]
  readonly refused: { readonly code: ErrorCode; readonly reason: string }[]
}

const HELLO: Greeting['hello'] = {
  features: [],
  nonce: 'nonce',
  audience: 'audience',
  time: 1_790_000_000,
  validityMs: 60_000,
  limits: DEFAULT_LIMITS,
}

const startGreeting = (link: MemoryLink, verify: Greeting['verify'] = () => ({ session: 's', identifier: 'inner-1' })): Outcome => {
  const outcome: Outcome = { ready: [], refused: [] }
  greet(link, {
    hello: HELLO,
    verify,
    agent: 'outer 1',
    onReady: peer => outcome.ready.push(peer),
    onRefused: (code, reason) => outcome.refused.push({ code, reason }),
  })
  return outcome
}

const startIntroduction = (link: MemoryLink, prove: Introduction['prove'] = () => 'proof'): Outcome => {
  const outcome: Outcome = { ready: [], refused: [] }
  introduce(link, {
    prove,
    limits: { streams: 7, windowBytes: 65_536 },
    agent: 'inner 1',
    onReady: peer => outcome.ready.push(peer),
    onRefused: (code, reason) => outcome.refused.push({ code, reason }),
  })
  return outcome
}

/** What a peer played by the test receives. */
const collect = (peer: MemoryLink): { frames: { type: number; payload: Buffer }[]; isClosed: boolean } => {
  const seen = { frames: [] as { type: number; payload: Buffer }[], isClosed: false }
  peer.onMessage = message => decodeBatch(message, (type, _flags, _stream, payload) => seen.frames.push({ type, payload }))
  peer.onClose = () => {
    seen.isClosed = true
  }
  return seen
}

const AUTH = { version: 1, proof: 'proof', agent: 'a', limits: DEFAULT_LIMITS }
const authFrame = (change: object = {}): Buffer => encodeFrame(FrameType.AUTH, 0, 0, encodeObject({ ...AUTH, ...change }))
const helloFrame = (change: object = {}): Buffer =>
  encodeFrame(FrameType.HELLO, 0, 0, encodeObject({ min: 1, max: 1, ...HELLO, ...change }))
const goAwayOf = (frames: readonly { type: number; payload: Buffer }[]) =>
  frames.filter(({ type }) => type === FrameType.GOAWAY).map(({ payload }) => decodeGoAway(payload))

describe('the handshake', () => {
  test('HELLO, AUTH, READY: both ends learn what the other announced', async () => {
    const [outer, inner] = MemoryLink.pair()
    const greeting = startGreeting(outer, auth => ({ session: 'abc', identifier: `of ${auth.proof}` }))
    const introduction = startIntroduction(inner, hello => `${hello.nonce} signed`)
    await until(() => greeting.ready.length === 1 && introduction.ready.length === 1)
    expect(greeting.ready[0]).toEqual({
      ready: { session: 'abc', identifier: 'of nonce signed' },
      auth: { version: 1, proof: 'nonce signed', agent: 'inner 1', limits: { streams: 7, windowBytes: 65_536 } },
    })
    expect(introduction.ready[0]).toEqual({
      ready: { session: 'abc', identifier: 'of nonce signed', agent: 'outer 1' },
      hello: { min: 1, max: 1, ...HELLO },
    })
    expect([greeting.refused, introduction.refused]).toEqual([[], []])
  })

  test('the outer layer gives one attempt: the reason of a refusal stays in its log, the peer learns the kind', async () => {
    const [outer, inner] = MemoryLink.pair()
    const greeting = startGreeting(outer, () => {
      throw new GatewayError('AUTH', 'no key with thumbprint 4711 in /etc/keys')
    })
    const introduction = startIntroduction(inner)
    await until(() => greeting.refused.length === 1 && introduction.refused.length === 1)
    expect(greeting.refused).toEqual([{ code: 'AUTH', reason: 'no key with thumbprint 4711 in /etc/keys' }])
    expect(introduction.refused).toEqual([{ code: 'AUTH', reason: ERRORS.AUTH.text }])
  })

  test.each([
    ['verify', new Error('/etc/keys: permission denied')],
    ['verify', new GatewayError('FILE_UNREADABLE', '/etc/keys')],
  ] as const)('what goes wrong inside %s never reaches the peer', async (_where, thrown) => {
    const [outer, peer] = MemoryLink.pair()
    const seen = collect(peer)
    const greeting = startGreeting(outer, () => {
      throw thrown
    })
    peer.send(authFrame())
    await until(() => greeting.refused.length === 1 && seen.isClosed)
    expect(JSON.stringify(goAwayOf(seen.frames))).not.toContain('/etc')
    expect(greeting.refused[0]!.reason).toContain('/etc/keys')
  })

  test('what goes wrong while proving never reaches the outer layer', async () => {
    const [inner, peer] = MemoryLink.pair()
    const seen = collect(peer)
    const introduction = startIntroduction(inner, () => {
      throw new Error('/root/private-key.pem is gone')
    })
    peer.send(helloFrame())
    await until(() => introduction.refused.length === 1 && seen.isClosed)
    expect(introduction.refused[0]!.code).toBe('INTERNAL')
    expect(goAwayOf(seen.frames)).toEqual([{ lastStream: 0, code: ERRORS.INTERNAL.reset, reason: ERRORS.INTERNAL.text }])
  })

  const versions: readonly (readonly [string, object, string])[] = [
    [
      'an outer layer that is newer',
      { min: 2, max: 3 },
      'the outer layer speaks protocol versions 2 to 3, the inner layer version 1: upgrade the inner layer',
    ],
    [
      'an outer layer that is older',
      { min: 0, max: 0 },
      'the outer layer speaks protocol version 0, the inner layer version 1: upgrade the outer layer',
    ],
  ]
  test.each(versions)('%s: the text names the side to upgrade, on both sides', async (_name, change, text) => {
    const [inner, peer] = MemoryLink.pair()
    const seen = collect(peer)
    const introduction = startIntroduction(inner)
    peer.send(helloFrame(change))
    await until(() => introduction.refused.length === 1 && seen.isClosed)
    expect(introduction.refused[0]).toEqual({ code: 'VERSION', reason: text })
    expect(goAwayOf(seen.frames)).toEqual([{ lastStream: 0, code: ERRORS.VERSION.reset, reason: text }])
  })

  test.each([
    [2, 'the inner layer speaks protocol version 2, the outer layer version 1: upgrade the outer layer'],
    [0, 'the inner layer speaks protocol version 0, the outer layer version 1: upgrade the inner layer'],
  ])('an inner layer that insists on version %i: the text names the side to upgrade', async (version, text) => {
    const [outer, peer] = MemoryLink.pair()
    const seen = collect(peer)
    const greeting = startGreeting(outer)
    peer.send(authFrame({ version }))
    await until(() => seen.isClosed)
    expect(greeting.refused).toEqual([{ code: 'VERSION', reason: text }])
    expect(goAwayOf(seen.frames)[0]!.reason).toBe(text)
  })

  test('the highest common version is used', async () => {
    const [inner, peer] = MemoryLink.pair()
    const seen = collect(peer)
    startIntroduction(inner)
    peer.send(helloFrame({ min: 1, max: 9 }))
    await until(() => seen.frames.length === 1)
    expect(JSON.parse(seen.frames[0]!.payload.toString())).toMatchObject({ version: 1 })
  })

  const bad: readonly (readonly [string, Buffer])[] = [
    ['an empty message', Buffer.alloc(0)],
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a frame of another type', encodeFrame(FrameType.OPEN, 0, 1, Buffer.from('x'))],
    ['a frame of unknown type, even an ignorable one', encodeFrame(99, 0x80, 0)],
    ['two frames in one', Buffer.concat([authFrame(), authFrame()])],
    ['one that is no JSON', encodeFrame(FrameType.AUTH, 0, 0, Buffer.from('{'))],
    ['one that is null', encodeFrame(FrameType.AUTH, 0, 0, Buffer.from('null'))],
    ['one that is a list', encodeFrame(FrameType.AUTH, 0, 0, Buffer.from('[]'))],
    ['one without a proof', authFrame({ proof: undefined })],
    ['one whose proof is no text', authFrame({ proof: { length: 1 } })],
    ['one with a version in words', authFrame({ version: 'one' })],
    ['one without limits', authFrame({ limits: null })],
    ['one with a window of 0', authFrame({ limits: { streams: 1, windowBytes: 0 } })],
    ['one with a window of 2^31', authFrame({ limits: { streams: 1, windowBytes: 2 ** 31 } })],
    ['one with half a stream', authFrame({ limits: { streams: 0.5, windowBytes: 1 } })],
    ['more than 8 KiB before anything was proven', authFrame({ agent: 'x'.repeat(MAX_HANDSHAKE_BYTES) })],
  ]
  test.each(bad)('the outer layer ends with PROTOCOL at %s, and asks nobody whether it is proven', async (_name, message) => {
    const [outer, peer] = MemoryLink.pair()
    const seen = collect(peer)
    let asked = 0
    const greeting = startGreeting(outer, () => {
      asked++
      return { session: '', identifier: '' }
    })
    peer.send(message)
    peer.send(authFrame()) // a second attempt there is not
    await until(() => seen.isClosed)
    expect([greeting.refused.map(({ code }) => code), greeting.ready, asked]).toEqual([['PROTOCOL'], [], 0])
    expect(goAwayOf(seen.frames)[0]!.code).toBe(ERRORS.PROTOCOL.reset)
  })

  test.each([
    ['AUTH instead of HELLO', [authFrame()]],
    ['HELLO without a nonce', [helloFrame({ nonce: 5 })]],
    ['HELLO with features that are no texts', [helloFrame({ features: [1] })]],
    ['HELLO with a time that is no number', [helloFrame({ time: 'now' })]],
    ['HELLO with a negative validity', [helloFrame({ validityMs: -1 })]],
    ['HELLO twice', [helloFrame(), helloFrame()]],
    ['READY without an identifier', [helloFrame(), encodeFrame(FrameType.READY, 0, 0, Buffer.from('{"session":"s","agent":"a"}'))]],
  ])('the inner layer ends with PROTOCOL at %s', async (_name, messages) => {
    const [inner, peer] = MemoryLink.pair()
    const seen = collect(peer)
    const introduction = startIntroduction(inner)
    for (const message of messages) peer.send(message)
    await until(() => seen.isClosed)
    expect([introduction.refused.map(({ code }) => code), introduction.ready]).toEqual([['PROTOCOL'], []])
  })

  test('members that nobody knows are ignored', async () => {
    const [outer, peer] = MemoryLink.pair()
    const greeting = startGreeting(outer)
    peer.send(authFrame({ future: { anything: [1, 2] } }))
    await until(() => greeting.ready.length === 1)
  })

  test('a GOAWAY of the peer is reported with its code and answered by silence', async () => {
    const [inner, peer] = MemoryLink.pair()
    const seen = collect(peer)
    const introduction = startIntroduction(inner)
    peer.send(encodeFrame(FrameType.GOAWAY, 0, 0, encodeGoAway(0, ERRORS.KEY_REMOVED.reset, 'gone\nFAKE LOG LINE')))
    await until(() => seen.isClosed)
    expect(introduction.refused).toEqual([{ code: 'KEY_REMOVED', reason: 'gone?FAKE LOG LINE' }])
    expect(seen.frames).toEqual([])
  })

  test('a link that is lost during the handshake is one refusal', async () => {
    const [outer, peer] = MemoryLink.pair()
    const greeting = startGreeting(outer)
    peer.destroy()
    await until(() => greeting.refused.length === 1)
    outer.destroy()
    await turns()
    expect(greeting.refused.map(({ code }) => code)).toEqual(['INNER_LAYER_LOST'])
  })

  test('a peer that says nothing is refused after five seconds, on either end', async () => {
    const startedMs = performance.now()
    const pairs = [MemoryLink.pair(), MemoryLink.pair()]
    const seen = pairs.map(([, peer]) => collect(peer))
    const outcomes = [startGreeting(pairs[0]![0]), startIntroduction(pairs[1]![0])]
    await until(() => seen.every(({ isClosed }) => isClosed))
    expect(performance.now() - startedMs).toBeGreaterThan(4_950)
    for (const { refused } of outcomes) expect(refused).toEqual([{ code: 'AUTH_TIMEOUT', reason: 'no answer within 5 s' }])
    for (const { frames } of seen) expect(goAwayOf(frames).map(({ code }) => code)).toEqual([ERRORS.AUTH_TIMEOUT.reset])
  })

  test('a fault in the owner of a proven link closes the link', async () => {
    const [outer, peer] = MemoryLink.pair()
    const seen = collect(peer)
    greet(outer, {
      hello: HELLO,
      verify: () => ({ session: '', identifier: '' }),
      agent: '',
      onReady: () => {
        throw new Error('a fault of ours')
      },
      onRefused: () => undefined,
    })
    peer.send(authFrame())
    await until(() => seen.isClosed)
  })
})
