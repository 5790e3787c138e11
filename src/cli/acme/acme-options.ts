import { parseHostPort, type HostPort } from '../../address/host-port.ts'
import { parseHostPattern } from '../../address/host.ts'
import { GatewayError } from '../../errors.ts'
import { duration, FILE, listOf, optional, TEXT, withDefault, type Reader, type ValuesOf } from '../command/option.ts'

const EMAIL: Reader<string> = {
  expected: 'an e-mail address',
  read: text => (/^[^\s@,;<>]+@[^\s@,;<>]+$/.test(text) ? text : undefined),
}

const DIRECTORY: Reader<string> = {
  expected: 'the https:// URL of the directory of an authority',
  read: text => (/^https:\/\//i.test(text) && URL.canParse(text) ? text : undefined),
}

/** A name that can be in a certificate. */
export const HOST_NAME: Reader<string> = {
  expected: 'a host name, or a wildcard such as *.example.com',
  read: text => {
    try {
      const name = parseHostPattern(text)
      return name === '*' ? undefined : name
    } catch {
      return undefined
    }
  },
}

const DNS_PORT = 53
const DNS_WAIT_MS = 10_000

const SERVER: Reader<HostPort> = {
  expected: 'HOST or HOST:PORT, an IPv6 address in brackets',
  read: text => {
    const server = parseHostPort(/^\[[^\]]*\]$|^[^:]*$/.test(text) ? `${text}:${DNS_PORT}` : text)
    return server === undefined || server.host === '' ? undefined : server
  },
}

const NEED_ACME = [
  'acme-directory',
  'acme-directory-ca',
  'acme-path',
  'acme-name',
  'acme-eab-kid',
  'acme-eab-key',
  'acme-dns-hook',
  'acme-dns-server',
  'acme-dns-key',
] as const

/** Refuses options that say how certificates are ordered where none are: the port would speak plain HTTP. @throws GatewayError USAGE */
export function checkAcmeOptions(values: Partial<ValuesOf<typeof acmeOptions>>): void {
  const given = NEED_ACME.filter(name => {
    const value = values[name]
    return Array.isArray(value) ? value.length > 0 : value !== undefined
  })
  if (values.acme !== undefined || given.length === 0) return
  const [names, verb] = [given.map(name => `--${name}`).join(', '), given.length === 1 ? 'is' : 'are']
  throw new GatewayError(
    'USAGE',
    `${names} ${verb} for --acme, which is not given, so nothing would be ordered; add --acme you@example.com`,
  )
}

/** Options of `outer-layer` for certificates that it orders itself. */
export const acmeOptions = {
  acme: optional(EMAIL, {
    describe:
      'Order and renew certificates for the names of targets, TCP ports and sockets by ACME, and agree to the terms of the authority; it writes to this address. The app port speaks HTTPS',
    defaultText: 'none: --tls-certificate alone',
  }),
  'acme-directory': optional(DIRECTORY, { describe: 'URL of the directory of the authority', defaultText: "that of Let's Encrypt" }),
  'acme-directory-ca': optional(FILE, {
    describe: 'File with the certificates of the only authorities to trust in https:// to that directory',
    defaultText: 'those of Node.js and NODE_EXTRA_CA_CERTS',
  }),
  'acme-path': optional(FILE, {
    describe: 'Folder for the certificates, their keys and the key of the account, for its owner only; made where it is not there',
    defaultText: 'acme in the folder of --state, or in outer-layer-state',
  }),
  'acme-name': listOf(HOST_NAME, {
    describe:
      'Another name to order a certificate for, such as that of the socket port; repeatable. Of a wildcard target, a name that is used',
    fallback: [],
  }),
  'acme-eab-kid': optional(TEXT, {
    describe: 'Identifier of an account that the authority has made for you (external account binding)',
    defaultText: 'none',
  }),
  'acme-eab-key': optional(FILE, {
    describe: 'File with the key of that account, base64url as the authority gives it; readable by its owner only',
    defaultText: 'none; needed with --acme-eab-kid',
  }),
  'acme-dns-hook': optional(FILE, {
    describe:
      'Program that adds and removes TXT records: names are proven by the DNS, wildcards as well. Told by ACME_ACTION (add, remove), ACME_RECORD and ACME_VALUE in its environment; it has two minutes',
    defaultText: 'none',
  }),
  'acme-dns-server': optional(SERVER, {
    describe: 'DNS server that takes updates (RFC 2136) over TCP, HOST or HOST:PORT: instead of --acme-dns-hook',
    defaultText: 'none',
  }),
  'acme-dns-key': optional(FILE, {
    describe: 'File with the key of the updates, as tsig-keygen writes it; readable by its owner only',
    defaultText: 'none: updates are not signed',
  }),
  'acme-dns-wait': withDefault(duration(0), DNS_WAIT_MS, { describe: 'Time until a record has come to all servers of its zone' }),
} as const
