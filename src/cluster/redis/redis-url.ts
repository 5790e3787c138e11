import { GatewayError } from '../../errors.ts'

/** Where Redis is, or Valkey. */
export interface RedisPlace {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly isEncrypted: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  /** Number of the database; 0 in a cluster. */
  readonly database: number
  /** Name of the master, of sentinels alone. */
  readonly master: string | undefined
  /** Without name and password, for logs and pages. */
  readonly text: string
}

const KINDS = new Map([
  ['redis', { kind: 'single', isEncrypted: false, port: 6379 }],
  ['rediss', { kind: 'single', isEncrypted: true, port: 6379 }],
  ['redis+sentinel', { kind: 'sentinel', isEncrypted: false, port: 26_379 }],
  ['rediss+sentinel', { kind: 'sentinel', isEncrypted: true, port: 26_379 }],
  ['redis+cluster', { kind: 'cluster', isEncrypted: false, port: 6379 }],
  ['rediss+cluster', { kind: 'cluster', isEncrypted: true, port: 6379 }],
] as const)

const FORMS = 'redis://HOST:PORT/DATABASE, redis+sentinel://HOST,HOST/MASTER/DATABASE or redis+cluster://HOST,HOST (rediss… with TLS)'

/**
 * Reads the URL of a Redis: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, several hosts with commas for sentinels and clusters.
 * @throws GatewayError USAGE, without the password
 */
export function parseRedisUrl(text: string): RedisPlace {
  const fail = (fault: string): GatewayError => new GatewayError('USAGE', `--cluster: ${fault}; write ${FORMS}`)
  const scheme = text.slice(0, Math.max(0, text.indexOf('://')))
  const of = KINDS.get(scheme as 'redis')
  if (of === undefined) throw fail(scheme === '' ? 'this is no URL' : `${JSON.stringify(scheme)} is no scheme of Redis`)
  const rest = text.slice(scheme.length + 3)
  const slash = rest.indexOf('/')
  const authority = slash < 0 ? rest : rest.slice(0, slash)
  const path = (slash < 0 ? '' : rest.slice(slash + 1)).split('/').filter(part => part !== '')
  const at = authority.lastIndexOf('@')
  const [username, password] = at < 0 ? [] : splitOnce(authority.slice(0, at))
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map(place => {
      const url = `http://${place}`
      if (place === '' || !URL.canParse(url)) throw fail('a host is not valid')
      const { hostname, port, pathname, search } = new URL(url)
      if (pathname !== '/' || search !== '') throw fail('a host is not valid')
      return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? of.port : Number(port) }
    })
  if (of.kind === 'single' && hosts.length > 1) throw fail('several hosts are sentinels or a cluster')
  const [master] = of.kind === 'sentinel' ? path.splice(0, 1) : []
  if (of.kind === 'sentinel' && master === undefined) throw fail('the name of the master is missing')
  const [database = '0', ...others] = path
  if (!/^\d{1,4}$/.test(database) || others.length > 0 || (of.kind === 'cluster' && database !== '0'))
    throw fail('the database is not valid')
  const shown = hosts.map(({ host, port }) => `${host}:${port}`).join(',')
  return {
    ...of,
    hosts,
    username: username === '' || username === undefined ? undefined : decoded(username, fail),
    password: password === undefined ? undefined : decoded(password, fail),
    database: Number(database),
    master,
    text: `${scheme}://${shown}${master === undefined ? '' : `/${master}`}${database === '0' ? '' : `/${database}`}`,
  }
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf(':')
  return at < 0 ? ['', text] : [text.slice(0, at), text.slice(at + 1)]
}

function decoded(text: string, fail: (fault: string) => GatewayError): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw fail('name and password are not encoded as in URLs')
  }
}
