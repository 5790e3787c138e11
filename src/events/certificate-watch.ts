import { X509Certificate } from 'node:crypto'
import type { EventBook } from './event-book.ts'
import type { EventSink } from './event-sink.ts'

/** Certificates that somebody relies on. */
export interface WatchedCertificate {
  /** Its purpose, in words. */
  readonly use: string
  readonly file: string
  /** PEM of it, of the chain behind it, or of many; or what is known of one. */
  readonly pem: string | { readonly names: readonly string[]; readonly notAfterMs: number; readonly lifetimeMs?: number }
}

interface Facts {
  readonly names: readonly string[]
  readonly notAfterMs: number
  readonly lifetimeMs: number
}

const DAY_MS = 86_400_000
/** Days that are left when it is told. */
export const WARNING_DAYS = [30, 7, 1] as const
/** Of a certificate for a week, it is no news that less than 30 days are left. */
const LARGEST_SHARE = 1 / 3
const MAX_NAMES = 20
const MAX_TOLD = 10_000

/** Tells of certificates that are about to expire: once at 30, 7 and 1 days, and once more when it is too late. */
export class CertificateWatch {
  /** Certificate → the fewest days that were told; 0: that it has expired. */
  readonly #told = new Map<string, number>()
  readonly #parsed = new Map<string, readonly Facts[]>()

  constructor(
    private readonly sink: EventSink,
    private readonly certificates: () => readonly WatchedCertificate[],
    private readonly nowMs: () => number,
  ) {}

  /** Takes what was told in an earlier run. */
  restore(book: EventBook): void {
    for (const { name, fields } of book.list({ after: '0', limit: Infinity }).items) {
      const { use, file, notAfter, days } = fields
      if (name === 'certificate.expired') this.#told.set(`${String(use)} ${String(file)} ${String(notAfter)}`, 0)
      else if (name === 'certificate.expiring' && typeof days === 'number')
        this.#told.set(`${String(use)} ${String(file)} ${String(notAfter)}`, thresholdOf(days) ?? days)
    }
  }

  /** Looks at all of them. */
  look(): void {
    for (const { use, file, pem } of this.certificates())
      for (const facts of typeof pem === 'string' ? this.#factsOf(pem) : [{ lifetimeMs: Infinity, ...pem }]) this.#judge(use, file, facts)
  }

  #judge(use: string, file: string, { names, notAfterMs, lifetimeMs }: Facts): void {
    const leftMs = notAfterMs - this.nowMs()
    const days = Math.floor(leftMs / DAY_MS)
    const threshold = leftMs <= 0 ? 0 : thresholdOf(days, lifetimeMs)
    if (threshold === undefined) return
    const notAfter = new Date(notAfterMs).toISOString()
    const key = `${use} ${file} ${notAfter}`
    const told = this.#told.get(key)
    if (told !== undefined && told <= threshold) return
    if (this.#told.size >= MAX_TOLD) this.#told.delete(this.#told.keys().next().value!)
    this.#told.set(key, threshold)
    const fields = { use, file, names: names.slice(0, MAX_NAMES), notAfter }
    if (threshold === 0) this.sink.tell('certificate.expired', { subject: file, fields })
    else this.sink.tell('certificate.expiring', { subject: file, fields: { ...fields, days } })
  }

  #factsOf(pem: string): readonly Facts[] {
    const known = this.#parsed.get(pem)
    if (known !== undefined) return known
    const facts = certificatesIn(pem).map(certificate => {
      const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
      return { names: namesOf(certificate), notAfterMs: to, lifetimeMs: to - from }
    })
    if (this.#parsed.size >= MAX_TOLD) this.#parsed.clear()
    this.#parsed.set(pem, facts)
    return facts
  }
}

/** The threshold that is passed with so many days left. */
function thresholdOf(days: number, lifetimeMs = Infinity): number | undefined {
  const passed = WARNING_DAYS.filter(threshold => days < threshold && threshold * DAY_MS <= lifetimeMs * LARGEST_SHARE)
  return passed.at(-1)
}

const END = '-----END CERTIFICATE-----'

/** Certificates of a PEM text that has been read already, so that each of them is good. */
const certificatesIn = (pem: string): readonly X509Certificate[] =>
  pem
    .split(END)
    .slice(0, -1)
    .map(part => new X509Certificate(`${part}${END}`))

const namesOf = ({ subjectAltName = '', subject }: X509Certificate): readonly string[] => {
  const names = Array.from(subjectAltName.matchAll(/(?:DNS|IP Address):([\w.:*-]+)/g), ([, name = '']) => name)
  return names.length > 0 ? names : [subject.replaceAll('\n', ', ')]
}
