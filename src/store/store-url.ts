import { isAbsolute, join } from 'node:path'
import { GatewayError } from '../errors.ts'
import { IN_MEMORY } from './sqlite-file.ts'

/** Where the database of the service is. */
export type StorePlace =
  | { readonly kind: 'sqlite'; readonly file: string }
  | {
      readonly kind: 'postgres'
      readonly host: string
      readonly port: number
      readonly database: string
      readonly user: string
      readonly password: string | undefined
      readonly tls: 'off' | 'verified' | 'unverified'
      /** Certificates that are trusted, a file of PEM. */
      readonly caFile: string | undefined
      readonly connections: number
    }

const DEFAULT_CONNECTIONS = 10
const TLS: ReadonlyMap<string, 'off' | 'verified' | 'unverified'> = new Map<string, 'off' | 'verified' | 'unverified'>([
  ['disable', 'off'],
  ['require', 'unverified'],
  ['verify-full', 'verified'],
])
const PARAMETERS = new Set(['sslmode', 'sslrootcert', 'connections', 'host'])

/** Never with the text itself: a password may stand in it. */
const invalid = (why: string): GatewayError => new GatewayError('CONFIG_INVALID', `store: ${why}`)

/**
 * Parses `sqlite:FILE` or `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=disable|require|verify-full&sslrootcert=FILE&connections=N&host=DIRECTORY]`.
 * Over a network the default is verify-full, on this machine no TLS.
 * @param directory  of relative files
 * @throws GatewayError CONFIG_INVALID
 */
export function parseStoreUrl(text: string, directory: string): StorePlace {
  if (text.startsWith('sqlite:')) {
    const file = text.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '')
    if (file === '' || file.startsWith('//') || file.includes('\0')) throw invalid('expected a file, as in sqlite:state/service.db')
    return { kind: 'sqlite', file: file === IN_MEMORY || isAbsolute(file) ? file : join(directory, file) }
  }
  if (!/^postgres(?:ql)?:\/\//.test(text)) throw invalid('expected sqlite:FILE or postgres://USER@HOST/DATABASE')
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw invalid('this is not a valid URL; expected postgres://USER@HOST:PORT/DATABASE')
  }
  for (const name of url.searchParams.keys()) if (!PARAMETERS.has(name)) throw invalid(`unknown parameter ${JSON.stringify(name)}`)
  // As libpq has it: a directory with a socket of Unix in it cannot stand where hosts stand.
  const host = url.searchParams.get('host') ?? decode(url.hostname.replace(/^\[(.*)\]$/, '$1'))
  const database = decode(url.pathname.slice(1))
  const user = decode(url.username)
  if (host === '' || database === '' || user === '') throw invalid('expected user, host and database, as in postgres://USER@HOST/DATABASE')
  const mode = url.searchParams.get('sslmode')
  const tls = mode === null ? (isLocal(host) ? 'off' : 'verified') : TLS.get(mode)
  if (tls === undefined) throw invalid('expected sslmode to be disable, require or verify-full')
  const connections = Number(url.searchParams.get('connections') ?? DEFAULT_CONNECTIONS)
  if (!Number.isInteger(connections) || connections < 2 || connections > 100) throw invalid('expected connections from 2 to 100')
  const caFile = url.searchParams.get('sslrootcert') ?? undefined
  return {
    kind: 'postgres',
    host,
    port: url.port === '' ? 5_432 : Number(url.port),
    database,
    user,
    password: url.password === '' ? undefined : decode(url.password),
    tls,
    caFile: caFile === undefined || isAbsolute(caFile) ? caFile : join(directory, caFile),
    connections,
  }
}

/** A socket of Unix, or this machine. */
const isLocal = (host: string): boolean => host.startsWith('/') || ['localhost', '127.0.0.1', '::1'].includes(host)

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('a percent sign in the URL is not followed by two hexadecimal digits')
  }
}
