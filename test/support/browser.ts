/** A browser as far as logins are concerned: cookies by host, as RFC 6265bis has them, and redirects. */
import { request, type IncomingHttpHeaders } from 'node:http'

/** What came back. */
export interface Visit {
  readonly url: string
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Every URL on the way, the last one too. */
  readonly way: readonly string[]
}

/** How a request is sent. */
export interface VisitOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** False: stops at the first answer. */
  readonly follows?: boolean
  /** Sent by a page of another site: a form brings no cookie of it that is not for other sites. */
  readonly isCrossSite?: boolean
  /** Stops before the URL for which it is true. */
  readonly stopAt?: (url: URL) => boolean
}

interface Cookie {
  readonly value: string
  readonly isForOtherSites: boolean
  readonly isSecure: boolean
}

const MAX_REDIRECTS = 15

/** One browser. Names of hosts all lead to `port` of this machine, with `https` by the field of a proxy; addresses lead where they say. */
export class Browser {
  readonly jar = new Map<string, Map<string, Cookie>>()
  keepsCookies: (host: string) => boolean = () => true

  constructor(private readonly port: number) {}

  cookie(host: string, name: string): string | undefined {
    return this.jar.get(host)?.get(name)?.value
  }

  /** Goes to a page, as somebody who has typed it. */
  async go(url: string, options: VisitOptions = {}): Promise<Visit> {
    const way: string[] = []
    let next = url
    const { body: given, ...rest } = options
    let [method, body] = [options.method ?? 'GET', given]
    for (let i = 0; i < MAX_REDIRECTS; i++) {
      way.push(next)
      const answer = await this.send(next, {
        ...rest,
        method,
        ...(body !== undefined && { body }),
        headers: { accept: 'text/html,*/*;q=0.8', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', ...options.headers },
      })
      const { location } = answer.headers
      if (location === undefined || options.follows === false) return { ...answer, url: next, way }
      const target = new URL(location, next)
      if (options.stopAt?.(target) === true) return { ...answer, url: target.href, way: [...way, target.href] }
      next = target.href
      if (answer.status !== 307 && answer.status !== 308) {
        method = 'GET'
        body = undefined
      }
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects: ${way.join(' → ')}`)
  }

  /** One request, with the cookies of the host. */
  send(url: string, { method = 'GET', headers = {}, body, isCrossSite = false }: VisitOptions = {}): Promise<Omit<Visit, 'way'>> {
    const { hostname, host, port, pathname, search, protocol } = new URL(url)
    const isOurs = hostname !== '127.0.0.1'
    const isForeignForm = isCrossSite && method === 'POST'
    const cookies = [...(this.jar.get(hostname) ?? [])]
      .filter(([, { isSecure }]) => !isSecure || protocol === 'https:')
      .filter(([, { isForOtherSites }]) => isForOtherSites || !isForeignForm)
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: isOurs ? this.port : port,
          method,
          path: pathname + search,
          agent: false,
          headers: {
            host,
            ...(cookies.length > 0 && { cookie: cookies.map(([name, { value }]) => `${name}=${value}`).join('; ') }),
            ...(isOurs && protocol === 'https:' && { 'x-forwarded-proto': 'https' }),
            ...(body !== undefined && {
              'content-length': String(Buffer.byteLength(body)),
              'content-type': 'application/x-www-form-urlencoded',
            }),
            ...headers,
          },
        },
        answer => {
          const pieces: Buffer[] = []
          answer.on('data', (piece: Buffer) => pieces.push(piece))
          answer.on('error', reject)
          answer.on('end', () => {
            if (this.keepsCookies(hostname)) this.#keep(hostname, answer.headers['set-cookie'] ?? [])
            resolve({ url, status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(pieces).toString() })
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }

  #keep(host: string, fields: readonly string[]): void {
    const jar = this.jar.get(host) ?? new Map<string, Cookie>()
    this.jar.set(host, jar)
    for (const field of fields) {
      const [pair = '', ...attributes] = field.split(';').map(part => part.trim())
      const name = pair.slice(0, pair.indexOf('='))
      const isSecure = attributes.includes('Secure')
      if (name.startsWith('__Host-') && !(isSecure && attributes.includes('Path=/') && !attributes.some(each => /^domain/i.test(each))))
        throw new Error(`no browser takes this cookie: ${field}`)
      if (attributes.includes('Max-Age=0')) jar.delete(name)
      else
        jar.set(name, {
          value: pair.slice(pair.indexOf('=') + 1),
          isSecure,
          isForOtherSites: isSecure && attributes.includes('SameSite=None'),
        })
    }
  }
}
