/** Certificates that are about to expire: told once for each time that is left, also over a restart. */
import { expect, test } from '@jest/globals'
import { CertificateWatch, type WatchedCertificate } from '../../src/events/certificate-watch.ts'
import { EventBook } from '../../src/events/event-book.ts'
import type { EventNote } from '../../src/events/event.ts'
import type { EventSink } from '../../src/events/event-sink.ts'
import { NO_EVENTS } from '../../src/events/event-sink.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { onCleanUp } from '../support/cleanup.ts'

const DAY_MS = 86_400_000
const NOT_AFTER = Date.parse('2027-01-01T00:00:00Z')
const known = (): WatchedCertificate => ({
  use: 'key of an inner layer',
  file: 'lan-a.crt',
  pem: { names: ['lan-a'], notAfterMs: NOT_AFTER },
})

/** A watch whose clock is so many days before the end. */
function watchOf(certificates: () => readonly WatchedCertificate[]): {
  readonly told: string[]
  at(daysLeft: number): void
  readonly watch: CertificateWatch
} {
  let nowMs = 0
  const told: string[] = []
  const sink: EventSink = {
    ...NO_EVENTS,
    tell: (name, note) => {
      told.push(`${name} ${String(note.fields['days'] ?? '')}`.trim())
    },
  }
  const watch = new CertificateWatch(sink, certificates, () => nowMs)
  return {
    told,
    watch,
    at: daysLeft => {
      nowMs = NOT_AFTER - daysLeft * DAY_MS
      watch.look()
    },
  }
}

test('are told at 30, 7 and 1 days, and when it is too late, each once', () => {
  const { told, at } = watchOf(() => [known()])
  for (let left = 40; left > -3; left -= 0.25) at(left)
  expect(told).toEqual(['certificate.expiring 29', 'certificate.expiring 6', 'certificate.expiring 0', 'certificate.expired'])
})

test('are told by the least that is left where somebody looks late', () => {
  const { told, at } = watchOf(() => [known()])
  at(3)
  at(2)
  expect(told).toEqual(['certificate.expiring 3'])
})

test('are not told again after a restart, and a renewed one is another one', () => {
  const book = new EventBook(Date.now, () => undefined)
  onCleanUp(() => book.close())
  const fields = { use: 'key of an inner layer', file: 'lan-a.crt', names: ['lan-a'], notAfter: new Date(NOT_AFTER).toISOString(), days: 5 }
  book.add('certificate.expiring', { subject: 'lan-a.crt', fields }, { atMs: 0, count: 1 })
  const { told, at, watch } = watchOf(() => [known()])
  watch.restore(book)
  at(4)
  expect(told).toEqual([])
  at(0.5)
  expect(told).toEqual(['certificate.expiring 0'])
})

test('say names and ends as the certificate has them; of two that are the same, one is told', async () => {
  const minted = await mintKeyPair({ type: 'ec', commonName: 'a', validityYears: 1, purpose: 'server', names: ['a.test', '*.a.test'] })
  const told: (readonly [string, EventNote])[] = []
  const watch = new CertificateWatch(
    { ...NO_EVENTS, tell: (name, note) => told.push([name, note]) },
    () => [{ use: 'app port', file: 'a.crt', pem: minted.certificatePem + minted.certificatePem }],
    () => Date.now() + 355 * DAY_MS,
  )
  watch.look()
  expect(told).toMatchObject([['certificate.expiring', { fields: { use: 'app port', file: 'a.crt', names: ['a.test', '*.a.test'] } }]])
})

test('of a short life are told when a third of it is left at most', () => {
  const now = Date.now()
  const told: string[] = []
  const facts = { names: ['a.test'], notAfterMs: now + 6 * DAY_MS, lifetimeMs: 7 * DAY_MS }
  const watch = new CertificateWatch(
    { ...NO_EVENTS, tell: name => told.push(name) },
    () => [{ use: 'app port', file: 'short.crt', pem: facts }],
    () => now,
  )
  watch.look()
  expect(told).toEqual([])
})
