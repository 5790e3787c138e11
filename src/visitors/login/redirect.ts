import type { OwnAnswer } from '../../outer/access/visitor-check.ts'

/**
 * Sends the browser on. The URL has an authority of ours or of a provider's in every case: what came from elsewhere is a part of the path.
 * @param status  303 behind what must not be done twice
 */
export const redirect = (url: string, cookies: readonly string[], status: 302 | 303 = 302): OwnAnswer => ({
  status,
  fields: [
    ...['Location', visible(url), 'Content-Length', '0', 'Cache-Control', 'no-store', 'Referrer-Policy', 'no-referrer'],
    ...cookies.flatMap(cookie => ['Set-Cookie', cookie]),
  ],
  body: '',
})

/** RFC 3986 §2: what is no character of a URL is percent-encoded, as bytes. */
const visible = (url: string): string =>
  url.replace(/[^\x21-\x7e]/g, character => Buffer.from(character, 'latin1').toString('hex').replace(/../g, '%$&'))

/**
 * The same, and the fragment of the page before goes: browsers carry it along where a redirect names none (RFC 9110 §10.2.2), and Facebook puts
 * `#_=_` behind the address to which it sends them.
 */
export const withoutFragment = (answer: OwnAnswer): OwnAnswer => ({
  ...answer,
  fields: answer.fields.map((value, i) => (i > 0 && answer.fields[i - 1] === 'Location' && !value.includes('#') ? `${value}#` : value)),
})
