/** The parts behind `limits.rate`, `basicAuth` and `balance`, with a clock of their own. */
import { scryptSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { weightOf } from '../../src/route/split.ts'
import { LoginSessions, type SessionRequest } from '../../src/outer/access/login-sessions.ts'
import { Passwords } from '../../src/outer/access/passwords.ts'
import { RateMeter } from '../../src/rates/rate-meter.ts'
import { Recent } from '../../src/rates/recent.ts'
import type { BasicAuth } from '../../src/route/target.ts'

const clockAt = (startMs = 1_000): { nowMs: number; readonly read: () => number } => {
  const clock = { nowMs: startMs, read: (): number => clock.nowMs }
  return clock
}

describe('Recent', () => {
  test('keeps an entry at least its lifetime, and at most twice as long', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 250 }), { minLength: 1, maxLength: 40 }), steps => {
        const clock = clockAt()
        const recent = new Recent<number>(1_000, 100, clock.read)
        const setAt = new Map<string, number>()
        steps.forEach((step, i) => {
          clock.nowMs += step
          recent.set(`k${i}`, i)
          setAt.set(`k${i}`, clock.nowMs)
          for (const [key, at] of setAt) {
            const age = clock.nowMs - at
            if (age < 100) expect([key, recent.get(key)]).toEqual([key, Number(key.slice(1))])
            if (age >= 200) expect([key, recent.get(key)]).toEqual([key, undefined])
          }
        })
      }),
    )
  })

  test('never holds more than its capacity, and the latest half is there', () => {
    const recent = new Recent<number>(100, 1_000_000, () => 0)
    for (let i = 0; i < 10_000; i++) recent.set(`k${i}`, i)
    const left = Array.from({ length: 10_000 }, (_, i) => recent.get(`k${i}`)).filter(value => value !== undefined)
    expect(left.length).toBeLessThanOrEqual(100)
    expect(left.at(-1)).toBe(9_999)
    expect(left.length).toBeGreaterThanOrEqual(50)
  })
})

describe('RateMeter', () => {
  test('lets a burst through, then an even pace, and says how long to wait', () => {
    const clock = clockAt()
    const meter = new RateMeter({ perSecond: 10, burst: 3 }, clock.read)
    expect([1, 2, 3, 4].map(() => meter.take('a'))).toEqual([0, 0, 0, 100])
    expect(meter.take('b')).toBe(0)
    clock.nowMs += 99
    expect(meter.take('a')).toBeCloseTo(1)
    clock.nowMs += 1
    expect([meter.take('a'), meter.take('a')]).toEqual([0, 100])
    meter.giveBack('a')
    expect(meter.take('a')).toBe(0)
  })

  test('in no window do more pass than the burst and the pace allow', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 10 }),
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 100 }),
        (perSecond, burst, steps) => {
          const clock = clockAt()
          const meter = new RateMeter({ perSecond, burst }, clock.read)
          const passed: number[] = []
          for (const step of steps) {
            clock.nowMs += step
            const waitMs = meter.take('a')
            if (waitMs === 0) passed.push(clock.nowMs)
            else expect(meter.wait('a')).toBe(waitMs)
          }
          passed.forEach((from, i) => {
            passed.slice(i).forEach((to, n) => expect(n + 1).toBeLessThanOrEqual(burst + ((to - from) * perSecond) / 1_000 + 1e-6))
          })
        },
      ),
    )
  })
})

describe('Passwords', () => {
  const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  /** With the cheapest hash that is taken. */
  const authOf = (password: string): BasicAuth => {
    const salt = Buffer.from('some salt')
    const hash = scryptSync(password, salt, 16, { N: 1_024, r: 1, p: 1 })
    const text = [salt, hash].map(bytes => bytes.toString('base64').replace(/=/g, ''))
    return { realm: 'r', users: new Map([['alice', `$scrypt$ln=10,r=1,p=1$${text.join('$')}`]]), forwards: false, session: true }
  }

  test('remember what was right, and forget it with the hash or in time', async () => {
    const clock = clockAt()
    const passwords = new Passwords(clock.read)
    const auth = authOf('a')
    await passwords.check(auth, basic('alice', 'a'), 'x')
    expect(passwords.check(auth, basic('alice', 'a'), 'x')).toBeUndefined()
    // Another route of the same target, or the file read again, knows it too; another hash does not.
    expect(passwords.check({ ...auth }, basic('alice', 'a'), 'x')).toBeUndefined()
    await expect(passwords.check(authOf('b'), basic('alice', 'a'), 'x')).rejects.toMatchObject({ code: 'CREDENTIALS_REQUIRED' })
    clock.nowMs += 11 * 60_000
    expect(passwords.check(auth, basic('alice', 'a'), 'x')).toBeInstanceOf(Promise)
  })

  test('what is asked for at once is one hash, also for the count of failures', async () => {
    const passwords = new Passwords(clockAt().read)
    const auth = authOf('a')
    const all = Array.from({ length: 100 }, async () => passwords.check(auth, basic('alice', 'wrong'), 'x'))
    const results = await Promise.allSettled(all)
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['rejected']))
    // One failure was counted, so nine are left.
    for (let i = 0; i < 9; i++)
      await expect(passwords.check(auth, basic('alice', `wrong ${i}`), 'x')).rejects.toMatchObject({ code: 'CREDENTIALS_REQUIRED' })
    expect(() => passwords.check(auth, basic('alice', 'a'), 'x')).toThrow(
      expect.objectContaining({ code: 'RATE_LIMITED', fields: ['Retry-After', '6'] }),
    )
  })

  test('a hundred guesses at once of one address are ten', async () => {
    const passwords = new Passwords(clockAt().read)
    const auth = authOf('a')
    let limited = 0
    const all: Promise<void>[] = []
    for (let i = 0; i < 100; i++) {
      try {
        all.push(passwords.check(auth, basic('alice', `guess ${i}`), 'x')!)
      } catch {
        limited++
      }
    }
    await Promise.allSettled(all)
    expect([all.length, limited]).toEqual([10, 90])
  })

  test('beyond what waits already, others are turned away at once', async () => {
    const passwords = new Passwords(clockAt().read)
    const auth = authOf('a')
    const all = Array.from({ length: 70 }, async (_, i) => passwords.check(auth, basic('alice', 'wrong'.repeat(i + 1)), `address ${i}`))
    const codes = (await Promise.allSettled(all)).map(result => (result as PromiseRejectedResult).reason as { code: string })
    expect(codes.filter(({ code }) => code === 'OVERLOADED')).toHaveLength(4)
    expect(codes.filter(({ code }) => code === 'CREDENTIALS_REQUIRED')).toHaveLength(66)
  })
})

