/** Which names are ordered for, when, and after which pause. */
import { createHash, X509Certificate } from 'node:crypto'
import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { AuthorityError, retryAfterMs, problemOf } from '../../src/acme/authority-http.ts'
import { Attempts, readAttempts } from '../../src/acme/attempts.ts'
import { isPartOf } from '../../src/acme/authority.ts'
import { CertificateFolder } from '../../src/acme/certificate-folder.ts'
import { CertificateKeeper } from '../../src/acme/certificate-keeper.ts'
import { DnsHook } from '../../src/acme/dns/dns-hook.ts'
import { PendingChallenges } from '../../src/acme/pending-challenges.ts'
import { renewalIdOf, renewAtMs } from '../../src/acme/renewal.ts'
import { chooseNames, namesIn } from '../../src/acme/wanted-names.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { mintAuthority, mintServer } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { captureLog } from '../support/layers.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const DAY_MS = 86_400_000
const none = (): boolean => false

describe('names', () => {
  test('come from targets and from TCP ports that end TLS, as they are compared', () => {
    const table = parseTargets(
      `targets:
  "A.Example.com": http://127.0.0.1:80
  "bücher.example": http://127.0.0.1:80
  "*": http://127.0.0.1:80
tcp:
  "5432": {tls: true, names: {"db.example.com": {hostname: 127.0.0.1, port: 5432}}}
  "5433": {tls: passthrough, names: {"other.example.com": {hostname: 127.0.0.1, port: 5432}}}
`,
      'targets.yaml',
    )
    expect(chooseNames(namesIn(table), false, none).wanted).toEqual(['a.example.com', 'xn--bcher-kva.example', 'db.example.com'])
  })

  test('are never addresses, localhost or *, nor those of a given certificate, nor twice', () => {
    const names = ['a.example.com', '*', '192.0.2.1', '[2001:db8::1]', 'localhost', 'x.localhost', 'a.example.com', 'given.example.com']
    expect(chooseNames(names, true, name => name === 'given.example.com').wanted).toEqual(['a.example.com'])
  })

  test('are wildcards where the DNS can be written alone, which make those one label below needless', () => {
    const names = ['*.example.com', 'a.example.com', 'a.b.example.com', 'example.com']
    expect(chooseNames(names, false, none)).toEqual({
      wanted: ['a.example.com', 'a.b.example.com', 'example.com'],
      withoutDns: ['*.example.com'],
    })
    expect(chooseNames(names, true, none)).toEqual({ wanted: ['*.example.com', 'a.b.example.com', 'example.com'], withoutDns: [] })
  })
})

test('an authority has nothing proven but the name that was asked for, or a domain that it is in', () => {
  expect(['a.example.com', 'example.com', 'com'].every(proven => isPartOf(proven, 'a.example.com'))).toBe(true)
  expect(isPartOf('example.com', '*.example.com')).toBe(true)
  for (const proven of ['', '.', 'b.example.com', 'xample.com', 'a.example.com.evil.org', '$(id).example.com', '*.example.com'])
    expect(isPartOf(proven, 'a.example.com')).toBe(false)
})

describe('an authority that wants to be left alone', () => {
  const YEARS_MS = 30 * 365 * DAY_MS
  const HOUR_MS = 3_600_000
  /** A keeper whose authority refuses each order as one too many, for thirty years. */
  const startKeeper = async (names: string[]) => {
    const asked: string[] = []
    const clock = { nowMs: Date.now() }
    const folder = new CertificateFolder(join(tempDir(), 'acme'))
    await folder.open(false, clock.nowMs)
    const { log } = captureLog()
    const keeper = new CertificateKeeper({
      folder,
      authority: {
        order: ({ name }) => {
          asked.push(name)
          return Promise.reject(new AuthorityError('too many', 'rateLimited', YEARS_MS))
        },
        renewalWindow: () => Promise.resolve(undefined),
      },
      authorityName: 'ca.example.com',
      names: () => names,
      exists: () => false,
      isGiven: none,
      challenges: new PendingChallenges(),
      hasHttp: true,
      onChange: () => Promise.resolve(),
      events: { tell: () => undefined, turn: () => undefined, forget: () => undefined },
      log,
      nowMs: () => clock.nowMs,
    })
    onCleanUp(() => keeper.close())
    await keeper.start()
    await until(() => keeper.failed.has('a.example.com') && keeper.ordering.length === 0)
    names.push('b.example.com')
    return { asked, clock, keeper }
  }

  test.each([
    ['is, for a week at most', 6 * DAY_MS, 8 * DAY_MS],
    ['is not by a clock that was ahead', HOUR_MS, -DAY_MS],
  ])('%s', async (_name, stillMs, overMs) => {
    const { asked, clock, keeper } = await startKeeper(['a.example.com'])
    const startMs = clock.nowMs
    clock.nowMs = startMs + stillMs
    keeper.namesChanged()
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    expect(asked).toEqual(['a.example.com'])
    clock.nowMs = startMs + overMs
    keeper.namesChanged()
    await until(() => asked.includes('b.example.com'))
  })
})

