import { SHA1, WEAK } from './saml-encryption.ts'

/** Characters of a message; longer ones would cost more than a login is worth. */
export const MAX_RESPONSE = 131_072

/** Begins and ends of elements: room for some seven hundred groups. */
const MAX_MARKS = 1_500

/** The name of an algorithm is written as it is. */
const HIDDEN = /Algorithm\s*=\s*["'][^"'&<]*&/

/**
 * Says why a message is not even read. The usual readers of XML take time by the square of the number of elements; and a comment, which no
 * signature sees, has cut many a name in two (CVE-2017-11427 and its kind).
 */
export function whyUnsafe(xml: string): string | undefined {
  if (xml.includes('<!')) return 'the message has a comment, or a type definition'
  let marks = 0
  for (let i = xml.indexOf('<'); i >= 0; i = xml.indexOf('<', i + 1)) if (++marks > MAX_MARKS) return 'the message has too many elements'
  return HIDDEN.test(xml) ? WEAK : undefined
}

/** Says why a message counts no more by its algorithms. */
export const whyWeak = (xml: string): string | undefined => (SHA1.test(xml) ? WEAK : undefined)
