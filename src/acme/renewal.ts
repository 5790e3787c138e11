/** The time at which a certificate is to be renewed: as its authority says (ARI, RFC 9773), or when a third of its lifetime is left. */
import { X509Certificate } from 'node:crypto'
import { certificateIdOf } from '../identity/x509.ts'

/** The time in which an authority wants a certificate to be renewed; milliseconds since 1970. */
export interface RenewalWindow {
  readonly startMs: number
  readonly endMs: number
}

/** The lifetime of a certificate, milliseconds since 1970. */
export interface Lifetime {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

const LEFT_SHARE = 1 / 3
/** The least that may be left of its lifetime, whatever the authority says. */
const LAST_SHARE = 1 / 10
/** And not before so much of it is over: an authority that wants each one renewed at once would have orders without end. */
const FIRST_SHARE = 1 / 20
const FIRST_MS = 6 * 3_600_000

/** The name of a certificate where it was issued, RFC 9773 §4.1; undefined where it has none. @param cert  PEM, with a chain or without */
export function renewalIdOf(cert: string): string | undefined {
  const id = certificateIdOf(new X509Certificate(cert).raw)
  return id === undefined ? undefined : `${id.authorityKeyId.toString('base64url')}.${id.serial.toString('base64url')}`
}

/** Reads the lifetime of the first certificate of a text. */
export function lifetimeOf(cert: string): Lifetime {
  const { validFrom, validTo } = new X509Certificate(cert)
  return { notBeforeMs: Date.parse(validFrom), notAfterMs: Date.parse(validTo) }
}

/**
 * The time at which to renew, milliseconds since 1970.
 * @param share  of the window that lies before it, from 0 to 1: gateways of the world are not to come all at once
 */
export function renewAtMs({ notBeforeMs, notAfterMs }: Lifetime, window: RenewalWindow | undefined, share: number): number {
  const lifetimeMs = notAfterMs - notBeforeMs
  if (window === undefined) return notAfterMs - lifetimeMs * LEFT_SHARE
  const wishMs = window.startMs + (window.endMs - window.startMs) * share
  const earliestMs = notBeforeMs + Math.min(FIRST_MS, lifetimeMs * FIRST_SHARE)
  return Math.max(earliestMs, Math.min(wishMs, notAfterMs - lifetimeMs * LAST_SHARE))
}
