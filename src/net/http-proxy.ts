import { request, type IncomingMessage, type RequestOptions } from 'node:http'
import type { Socket } from 'node:net'
import { isThisMachine } from '../address/this-machine.ts'
import { GatewayError, messageOf } from '../errors.ts'
import { guarded } from './guard.ts'

type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http:', '80'],
  ['https:', '443'],
  ['ws:', '80'],
  ['wss:', '443'],
])

const valueOf = (env: Environment, name: string): string => env[name] || env[name.toLowerCase()] || ''

/** Entries of NO_PROXY: `*`, a name with everything below it, `.below`, either with a port. Ranges of addresses are left out. */
function isExcepted(url: URL, noProxy: string): boolean {
  const port = url.port || DEFAULT_PORTS.get(url.protocol)
  return noProxy
    .split(',')
    .map(entry => entry.trim().toLowerCase())
    .some(entry => {
      if (entry === '*') return true
      const [, name = '', only] = /^(.+?)(?::(\d+))?$/.exec(entry) ?? []
      if (name === '' || (only !== undefined && only !== port)) return false
      return url.hostname === name.replace(/^\./, '') || url.hostname.endsWith(name.startsWith('.') ? name : `.${name}`)
    })
}

/**
 * The proxy on the way to `url` (http, https, ws or wss), as curl and Go read it from HTTP_PROXY, HTTPS_PROXY and NO_PROXY; undefined for none,
 * and always for this machine.
 * @throws GatewayError USAGE for a proxy that is no http:// URL
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const name = url.protocol === 'https:' || url.protocol === 'wss:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const value = valueOf(env, name)
  if (value === '' || isThisMachine(url.hostname) || isExcepted(url, valueOf(env, 'NO_PROXY'))) return undefined
  const proxy = parseProxy(value)
  // Without its value, in which there may be a password.
  if (proxy === undefined)
    throw new GatewayError('USAGE', `${name} is no http:// URL; only proxies that are spoken to without TLS are supported`)
  return proxy
}

/** A proxy as options and the environment name it, with or without `http://`; undefined when it is none that can be spoken to. */
export function parseProxy(value: string): URL | undefined {
  const text = value.includes('://') ? value : `http://${value}`
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  try {
    proxyFields(url)
  } catch {
    return undefined // a percent sign that encodes nothing
  }
  return url.protocol === 'http:' && url.hostname !== '' ? url : undefined
}

/** Host and port of a proxy, for logs: what is in front of them is a secret. */
export const placeOfProxy = (proxy: URL): string => `${proxy.hostname}:${proxy.port || 80}`

/** Where to connect to, IPv6 without brackets. */
export const addressOfProxy = (proxy: URL): { readonly host: string; readonly port: number } => ({
  host: proxy.hostname.replace(/^\[|\]$/g, ''),
  port: Number(proxy.port || 80),
})

/** Name and password of its URL as a field; none without them. */
export function proxyFields({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '') return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'Proxy-Authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** Returns the error for a proxy that refuses to open the way, with its remedy. */
function refusalOf(proxy: URL, authority: string, status: number): Error {
  const said = `the proxy ${placeOfProxy(proxy)} answered CONNECT ${authority} with ${status}`
  if (status === 407) return new Error(`${said}: it wants a name and a password that are right, http://NAME:PASSWORD@HOST:PORT`)
  if (status === 403 || status === 405) return new Error(`${said}: it does not open the way to that host or port`)
  return new Error(said)
}

/**
 * Opens a way through a proxy with CONNECT (RFC 9110 §9.3.6).
 * @param authority  host and port of the far end, IPv6 in brackets
 * @param opened     called once, with an error or with a socket whose bytes are those of the far end
 */
export function connectThrough(
  proxy: URL,
  authority: string,
  opened: (error: Error | null, socket?: Socket) => void,
  signal?: AbortSignal,
): void {
  const options: RequestOptions = {
    ...addressOfProxy(proxy),
    method: 'CONNECT',
    path: authority,
    headers: { Host: authority, ...proxyFields(proxy) },
    agent: false,
    ...(signal !== undefined && { signal }),
  }
  let isOver = false
  const over = (error: Error | null, socket?: Socket): void => {
    if (isOver) return
    isOver = true
    opened(error, socket)
  }
  const opening = request(options)
  const failed = (thrown: unknown): void => {
    opening.destroy()
    over(new Error(`the proxy ${placeOfProxy(proxy)}: ${messageOf(thrown)}`, { cause: thrown }))
  }
  const refused = (response: IncomingMessage): void => {
    opening.destroy()
    over(refusalOf(proxy, authority, response.statusCode ?? 0))
  }
  const connected = (response: IncomingMessage, socket: Socket, head: Buffer): void => {
    if (response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300) {
      if (head.length > 0) socket.unshift(head)
      return over(null, socket)
    }
    socket.destroy()
    over(refusalOf(proxy, authority, response.statusCode ?? 0))
  }
  opening.on('error', guarded(failed, failed))
  opening.on('response', guarded(failed, refused))
  opening.on('connect', guarded(failed, connected))
  opening.end()
}
