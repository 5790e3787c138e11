/** Messages between the processes of one outer layer. */
import { describe, expect, test } from '@jest/globals'
import { PeerBook } from '../../src/peers/peer-book.ts'
import { parseCounts, splitCounts } from '../../src/peers/split-counts.ts'
import { DeviceRequests } from '../../src/visitors/login/device-requests.ts'
import { SharedRevocations } from '../../src/visitors/session/shared-revocations.ts'
import type { Revocation } from '../../src/visitors/session/revocations.ts'
import { joinedPeers } from '../support/peers.ts'

const WANTED = { tunnels: ['db.lan:5432'], address: '127.0.0.1', gateway: undefined }
const RESULT = { token: 'secret', expiresMs: 1 }

describe('a login of a program', () => {
  test('begins at one process, is decided on at another, and its token is got at a third, once', async () => {
    const [a, b, c] = joinedPeers(3).map(peers => new DeviceRequests(Date.now, peers)) as [DeviceRequests, DeviceRequests, DeviceRequests]
    const { deviceCode, request } = a.begin(WANTED)!
    expect(b.find(request.userCode)).toMatchObject(WANTED)
    const waiting = c.poll(deviceCode, 60_000)
    b.decide(request.userCode, RESULT)
    expect(await waiting).toEqual(RESULT)
    expect(b.find(request.userCode)).toBeUndefined()
    expect([await a.poll(deviceCode, 0), await b.poll(deviceCode, 0), await c.poll(deviceCode, 0)]).toEqual(Array(3).fill('expired_token'))
  })

  test('is waited for where it has not been heard of yet', async () => {
    const [first, second] = joinedPeers(2) as [PeerBook, PeerBook]
    const late: (() => void)[] = []
    first.attach({
      send: (topic, message) => late.push(() => second.took('0', topic, message)) > 0,
      sendTo: () => undefined,
    })
    const [a, b] = [new DeviceRequests(Date.now, first), new DeviceRequests(Date.now, second)]
    const { deviceCode } = a.begin(WANTED)!
    const asked = b.poll(deviceCode, 0)
    late.forEach(tell => tell())
    expect(await asked).toBe('authorization_pending')
  })

  test('is told to a process that comes later', async () => {
    const [first, second] = joinedPeers(2) as [PeerBook, PeerBook]
    const a = new DeviceRequests(Date.now, first)
    const { deviceCode } = a.begin(WANTED)!
    const b = new DeviceRequests(Date.now, second)
    first.came('1')
    expect(await b.poll(deviceCode, 0)).toBe('authorization_pending')
  })

  test.each([
    null,
    7,
    {},
    { over: 7 },
    { request: null },
    { request: { key: 'k' } },
    { request: { ...WANTED, key: 'k', userCode: 'u', expiresMs: '1' } },
  ])('is not what another release says: %j', message => {
    const [first, second] = joinedPeers(2) as [PeerBook, PeerBook]
    const requests = new DeviceRequests(Date.now, second)
    first.tell('device', message)
    expect(requests.find('u')).toBeUndefined()
  })
})

describe('revocations', () => {
  const [ended, other]: readonly Revocation[] = [
    { kind: 'email', atMs: 1, email: 'ada@example.io' },
    { kind: 'all', atMs: 2 },
  ]

  test('are in force at all processes, each once, and are told to one that comes later', () => {
    const books = joinedPeers(3)
    const heard: (readonly Revocation[])[][] = [[], [], []]
    const [a, b] = books.slice(0, 2).map((peers, index) => new SharedRevocations({ peers, apply: all => heard[index]!.push(all) }))
    a!.read([ended!])
    // Its file has it now as well, in another order.
    b!.read([{ email: 'ada@example.io', kind: 'email', atMs: 1 }])
    b!.read([ended!, other!])
    expect(heard).toEqual([[[other]], [[ended]], []])
    new SharedRevocations({ peers: books[2]!, apply: all => heard[2]!.push(all) })
    books[0]!.came('2')
    expect(heard[2]).toEqual([[ended, other]])
  })
})

describe('counts', () => {
  test('that are many are told in messages that fit, and none of them is lost', () => {
    const rate = { perSecond: 1, burst: 2 }
    const counts = Array.from({ length: 3_000 }, (_, index) => [`${index} ${'\u0001'.repeat(30)}`, 1] as const)
    const change = { taken: [{ meter: 'm', rate, counts }], held: counts.map(([key]) => ['t', key, 2] as const) }
    const parts = splitCounts(change)
    for (const part of parts) expect(Buffer.byteLength(JSON.stringify(part))).toBeLessThanOrEqual(48_000)
    expect(parts.flatMap(({ taken }) => taken.flatMap(one => one.counts))).toEqual(counts)
    expect(parts.flatMap(({ held }) => held)).toEqual(change.held)
  })

  test('of another release are taken as far as they are understood', () => {
    const rate = { perSecond: 1, burst: 2 }
    const good = { meter: 'm', rate, counts: [['k', 1]] }
    const bad = [
      null,
      {},
      { ...good, rate: { perSecond: 0, burst: 1 } },
      { ...good, meter: 'x'.repeat(2_000) },
      { ...good, rate: { perSecond: Infinity, burst: 1 } },
    ]
    expect(
      parseCounts({
        taken: [...bad, good, { ...good, counts: [['k', NaN], ['k'], 'k'] }],
        held: [
          ['t', 'k', -1],
          ['t', 'k', 1],
        ],
      }),
    ).toEqual({
      taken: [good, { ...good, counts: [] }],
      held: [['t', 'k', 1]],
    })
    for (const value of [undefined, null, 7, []]) expect(parseCounts(value)).toEqual({ taken: [], held: [] })
  })

  test('that a link does not take are said again, what is held for sure', async () => {
    let isStuck = true
    const sent: unknown[] = []
    const book = new PeerBook({ clock: () => performance.now(), soon: flush => void setImmediate(flush), onFault: () => undefined })
    book.attach({ send: (_topic, message) => (isStuck ? false : sent.push(message) > 0), sendTo: () => undefined })
    book.counts.tally('t').add('k', 1)
    await new Promise(setImmediate)
    isStuck = false
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    expect(sent).toEqual([{ taken: [], held: [['t', 'k', 1]] }])
  })
})
