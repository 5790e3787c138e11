/** Errors as people with a browser meet them: what happened, whose turn it is, and what to tell whoever can help. */
import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode } from '../../errors.ts'
import { markup } from '../../pages/markup.ts'
import { facts, policyOf, renderPage } from '../../pages/page.ts'

/** A page, and the policy that goes with it. */
export interface ErrorPage {
  readonly html: string
  /** Content-Security-Policy. */
  readonly policy: string
}

/** Pages that an operator has put in the place of ours. */
export interface OwnErrorPages {
  /** The page of an error; undefined: there is none, and ours is shown. */
  pageOf(code: ErrorCode, requestId: string): ErrorPage | undefined
}

/** Refusals that visitors of a socket meet: what else its owner has to know. */
const OWNERS: Partial<Record<ErrorCode, { readonly title: string; readonly hints: readonly string[] }>> = {
  NO_TUNNEL: {
    title: 'Nothing is connected here',
    hints: [
      'If this address is yours, connect a tunnel from the machine that has your application:',
      'socket-gateway tunnel connect --socket-id NAME --port PORT',
      'NAME is this address without https:// (or the name that you gave the socket), PORT that of your application. Or begin anew with one command:',
      'socket-gateway connect PORT',
    ],
  },
  NO_SOCKET: {
    title: 'Nothing is here',
    hints: ['A name goes with its socket. If this one was yours, a new one takes one command:', 'socket-gateway connect PORT'],
  },
  QUOTA_REACHED: {
    title: 'Enough for today',
    hints: [
      'Whoever runs this gateway lets an account move so many bytes in a day, at all of its addresses together. The next day begins at midnight (UTC).',
      'If it is yours, ask whoever runs the gateway for more.',
    ],
  },
  VISITOR_LOGIN_MISSING: {
    title: 'This address is for some visitors only',
    hints: [
      'Whoever runs this gateway starts its outer layer with --visitors, and names a provider in that file.',
      'If it is yours, you can also take the lists of visitors away, or protect it with a password.',
    ],
  },
}

/** The side that can do something about an error. */
export type Turn = 'visitor' | 'later' | 'operator'

const TURNS: Readonly<Record<Turn, string>> = {
  visitor: 'It is your turn: check the address, or what you have sent, and try again.',
  later: 'Nobody has to do anything: wait a moment and load the page again. If it stays like this, tell whoever runs this site.',
  operator: 'It is the turn of whoever runs this site. Tell them the code and the request id below: their log has the rest.',
}

const OPERATORS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ADDRESS_REFUSED',
  'POLICY_REFUSED',
  'ORIGIN_FORBIDDEN',
  'ORIGIN_REFUSED',
  'ORIGIN_DNS',
  'ORIGIN_TLS',
  'ORIGIN_BAD_RESPONSE',
  'ORIGIN_CONNECT_TIMEOUT',
  'VISITOR_LOGIN_MISSING',
  'NO_TUNNEL',
  'LOOP',
  'INTERNAL',
])

/** Returns who has to act. What is of the client is its turn, and what may pass by itself nobody's. */
export function turnOf(code: ErrorCode): Turn {
  if (OPERATORS.has(code)) return 'operator'
  const { status } = ERRORS[code]
  return status >= 500 || status === 429 || status === 408 ? 'later' : 'visitor'
}

/** The page of an error. Nothing on it comes from anywhere but the catalogue and this file, the id and the operator's address apart. */
export function errorPage(
  code: ErrorCode,
  requestId: string,
  { own, abuse }: { readonly own?: OwnErrorPages | undefined; readonly abuse?: string | undefined } = {},
): ErrorPage {
  const replaced = own?.pageOf(code, requestId)
  if (replaced !== undefined) return replaced
  const { status, text } = ERRORS[code]
  const owners = OWNERS[code]
  const hints = owners?.hints.map(hint => (hint.startsWith('socket-gateway') ? markup`<pre>${hint}</pre>` : markup`<p>${hint}</p>`))
  const html = renderPage({
    title: owners?.title ?? `${status} ${STATUS_CODES[status] ?? 'Error'}`,
    body: [
      markup`<p>${text}</p>\n`,
      hints ?? markup`<div class="action"><p>${TURNS[turnOf(code)]}</p></div>`,
      facts([
        ['status', String(status)],
        ['code', code],
        ['request id', requestId],
        ...(abuse === undefined ? [] : [['report abuse to', abuse] as const]),
      ]),
    ],
  })
  return { html, policy: policyOf() }
}
