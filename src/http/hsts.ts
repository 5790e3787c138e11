import type { Peer } from './client.ts'

const NAME = 'strict-transport-security'

/** `fields` of an answer, with Strict-Transport-Security (RFC 6797 §7.1) where it was asked for, and the origin has not sent its own. */
export function withHsts(peer: Peer, fields: string[]): string[] {
  const hsts = peer.tls?.hsts
  if (hsts === undefined) return fields
  for (let i = 0; i < fields.length; i += 2) if (fields[i]!.toLowerCase() === NAME) return fields
  return [...fields, 'Strict-Transport-Security', hsts]
}
