/** How the client reaches an API, and what it says when it does not. */
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { createServer as createTcp } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { createApi } from '../../src/api/api.ts'
import { parseServerUrl, textOfServer } from '../../src/client/server-url.ts'
import { ServiceClient, type ServiceClientOptions } from '../../src/client/service-client.ts'
import { GatewayError } from '../../src/errors.ts'
import type { Service } from '../../src/service/contract.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { mintAuthority, mintServer } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startConnectProxy } from '../support/connect-proxy.ts'
import { freePort, listen } from '../support/ports.ts'

const app = createApi({ service: {} as Service, log: silentLog, isBehindGateway: false })
const authority = await mintAuthority()
const pair = await mintServer(['localhost', 'api.example.com'], authority)
const ca = authority.certificatePem
const plainPort = await listen(createHttp(app))
const tlsPort = await listen(createHttps({ cert: pair.certificatePem, key: pair.privateKeyPem }, app))

const call = (server: string, options: Partial<ServiceClientOptions> = {}) =>
  new ServiceClient({ server: parseServerUrl(server), env: {}, ...options }).version()
const failure = async (promise: Promise<unknown>): Promise<GatewayError> => {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(GatewayError)
  return thrown as GatewayError
}
/** A server that answers what is no API of this kind. */
const stranger = async (answer: RequestListener): Promise<string> => `http://127.0.0.1:${await listen(createHttp(answer))}`

