/** What either end says about the health of origins, also when it is broken or taken. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  encodeHealthChecks,
  encodeHealthReport,
  parseHealthNote,
  parseHealthReport,
  type HealthCheck,
} from '../../src/payload/health-note.ts'
import { decodeNote, encodeNote } from '../../src/payload/origin-profile.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import type { Session } from '../../src/mux/session.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { connectEvilInner, startEvilOuter } from '../support/evil.ts'
import { exchange as ask } from '../support/exchange.ts'
import { captureLog, privateKeyOf, startLayers, testKeyPair } from '../support/layers.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const checkOf = (port: number, more: Partial<HealthCheck> = {}): HealthCheck => ({
  number: 1,
  protocol: 'http',
  hostname: '127.0.0.1',
  port,
  host: 'origin.test',
  path: '/healthz',
  profile: 0,
  intervalMs: 250,
  timeoutMs: 1_000,
  unhealthy: 1,
  healthy: 1,
  ...more,
})

describe('notes about health', () => {
  test('come out as they went in, in as many notes as they need', () => {
    const checks = Array.from({ length: 40 }, (_, i) => checkOf(80, { number: i + 1, path: `/${'x'.repeat(1_900)}` }))
    const notes = encodeHealthChecks(checks)
    for (const note of notes) expect(note.length).toBeLessThan(65_536)
    const parsed = notes.map(note => parseHealthNote(decodeNote(note)))
    expect(parsed.map(({ isFirst }) => isFirst)).toEqual([true, false, false])
    expect(parsed.flatMap(note => note.checks)).toEqual(checks)
    expect(encodeHealthChecks([]).map(note => parseHealthNote(decodeNote(note)))).toEqual([{ note: 'health', isFirst: true, checks: [] }])
    const report = { number: 7, isHealthy: false, reason: 'status 503' }
    expect(parseHealthReport(decodeNote(encodeHealthReport(report)))).toEqual({ note: 'health-report', ...report })
  })

  test.each([
    { path: 'x' },
    { path: '/a b' },
    { path: '/a\r\nX: y' },
    { host: 'a\r\nX: y' },
    { host: '' },
    { hostname: 'a b' },
    { port: 0 },
    { port: '80' },
    { protocol: 'ftp' },
    { intervalMs: 0 },
    { intervalMs: 1e12 },
    { profile: -1 },
    { number: 0 },
    { unhealthy: 0.5 },
  ])('a check with %j is a violation', more => {
    expect(() => parseHealthNote({ isFirst: true, checks: [{ ...checkOf(80), ...more }] })).toThrow(
      expect.objectContaining({ code: 'PROTOCOL' }),
    )
  })

  test('anything else is a violation or well formed, never another fault', () => {
    fc.assert(
      fc.property(fc.object(), note => {
        for (const parse of [parseHealthNote, parseHealthReport]) {
          try {
            parse(note)
          } catch (error) {
            expect(error).toMatchObject({ code: 'PROTOCOL' })
          }
        }
      }),
    )
  })
})

const startInner = async (
  allow: readonly string[] = [],
): Promise<{ session: Session; notes: string[]; port: number; hits: () => number; paths: () => string[]; isUp: () => boolean }> => {
  const origin = await startRawOrigin()
  const notes: string[] = []
  const outer = await startEvilOuter('inner-layer', payload => notes.push(payload.toString()))
  const inner = createInnerLayer(
    {
      privateKey: privateKeyOf(await testKeyPair()),
      outerLayers: [outer.url],
      identifier: 'inner-layer',
      connections: 1,
      allowList: new AllowList(allow),
      drainTimeoutMs: 1_000,
    },
    { log: captureLog().log },
  )
  onCleanUp(() => inner.destroy())
  await inner.start()
  const session = await outer.session
  return {
    session,
    notes,
    port: origin.port,
    hits: () => origin.hits,
    paths: () => origin.requests.map(({ target }) => target),
    isUp: () => inner.connectionCount === 1,
  }
}

describe('an inner layer', () => {
  test('reports what it finds, once for each change', async () => {
    const { session, notes, port, hits } = await startInner()
    for (const note of encodeHealthChecks([checkOf(port), checkOf(1, { number: 2 })])) session.note(note)
    await until(() => notes.length === 2 && hits() > 2)
    expect(notes.map(note => JSON.parse(note) as { number: number; isHealthy: boolean })).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ number: 1, isHealthy: true }),
        expect.objectContaining({ number: 2, isHealthy: false }),
      ]),
    )
    expect(notes).toHaveLength(2)
  })

  test('does not ask where its allow-list forbids it', async () => {
    const { session, notes, port, hits } = await startInner(['10.0.0.1:80'])
    for (const note of encodeHealthChecks([checkOf(port)])) session.note(note)
    await until(() => notes.length === 1)
    expect(notes[0]).toMatch(/"isHealthy":false,"reason":"127\.0\.0\.1:\d+ is not allowed/)
    expect(hits()).toBe(0)
  })

  test('stops to ask for what is no longer wanted', async () => {
    const { session, notes, port, paths } = await startInner()
    session.note(encodeHealthChecks([checkOf(port)])[0]!)
    await until(() => notes.length === 1)
    session.note(encodeHealthChecks([checkOf(port, { path: '/other' })])[0]!)
    const asked = (path: string): number => paths().filter(each => each === path).length
    await until(() => asked('/other') === 1)
    const before = asked('/healthz')
    await until(() => asked('/other') === 4)
    expect(asked('/healthz')).toBe(before)
  })

  test.each([
    ['a check that is broken', encodeNote({ note: 'health', isFirst: true, checks: [{}] } as { note: string })],
    ['a profile that was never announced', encodeHealthChecks([checkOf(80, { profile: 9 })])[0]!],
  ])('ends the session, and not itself, at %s', async (_, note) => {
    const { session, isUp } = await startInner()
    session.note(note)
    await until(() => !isUp())
  })
})

test('an outer layer believes no report that it has not asked for, and lives through any', async () => {
  const origin = await startRawOrigin()
  const layers = await startLayers({ origin: origin.port, inners: 1 })
  const evil = await connectEvilInner(layers, stream => stream.reset('REFUSED_STREAM', 'no'))
  for (let number = 1; number < 50; number++) evil.note(encodeHealthReport({ number, isHealthy: false, reason: '\u001b[2J'.repeat(1_000) }))
  evil.note(encodeNote({ note: 'something new' }))
  expect((await ask(layers.port, { host: 'a.test' })).status).toBe(200)
  expect(layers.outerLogs.filter(({ msg }) => msg.includes('healthy'))).toEqual([])
  evil.note(encodeNote({ note: 'health-report', number: 'x' } as { note: string }))
  await layers.connected(1)
  expect((await ask(layers.port, { host: 'a.test' })).status).toBe(200)
})
