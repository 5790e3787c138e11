/** Notes that carry origin profiles: what is announced can be referred to, and nothing that a peer sends ends the process. */
import { describe, expect, test } from '@jest/globals'
import { decodeNote, encodeNote, parseProfileNote } from '../../src/payload/origin-profile.ts'
import { decodeResponseHead } from '../../src/payload/head-codec.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import type { Session } from '../../src/mux/session.ts'
import { OriginProfiles } from '../../src/outer/inner-layers/origin-profiles.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange, requestHead, startEvilOuter } from '../support/evil.ts'
import { captureLog, privateKeyOf, testKeyPair } from '../support/layers.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const startInner = async (): Promise<{ session: Session; originPort: number; isUp: () => boolean }> => {
  const origin = await startRawOrigin()
  const outer = await startEvilOuter()
  const inner = createInnerLayer(
    {
      privateKey: privateKeyOf(await testKeyPair()),
      outerLayers: [outer.url],
      identifier: 'inner-layer',
      connections: 1,
      allowList: new AllowList([`127.0.0.1:${origin.port}`]),
      drainTimeoutMs: 1_000,
    },
    captureLog(),
  )
  onCleanUp(() => inner.destroy())
  await inner.start()
  return { session: await outer.session, originPort: origin.port, isUp: () => inner.connectionCount === 1 }
}

describe('notes', () => {
  test.each([
    ['no JSON', 'x'],
    ['no object', '1'],
    ['null', 'null'],
    ['no kind', '{}'],
    ['a kind that is no text', '{"note":1}'],
  ])('%s is a violation', (_name, text) => {
    expect(() => decodeNote(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
  })

  test.each([
    { number: 0, profile: {} },
    { number: 65_536, profile: {} },
    { number: 1.5, profile: {} },
    { number: 1, profile: null },
    { number: 1, profile: { http2: 'yes' } },
    { number: 1, profile: { tls: { ca: 1 } } },
    { number: 1, profile: { tls: [], timeouts: { connectMs: -1 } } },
    { number: 1, profile: { timeouts: { connectMs: 1e12 } } },
  ])('the profile %j is a violation', note => {
    expect(() => parseProfileNote(note)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
  })

  test('a profile comes out as it went in, without what is not known', () => {
    const profile = { http2: true, tls: { ca: 'PEM', verify: false }, timeouts: { connectMs: 5, idleMs: 0 } }
    const payload = encodeNote({ note: 'profile', number: 7, profile: { ...profile, later: 1 } } as { note: string })
    expect(parseProfileNote(decodeNote(payload))).toEqual({ note: 'profile', number: 7, profile })
  })
})

describe('the book of profiles', () => {
  test('adds what every profile has; of time-outs, those of the profile go before', () => {
    const book = new OriginProfiles({ timing: true, timeouts: { connectMs: 7 } })
    const told: string[] = []
    const session = { note: (payload: Uint8Array) => void told.push(Buffer.from(payload).toString()) }
    book.announce(session, book.numberOf(undefined))
    book.announce(session, book.numberOf({ timeouts: { headMs: 5 } }))
    book.announce(session, book.numberOf({ timeouts: { connectMs: 3 } }))
    expect(told.map(text => (JSON.parse(text) as { profile: unknown }).profile)).toEqual([
      { timing: true, timeouts: { connectMs: 7 } },
      { timing: true, timeouts: { connectMs: 7, headMs: 5 } },
      { timing: true, timeouts: { connectMs: 3 } },
    ])
  })

  test('gives the same content the same number, and tells a session each number once', () => {
    const book = new OriginProfiles()
    const told: string[] = []
    const session = { note: (payload: Uint8Array) => void told.push(Buffer.from(payload).toString()) }
    expect(book.numberOf(undefined)).toBe(0)
    expect(book.numberOf({ http2: true })).toBe(1)
    expect(book.numberOf({ http2: false })).toBe(2)
    expect(book.numberOf({ http2: true })).toBe(1)
    for (const number of [0, 1, 1, 2, 1]) book.announce(session, number)
    expect(told).toEqual([
      '{"note":"profile","number":1,"profile":{"http2":true}}',
      '{"note":"profile","number":2,"profile":{"http2":false}}',
    ])
  })
})

describe('an inner layer', () => {
  test('serves a request whose profile was announced, and resets one whose was not', async () => {
    const { session, originPort } = await startInner()
    const refused = await exchange(session, requestHead({ port: originPort, profile: 3 }))
    expect(refused).toMatchObject({ end: 'PROTOCOL' })
    session.note(encodeNote({ note: 'profile', number: 3, profile: {} } as { note: string }))
    const served = await exchange(session, requestHead({ port: originPort, profile: 3 }))
    expect(decodeResponseHead(served.heads[0]!).status).toBe(200)
  })

  test('ignores a kind of note that it does not know, and leaves a session whose notes are broken', async () => {
    const { session, originPort, isUp } = await startInner()
    session.note(encodeNote({ note: 'of-the-future' }))
    expect((await exchange(session, requestHead({ port: originPort }))).end).toBe('end')
    session.note(Buffer.from('{'))
    await until(() => !isUp())
  })
})
