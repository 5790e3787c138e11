/** Fields that concern one connection only and end at this hop: RFC 9110 §7.6.1. */

/** Dropped in both directions; message framing is set anew on each side. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'trailer',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'http2-settings',
])

/** A Connection field cannot nominate these away: they are end-to-end, and removing them would change who asks for what (CVE-2025-48865). */
const PROTECTED = new Set(['host', 'cookie', 'authorization', 'set-cookie', 'via', 'date', 'location', 'forwarded'])
const PROTECTED_PREFIX = /^(?:content-|x-forwarded-|x-sg-|sec-|access-control-)/
const ORDINARY = new Set(['keep-alive', 'close', 'te', 'trailer', 'trailers', 'upgrade', 'http2-settings', 'proxy-connection'])

/**
 * Names that Connection fields nominate, beyond those that are dropped anyway.
 * @param names  field names in lower case; values stand at odd places of `fields`
 */
export function nominated(fields: readonly string[], names: readonly string[]): ReadonlySet<string> | undefined {
  let found: Set<string> | undefined
  for (let i = 0; i < names.length; i++) {
    if (names[i] !== 'connection') continue
    for (const item of fields[2 * i + 1]!.split(',')) {
      const name = item.trim().toLowerCase()
      if (name === '' || ORDINARY.has(name) || PROTECTED.has(name) || PROTECTED_PREFIX.test(name)) continue
      found ??= new Set()
      found.add(name)
    }
  }
  return found
}

/** Never in a trailer section: framing, routing, authentication, content and cookies (RFC 9110 §6.5.1). */
const NOT_IN_TRAILERS =
  /^(?:host|authorization|set-cookie2?|cookie|cache-control|expect|max-forwards|pragma|range|te|age|date|expires|location|retry-after|vary|warning|www-authenticate|forwarded|via|x-forwarded-.*|x-real-ip|x-sg-.*|content-(?:length|encoding|type|range)|destination|if(?:-.*)?|proxy-.*)$/

/** The fields of a trailer section that may be relayed, in order. */
export function allowedTrailers(fields: readonly string[]): string[] {
  const allowed: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    // CGI makes one variable of `Content-Type` and `content_type`.
    const name = fields[i]!.toLowerCase().replace(/[^a-z0-9]/g, '-')
    if (!HOP_BY_HOP.has(name) && !NOT_IN_TRAILERS.test(name)) allowed.push(fields[i]!, fields[i + 1]!)
  }
  return allowed
}
