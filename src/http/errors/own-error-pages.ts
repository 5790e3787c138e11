/** Error pages of an operator: HTML with places for what is known, the most particular one for each error. */
import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode } from '../../errors.ts'
import { escapeHtml } from '../../pages/markup.ts'
import type { ErrorPage, OwnErrorPages } from './error-page.ts'

/** Styles and images within the page, and nothing from elsewhere. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const PLACES = ['status', 'title', 'text', 'code', 'requestId'] as const
const PLACE = new RegExp(`\\{\\{(${PLACES.join('|')})\\}\\}`)

/** Names of the files that there may be, without `.html`: a code, a status, or all of a hundred. */
export const isErrorPageName = (name: string): boolean =>
  Object.hasOwn(ERRORS, name) || /^[45]\d\d$/.test(name) || name === '4xx' || name === '5xx' || name === 'error'

/** The first place in a text that stands for nothing that is known, such as `{{requestid}}`: visitors would read it as it is. */
export const unknownPlaceIn = (text: string): string | undefined =>
  Array.from(text.matchAll(/\{\{\s{0,9}(\w{1,40})\s{0,9}\}\}/g), ([place]) => place).find(
    place => !PLACES.some(known => place === `{{${known}}}`),
  )

/** Places that there are, as they are written. */
export const KNOWN_PLACES = PLACES.map(place => `{{${place}}}`).join(', ')

/** Makes pages of texts by such names. */
export function createOwnErrorPages(texts: ReadonlyMap<string, string>): OwnErrorPages {
  // In turn what stands as it is and what a place names: each page is read once, and written by joining.
  const pages = new Map([...texts].map(([name, text]) => [name, text.split(PLACE)]))
  const templateOf = (code: ErrorCode): readonly string[] | undefined => {
    const { status } = ERRORS[code]
    const names = [code, String(status), status < 500 ? '4xx' : '5xx', 'error']
    return names.map(name => pages.get(name)).find(page => page !== undefined)
  }
  return {
    pageOf: (code, requestId): ErrorPage | undefined => {
      const template = templateOf(code)
      if (template === undefined) return undefined
      const { status, text } = ERRORS[code]
      const values = { status: String(status), title: STATUS_CODES[status] ?? 'Error', text, code, requestId }
      const html = template.map((part, index) => (index % 2 === 0 ? part : escapeHtml(values[part as keyof typeof values]))).join('')
      return { html, policy: POLICY }
    },
  }
}
