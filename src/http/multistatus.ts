/** Names of resources in a multistatus (WebDAV, RFC 4918 §13): they are to it what Location is to other answers, though they stand in the body. */
import { valuesOf, type Fields } from './fields.ts'
import { rewriteUrl, type PublicOrigin } from './rewrite.ts'

/** The longest piece of XML that is held until the rest of it comes; no href is longer. */
const MAX_HELD = 8_192

const HREF = /(<(?:[A-Za-z_][\w.-]*:)?href(?:\s[^<>]*)?>\s*)([^<\s][^<]*)/g
/** An element whose name is not complete yet, or an href whose text may go on. */
const UNFINISHED = /^<(?:[^<>]*$|(?:[A-Za-z_][\w.-]*:)?href(?:\s[^<>]*)?>)/

/** Fields over the bytes of a body, which do not hold for another one. */
export const OVER_BYTES: ReadonlySet<string> = new Set(['content-md5', 'digest', 'content-digest', 'repr-digest'])

/** Has an answer hrefs that its client could not use as they are: a plain XML multistatus of an origin that has other paths? */
export const hasPrivateHrefs = (status: number, fields: Fields, { prefixes }: PublicOrigin): boolean =>
  status === 207 &&
  prefixes !== undefined &&
  valuesOf(fields, 'content-encoding').every(coding => coding.toLowerCase() === 'identity') &&
  valuesOf(fields, 'content-type').every(type => /^(?:text|application)\/xml\b/i.test(type)) &&
  // RFC 9110 §7.7
  !valuesOf(fields, 'cache-control').some(value => /\bno-transform\b/i.test(value))

/** Maps hrefs as they pass: what comes in pieces goes on in pieces. */
export class HrefMapping {
  /** Bytes as characters. */
  #held = ''

  constructor(private readonly names: PublicOrigin) {}

  /** Returns what can go on of a piece and of what was held before. */
  push(chunk: Buffer): Buffer {
    const text = this.#held + chunk.toString('latin1')
    const at = text.lastIndexOf('<')
    const isHeld = at >= 0 && text.length - at <= MAX_HELD && UNFINISHED.test(text.slice(at))
    this.#held = isHeld ? text.slice(at) : ''
    return this.#map(isHeld ? text.slice(0, at) : text)
  }

  /** Returns what was still held, at the end. */
  end(): Buffer {
    const text = this.#held
    this.#held = ''
    return this.#map(text)
  }

  #map(text: string): Buffer {
    const mapped = text.replace(HREF, (_, start: string, url: string) => start + rewriteUrl(url, this.names))
    return Buffer.from(mapped, 'latin1')
  }
}
