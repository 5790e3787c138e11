import { isAbsolute, join } from 'node:path'
import { GatewayError } from '../errors.ts'

/** A server that takes letters. */
export interface SmtpPlace {
  readonly host: string
  readonly port: number
  readonly user: string | undefined
  readonly password: string | undefined
  /** TLS from the first byte; STARTTLS or nothing; no TLS. */
  readonly tls: 'immediate' | 'starttls' | 'off'
  /** Certificates that are trusted beside or instead of those of Node, a file of PEM. */
  readonly caFile: string | undefined
}

/** Never with the text itself: a password may stand in it. */
const invalid = (why: string): GatewayError => new GatewayError('CONFIG_INVALID', `mail.smtp: ${why}`)

const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1'])
const PARAMETERS = new Set(['tls', 'ca'])

/**
 * Parses `smtps://[USER[:PASSWORD]@]HOST[:465]` or `smtp://…HOST[:587][?tls=off][&ca=FILE]`. Without `tls=off`, nothing is sent before
 * STARTTLS, but to this machine.
 * @param directory  of relative files
 * @throws GatewayError CONFIG_INVALID
 */
export function parseSmtpUrl(text: string, directory: string): SmtpPlace {
  if (!/^smtps?:\/\//.test(text)) throw invalid('expected smtps://HOST or smtp://HOST')
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw invalid('this is not a valid URL; expected smtps://USER@HOST:PORT')
  }
  if (url.hostname === '' || !/^\/?$/.test(url.pathname)) throw invalid('expected a host and nothing behind it')
  for (const name of url.searchParams.keys()) if (!PARAMETERS.has(name)) throw invalid(`unknown parameter ${JSON.stringify(name)}`)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const isImmediate = url.protocol === 'smtps:'
  const tls = url.searchParams.get('tls')
  if (tls !== null && (tls !== 'off' || isImmediate)) throw invalid('expected tls=off with smtp://, or nothing')
  const ca = url.searchParams.get('ca')
  const isOff = tls === 'off' || (LOOPBACK.has(host) && ca === null)
  return {
    host,
    port: url.port === '' ? (isImmediate ? 465 : 587) : Number(url.port),
    user: url.username === '' ? undefined : decode(url.username),
    password: url.password === '' ? undefined : decode(url.password),
    tls: isImmediate ? 'immediate' : isOff ? 'off' : 'starttls',
    caFile: ca === null ? undefined : isAbsolute(ca) ? ca : join(directory, ca),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('a percent sign in the URL is not followed by two hexadecimal digits')
  }
}
