import { GatewayError } from '../../errors.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import { namedValues } from '../kept/fields-text.ts'
import { scriptText, shellWord } from './shell-text.ts'

/** Fields that whoever sends the request makes itself. */
const NAME = /^[!#$%&'*+.^\w`|~-]+$/
const MADE: ReadonlySet<string> = new Set([
  'host',
  ':authority',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'content-encoding',
  'expect',
  // Of ours: with it, the gateway would take the request for one that goes round in circles.
  'x-sg-passed',
])

/** A request as a command that somebody can paste. */
export type CopyForm = 'curl' | 'fetch' | 'httpie'

/** The parts of a request that a command has. */
export interface CopiedRequest {
  readonly method: string
  readonly url: string
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Buffer | undefined
  /** A content coding is still on the body. */
  readonly isCoded: boolean
}

/** Writes the request as a command; what was redacted stands as `***`. @throws GatewayError INVALID for another form */
export function copyAs({ start, requestBody }: ExchangeRecord, form: string): string {
  return copyRequestAs(form, {
    method: start.method,
    url: `${start.scheme}://${start.authority}${start.path}`,
    fields: namedValues(start.fields),
    body: requestBody === undefined || requestBody.held.length === 0 ? undefined : requestBody.held.bytes,
    isCoded: requestBody?.coding === null,
  })
}

/** The same of its parts. @throws GatewayError INVALID for another form */
export function copyRequestAs(form: string, { fields: all, ...rest }: CopiedRequest): string {
  // A coding that is still on the body is said; one that was undone is not.
  const fields = all.filter(
    ([name]) => NAME.test(name) && (!MADE.has(name.toLowerCase()) || (rest.isCoded && name.toLowerCase() === 'content-encoding')),
  )
  const request = { ...rest, fields }
  switch (form) {
    case 'curl':
      return curl(request)
    case 'fetch':
      return fetchCall(request)
    case 'httpie':
      return httpie(request)
    default:
      throw new GatewayError('INVALID', 'as: expected curl, fetch or httpie')
  }
}

/** Is it text without anything that a shell or a terminal would lose? */
const isPlain = (body: Buffer): boolean => body.equals(Buffer.from(body.toString('utf8'))) && !/[\0\r\x1b]/.test(body.toString('latin1'))

/** Bytes that no argument can hold, by way of a pipe. */
const piped = (body: Buffer): string => `printf %s ${shellWord(body.toString('base64'))} | base64 -d | `

/** Fields are latin-1, and commands are UTF-8: what is not ASCII goes as it would be read. */
const fieldText = ([name, value]: readonly [string, string]): string => `${name}: ${value}`

function curl({ method, url, fields, body }: CopiedRequest): string {
  const isPiped = body !== undefined && !isPlain(body)
  // Globbing off: a URL is a URL. A file name would begin with @, so data never are one with --data-raw.
  const lines = [`curl --globoff --path-as-is -X ${shellWord(method)} ${shellWord(url)}`]
  for (const field of fields) lines.push(field[1] === '' ? `-H ${shellWord(`${field[0]};`)}` : `-H ${shellWord(fieldText(field))}`)
  if (body !== undefined) {
    if (!fields.some(([name]) => name.toLowerCase() === 'content-type')) lines.push(`-H ${shellWord('Content-Type:')}`)
    lines.push(isPiped ? '--data-binary @-' : `--data-raw ${shellWord(body.toString('utf8'))}`)
  }
  return `${isPiped ? piped(body) : ''}${lines.join(' \\\n  ')}\n`
}

function httpie({ method, url, fields, body }: CopiedRequest): string {
  const lines = [`http --ignore-stdin ${shellWord(method)} ${shellWord(url)}`]
  // `;` for an empty value; a colon in a name cannot be.
  // `:=` and `:@` would be JSON and the name of a file.
  for (const [name, value] of fields)
    lines.push(shellWord(value === '' ? `${name};` : `${name}:${/^[=@\\]/.test(value) ? '\\' : ''}${value}`))
  if (body === undefined) return `${lines.join(' \\\n  ')}\n`
  lines[0] = lines[0]!.replace(' --ignore-stdin', '')
  return `${piped(body)}${lines.join(' \\\n  ')}\n`
}

/** Names that a page may not set (Fetch standard, forbidden request-headers). */
const FORBIDDEN =
  /^(?:accept-charset|accept-encoding|access-control-.*|cookie|date|dnt|origin|referer|te|trailer|upgrade|via|proxy-.*|sec-.*)$/

function fetchCall({ method, url, fields, body }: CopiedRequest): string {
  const allowed = fields.filter(([name]) => !FORBIDDEN.test(name.toLowerCase()) && !name.startsWith(':'))
  const headers = allowed.map(([name, value]) => `    [${scriptText(name)}, ${scriptText(value)}],`)
  const lines = [`await fetch(${scriptText(url)}, {`, `  method: ${scriptText(method)},`]
  if (headers.length > 0) lines.push('  headers: [', ...headers, '  ],')
  if (body !== undefined) {
    if (isPlain(body)) lines.push(`  body: ${scriptText(body.toString('utf8'))},`)
    else lines.push(`  body: Uint8Array.from(atob(${scriptText(body.toString('base64'))}), character => character.charCodeAt(0)),`)
  }
  return `${lines.join('\n')}\n})\n`
}