describe('the way to an API', () => {
  test('over HTTP on this machine, with a slash at the end or without, and with a path before it', async () => {
    expect(await call(`http://localhost:${plainPort}/`)).toHaveProperty('version')
    const below = createHttp((req, res) => {
      req.url = (req.url ?? '').replace(/^\/gateway/, '')
      app(req, res)
    })
    expect(await call(`http://127.0.0.1:${await listen(below)}/gateway/`)).toHaveProperty('version')
  })

  test('of a name below localhost, which stands for this machine whatever its resolver knows', async () => {
    expect(await call(`http://api.localhost:${plainPort}`)).toHaveProperty('version')
  })

  test('over TLS with an authority of its own', async () => {
    expect(await call(`https://localhost:${tlsPort}`, { ca })).toHaveProperty('version')
  })

  test('through the proxy that the environment names, to a name that only the proxy knows, for either scheme', async () => {
    const proxy = await startConnectProxy('ada:secret', ['api.example.com'])
    const env = { HTTPS_PROXY: `http://ada:secret@127.0.0.1:${proxy.port}` }
    expect(await call(`https://api.example.com:${tlsPort}`, { env, ca })).toHaveProperty('version')
    expect(proxy.seen).toEqual([{ authority: `api.example.com:${tlsPort}`, authorization: expect.any(String) }])
    // This machine is never asked for through a proxy.
    expect(await call(`https://localhost:${tlsPort}`, { env, ca })).toHaveProperty('version')
    expect(proxy.seen.length).toBe(1)
  })

  test('a proxy that refuses says so, without its password', async () => {
    const proxy = await startConnectProxy('ada:secret')
    const env = { HTTPS_PROXY: `http://ada:wrong-one@127.0.0.1:${proxy.port}` }
    const { code, message } = await failure(call('https://api.example.com', { env }))
    expect(code).toBe('SERVICE_UNREACHABLE')
    expect(message).toContain('407')
    expect(message).not.toContain('wrong-one')
  })

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['nobody listens', async () => call(`http://127.0.0.1:${await freePort()}`), /nothing listens there/],
    ['no such name', () => call('https://nobody.invalid'), /the name has no address/],
    ['an authority that nobody knows', () => call(`https://localhost:${tlsPort}`), /name the right one with --ca/],
    [
      'a certificate for another name',
      () => call(`https://127.0.0.1:${tlsPort}`, { ca }),
      /the certificate is for localhost, api\.example\.com, not for 127\.0\.0\.1: dial a name that is in it/,
    ],
    [
      'TLS where none is spoken',
      () => call(`https://localhost:${plainPort}`),
      /: TLS: wrong version number; what listens there does not speak TLS/,
    ],
    ['no TLS where some is spoken', () => call(`http://localhost:${tlsPort}`), /SERVICE|HTTP|socket|closed/i],
    [
      'a page of somebody else',
      async () => call(await stranger((_req, res) => void res.end('<h1>Hello</h1>'))),
      /answered without JSON; check the URL/,
    ],
    [
      'a redirect',
      async () => call(await stranger((_req, res) => void res.writeHead(308, { Location: 'https://elsewhere.example/' }).end())),
      /it leads to https:\/\/elsewhere\.example\/: give the URL of the API itself/,
    ],
    [
      'the gateway while the service process is away',
      async () =>
        call(
          await stranger((_req, res) => {
            const body = { type: 'about:blank', title: 'Bad Gateway', status: 502, code: 'NO_INNER_LAYER', detail: 'x', requestId: 'r7' }
            res.writeHead(502, { 'Content-Type': 'application/problem+json' }).end(JSON.stringify(body))
          }),
        ),
      /says NO_INNER_LAYER, request id r7; is its service process running/,
    ],
    [
      'half an answer',
      async () => call(await stranger((_req, res) => void res.writeHead(200, { 'Content-Length': '99' }).write('{', () => res.destroy()))),
      /check the URL of the server and that it is running/,
    ],
  ])('%s: SERVICE_UNREACHABLE and what to look at', async (_what, calling, remedy) => {
    const error = await failure(calling())
    expect([error.code, error.message]).toEqual(['SERVICE_UNREACHABLE', expect.stringMatching(remedy)])
    expect(error.message).toContain('GET http')
  })

  test('an API that is silent is given up, before its head and in the middle of its body', async () => {
    const silent = createTcp(socket => {
      socket.on('error', () => undefined)
      onCleanUp(() => socket.destroy())
    })
    const servers = [
      `http://127.0.0.1:${await listen(silent)}`,
      await stranger((_req, res) => void res.writeHead(200, { 'Content-Length': '99' }).write('{')),
    ]
    for (const server of servers) expect((await failure(call(server, { timeoutMs: 100 }))).message).toContain('no answer within 0.1 s')
  })

  test('control characters of an answer never reach a terminal', async () => {
    const body = JSON.stringify({
      error: 'FORBIDDEN',
      error_message: 'no\u001b[2J\r\nway',
      request_id: '\u0007',
      details: [{ path: '\u001b', message: 'x' }],
    })
    const error = await failure(call(await stranger((_req, res) => void res.writeHead(403).end(body))))
    expect(JSON.stringify([error.message, error.details])).not.toMatch(/\\u00(?:1b|07)|\\r/)
    expect(error.code).toBe('FORBIDDEN')
  })

  test('a caller that gives up ends the call with its own reason', async () => {
    const server = await stranger(() => undefined)
    const stop = new AbortController()
    const calling = new ServiceClient({ server: parseServerUrl(server), env: {} }).deleteSocket('x', stop.signal)
    stop.abort(new Error('Ctrl-C'))
    await expect(calling).rejects.toThrow('Ctrl-C')
  })
})

describe('the URL of a server', () => {
  test.each([
    ['api.example.com', 'https://api.example.com'],
    ['https://API.example.com/', 'https://api.example.com'],
    ['https://example.com:8443/gateway//', 'https://example.com:8443/gateway'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['http://api.localhost:3000', 'http://api.localhost:3000'],
    ['[::1]:3000', 'https://[::1]:3000'],
  ])('%s is %s', (text, url) => {
    expect(textOfServer(parseServerUrl(text))).toBe(url)
  })

  test.each([
    'http://api.example.com',
    'https://ada:secret@api.example.com',
    'ftp://api.example.com',
    'https://',
    'https://a b',
    'https://a/?x=1',
    '',
  ])('%j is refused, without a password in the message', text => {
    const parse = (): URL => parseServerUrl(text)
    expect(parse).toThrow(GatewayError)
    expect(parse).not.toThrow(/secret/)
  })
})