describe('rendezvous hashing', () => {
  test('spreads evenly, and only the values of one that left move', () => {
    const ids = ['a', 'b', 'c', 'd', 'e']
    const best = (value: string, among: readonly string[]): string =>
      among.reduce((top, id) => (weightOf(value, id) > weightOf(value, top) ? id : top))
    const values = Array.from({ length: 5_000 }, (_, i) => `user-${i}`)
    const shares = ids.map(id => values.filter(value => best(value, ids) === id).length)
    for (const share of shares) expect(Math.abs(share - 1_000)).toBeLessThan(150)
    const left = ids.filter(id => id !== 'c')
    for (const value of values) if (best(value, ids) !== 'c') expect(best(value, left)).toBe(best(value, ids))
  })
})

describe('LoginSessions', () => {
  const auth: BasicAuth = {
    realm: 'r',
    users: new Map([
      ['alice', 'hash one'],
      ['bo\u0308b', 'hash two'],
    ]),
    forwards: false,
    session: true,
  }
  const requestWith = (cookie: string, scheme = 'http'): SessionRequest => ({
    request: { fields: ['Cookie', cookie], names: ['cookie'] } as unknown as SessionRequest['request'],
    scheme,
  })
  const pairOf = (set: string | undefined): string => set!.slice(0, set!.indexOf(';'))

  test('know whom they let in before, by the name in one form, for twelve hours after the last renewal', () => {
    const clock = clockAt()
    const sessions = new LoginSessions(clock.read)
    const set = sessions.issue(auth, 'b\u00f6b', 'https')
    expect(set).toMatch(/^__Host-sg-login-[0-9a-f]{8}=[\w-]+\.\d+\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Secure$/)
    const request = requestWith(`a=1; ${pairOf(set)}; b=2`, 'https')
    expect(sessions.find(auth, request)).toEqual({ user: 'b\u00f6b', isOld: false })
    clock.nowMs += 2 * 3_600_000
    expect(sessions.find(auth, request)).toEqual({ user: 'b\u00f6b', isOld: true })
    clock.nowMs += 10 * 3_600_000
    expect(sessions.find(auth, request)).toBeUndefined()
  })

  test('believe no cookie of another scheme, process, realm or password, and none of somebody who is gone', () => {
    const sessions = new LoginSessions(clockAt().read)
    const pair = pairOf(sessions.issue(auth, 'alice', 'http'))
    expect(sessions.find(auth, requestWith(pair))).toBeDefined()
    expect(sessions.find(auth, requestWith(pair, 'https'))).toBeUndefined()
    expect(new LoginSessions(clockAt().read).find(auth, requestWith(pair))).toBeUndefined()
    expect(sessions.find({ ...auth, realm: 's' }, requestWith(pair))).toBeUndefined()
    expect(sessions.find({ ...auth, users: new Map([['alice', 'hash three']]) }, requestWith(pair))).toBeUndefined()
    expect(sessions.find({ ...auth, users: new Map() }, requestWith(pair))).toBeUndefined()
    expect(sessions.issue(auth, 'mallory', 'http')).toBeUndefined()
  })

  test('find the good cookie behind old ones of the same name, and look at four', () => {
    const sessions = new LoginSessions(clockAt().read)
    const pair = pairOf(sessions.issue(auth, 'alice', 'http'))
    const old = pairOf(new LoginSessions(clockAt().read).issue(auth, 'alice', 'http'))
    expect(sessions.find(auth, requestWith(`${old}; ${pair}`))).toEqual({ user: 'alice', isOld: false })
    expect(sessions.find(auth, requestWith(`${old}; ${old}; ${old}; ${old}; ${pair}`))).toBeUndefined()
  })

  test('believe nothing that was changed, whatever it is', () => {
    const sessions = new LoginSessions(clockAt().read)
    const pair = pairOf(sessions.issue(auth, 'alice', 'http'))
    const start = pair.indexOf('=') + 1
    fc.assert(
      fc.property(fc.integer({ min: start, max: pair.length - 1 }), fc.constantFrom(...'aZ09._-=;, \u00e9'), (at, character) => {
        const changed = pair.slice(0, at) + character + pair.slice(at + 1)
        if (changed !== pair) expect(sessions.find(auth, requestWith(changed))).toBeUndefined()
      }),
    )
    fc.assert(fc.property(fc.string(), value => expect(sessions.find(auth, requestWith(pair.slice(0, start) + value))).toBeUndefined()))
  })
})