describe('renewal', () => {
  const lifetime = { notBeforeMs: 0, notAfterMs: 90 * DAY_MS }

  test('is due with a third left, or within the window of the authority, but neither at once nor at the end', () => {
    expect(renewAtMs(lifetime, undefined, 0.5)).toBe(60 * DAY_MS)
    expect(renewAtMs(lifetime, { startMs: 50 * DAY_MS, endMs: 52 * DAY_MS }, 0.5)).toBe(51 * DAY_MS)
    expect(renewAtMs(lifetime, { startMs: 100 * DAY_MS, endMs: 200 * DAY_MS }, 0)).toBe(81 * DAY_MS)
    expect(renewAtMs(lifetime, { startMs: -DAY_MS, endMs: 0 }, 0)).toBe(DAY_MS / 4)
  })

  test('names the certificate by who signed it and its number (RFC 9773 §4.1)', async () => {
    const authority = await mintAuthority()
    const { certificatePem } = await mintServer(['a.example.com'], authority)
    const point = new X509Certificate(authority.certificatePem).publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
    const serial = Buffer.from(new X509Certificate(certificatePem).serialNumber, 'hex')
    const keyId = createHash('sha1').update(point).digest()
    expect(renewalIdOf(certificatePem)).toBe(`${keyId.toString('base64url')}.${serial.toString('base64url')}`)
  })
})

test('a folder in which every certificate has expired opens a port all the same, for the orders that renew them', async () => {
  const folder = new CertificateFolder(join(tempDir(), 'acme'))
  const { certificatePem: cert, privateKeyPem: key } = await mintServer(['a.example.com'])
  const files = (): string[] => readdirSync(folder.certificates).sort()
  await folder.open(true, Date.now())
  expect(files()).toEqual(['none yet.crt', 'none yet.key'])
  await folder.write('a.example.com', { cert, key })
  await folder.open(true, Date.now())
  expect(files()).toEqual(['a.example.com.crt', 'a.example.com.key'])
  await folder.open(true, Date.now() + 400 * DAY_MS)
  expect(files()).toEqual(['a.example.com.crt', 'a.example.com.key', 'none yet.crt', 'none yet.key'])
  // A key of another certificate is as if there were none.
  writeFileSync(join(folder.certificates, 'a.example.com.key'), (await mintServer(['a.example.com'])).privateKeyPem)
  expect([...(await folder.read()).keys()]).toEqual([])
  const account = await folder.accountKey()
  expect(await new CertificateFolder(folder.path).accountKey()).toBe(account)
})

describe('orders that have failed', () => {
  test('wait three times as long each time, as long as the authority asks for, and over a restart', async () => {
    const folder = tempDir()
    let now = 1_000_000
    const attempts = new Attempts(folder, () => now)
    const pauses: number[] = []
    for (let i = 0; i < 8; i++) pauses.push((await attempts.fail('a.example.com', 'why', undefined)).nextMs - now)
    expect(pauses.map(ms => ms / 60_000)).toEqual([1, 3, 9, 27, 81, 243, 720, 720])
    expect((await attempts.fail('b.example.com', 'why', 3 * DAY_MS)).nextMs - now).toBe(3 * DAY_MS)
    expect((await attempts.fail('c.example.com', 'why', 300 * DAY_MS)).nextMs - now).toBe(7 * DAY_MS)
    const again = new Attempts(folder, () => now)
    await again.read()
    expect([again.isDue('a.example.com'), again.isDue('d.example.com'), again.failed.get('a.example.com')?.count]).toEqual([false, true, 8])
    now += DAY_MS
    expect(again.isDue('a.example.com')).toBe(true)
    // A clock that was ahead when it was written.
    now = 0
    expect(again.isDue('a.example.com')).toBe(true)
    await again.forget('a.example.com')
    expect([...(await readAttempts(folder)).keys()]).toEqual(['b.example.com', 'c.example.com'])
  })

  test('are read from whatever stands in their file', async () => {
    for (const text of ['', '{', '[]', '{"failed":{"a":1,"__proto__":{"count":"x"}}}'])
      expect((await readAttempts(tempFile('orders.json', text).replace(/orders\.json$/, ''))).size).toBe(0)
  })
})

test('an authority is read with care: Retry-After, and problems within problems', () => {
  expect([
    retryAfterMs('120', 0),
    retryAfterMs(new Date(5_000).toUTCString(), 0),
    retryAfterMs('soon', 0),
    retryAfterMs(undefined, 0),
  ]).toEqual([120_000, 5_000, undefined, undefined])
  const problem = { type: 'urn:ietf:params:acme:error:dns', detail: 'one', subproblems: [{ detail: 'two' }, null, 3] }
  expect([problemOf(problem), problemOf('text'), problemOf(null)]).toEqual([
    { type: 'dns', detail: 'one; two' },
    { type: '', detail: '' },
    { type: '', detail: '' },
  ])
})

describe('a program for records', () => {
  const program = (text: string): string => {
    const file = tempFile('hook', `#!/bin/sh\n${text}\n`)
    chmodSync(file, 0o700)
    return file
  }
  const env = { PATH: process.env['PATH'], SG_ADMIN_PASSWORD: 'secret', TOKEN: 'of the provider' }
  const add = (text: string, deadlineMs?: number): Promise<void> =>
    new DnsHook(program(text), env, deadlineMs).add('_acme-challenge.a.example.com', 'value', new AbortController().signal)

  test('has what it is to do in its environment, and nothing of the gateway', async () => {
    await add(
      'test "$#$ACME_ACTION $ACME_DOMAIN $ACME_RECORD $ACME_VALUE ${SG_ADMIN_PASSWORD:-none} $TOKEN" = "0add a.example.com _acme-challenge.a.example.com value none of the provider"',
    )
  })

  test('fails with what it has said, with its status, and when its time is over', async () => {
    await expect(add('echo "no such zone" >&2; exit 3')).rejects.toThrow(
      /ended with 3 \(add _acme-challenge\.a\.example\.com\): no such zone/,
    )
    await expect(add('sleep 3 & wait', 200)).rejects.toThrow(/was ended after 0.2 s/)
  })
})
