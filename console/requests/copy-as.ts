import type { NamedValue, RequestDetail } from './records.ts'

/** Programs that send a request again. */
export type CopyAs = 'curl' | 'fetch' | 'httpie'

/** Fields that programs set by themselves. */
const OWN = new Set(['host', 'content-length', 'connection', 'transfer-encoding', 'accept-encoding', 'te', 'trailer', 'upgrade'])

/** A text as one word of a POSIX shell. */
export const quote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

/** The request as a command, or as a call. @param body  text of its body, undefined for none */
export function copyAs(
  program: CopyAs,
  { method, url, request }: Pick<RequestDetail, 'method' | 'url' | 'request'>,
  body: string | undefined,
): string {
  const fields = request.fields.filter(([name]) => !OWN.has(name.toLowerCase()) && !name.startsWith(':'))
  if (program === 'fetch') return asFetch(method, url, { fields, body })
  return program === 'curl' ? asCurl(method, url, { fields, body }) : asHttpie(method, url, { fields, body })
}

interface Rest {
  readonly fields: readonly NamedValue[]
  readonly body: string | undefined
}

function asCurl(method: string, url: string, { fields, body }: Rest): string {
  const words = [
    'curl',
    '--globoff',
    ...(method === (body === undefined ? 'GET' : 'POST') ? [] : method === 'HEAD' ? ['--head'] : ['-X', quote(method)]),
    quote(url),
  ]
  const options = [
    // An empty value would remove the field: a semicolon keeps it.
    ...fields.map(([name, value]) => `-H ${quote(value === '' ? `${name};` : `${name}: ${value}`)}`),
    // Without a type curl would say that it is a form.
    ...(body === undefined || fields.some(([name]) => name.toLowerCase() === 'content-type') ? [] : [`-H 'Content-Type:'`]),
    ...(body === undefined ? [] : [`--data-raw ${quote(body)}`]),
  ]
  return [words.join(' '), ...options].join(' \\\n  ')
}

function asHttpie(method: string, url: string, { fields, body }: Rest): string {
  const options = fields.map(([name, value]) => quote(value === '' ? `${name};` : `${name}:${value}`))
  const raw = body === undefined ? ['--ignore-stdin'] : ['--ignore-stdin', `--raw ${quote(body)}`]
  return [`http ${raw.join(' ')} ${quote(method)} ${quote(url)}`, ...options].join(' \\\n  ')
}

function asFetch(method: string, url: string, { fields, body }: Rest): string {
  const options = {
    ...(method !== 'GET' && { method }),
    ...(fields.length > 0 && { headers: fields }),
    ...(body !== undefined && { body }),
  }
  const text = Object.keys(options).length === 0 ? '' : `, ${JSON.stringify(options, null, 2)}`
  return `await fetch(${JSON.stringify(url)}${text})`
}
