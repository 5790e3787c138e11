/** Client certificates as proofs of who somebody is: at hosts with `access.certificates`, and at TCP ports with `clientCa`. */
import type { PeerCertificate } from '../http/client.ts'
import { emailKey, type Visitor } from './access.ts'

/** Has a certificate one of the names? The common name counts where there is no other (RFC 6125 §6.4.4). @param names  none: every certificate */
export function hasName(names: readonly string[], { dns, emails, uris, commonName }: PeerCertificate): boolean {
  if (names.length === 0) return true
  const hosts = dns.length + emails.length + uris.length > 0 || commonName === undefined ? dns : [commonName.toLowerCase()]
  return names.some(name => {
    // By its form, and compared with names of that kind alone: a name of DNS may well look like an address.
    if (name.includes(':')) return uris.includes(name)
    if (name.includes('@')) return emails.some(each => emailKey(each) !== undefined && emailKey(each) === emailKey(name))
    const wanted = name.toLowerCase()
    return wanted.startsWith('*.') ? hosts.some(each => isBelow(each, wanted.slice(1))) : hosts.includes(wanted)
  })
}

/** Is a name one label and this domain? @param domain  with its dot */
const isBelow = (name: string, domain: string): boolean => name.indexOf('.') > 0 && name.slice(name.indexOf('.')) === domain

/** The visitor with a certificate. */
export function certificateVisitor({ commonName, dns, emails, uris, fingerprint }: PeerCertificate): Visitor {
  const [email] = emails
  return Object.freeze({
    lane: 'certificate',
    email: emails.length === 1 && email !== undefined && emailKey(email) !== undefined ? email : undefined,
    name: commonName ?? dns[0] ?? uris[0],
    groups: [],
    claims: new Map<string, readonly string[]>(),
    subject: fingerprint,
    provider: 'certificate',
    sessionId: undefined,
  })
}
