/** Answers of our own: status, code, sentence and request id, and nothing that is internal. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { errorAnswer } from '../../src/http/errors/error-answer.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { get, head, lastGet } from '../support/message.ts'
import { freePort, listen } from '../support/ports.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

/** Internal names: none may ever be in an answer. */
const CANARIES = /canary|127\.0\.0\.|localhost|secret-path|ECONN|ENOTFOUND|EAI_|at \w+ \(|node:/i

let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  // A port that takes connections and never a byte of TLS.
  const plain = await listen(createServer(socket => void socket.end('no TLS here')))
  layers = await startLayers({
    origin: origin.port,
    outer: { timeoutMs: 300 },
    targets: `
targets:
  "ok.test": {protocol: http, hostname: 127.0.0.1, port: {port}}
  "patient.test": {protocol: http, hostname: 127.0.0.1, port: {port}, timeouts: {head: 2s}}
  "answers.test": {protocol: http, hostname: 127.0.0.1, port: {port}, timeouts: {head: 60s}}
  "refused.test": {protocol: http, hostname: 127.0.0.1, port: ${await freePort()}, timeouts: {head: 60s}}
  "dns.test": {protocol: http, hostname: canary.invalid, port: 80, timeouts: {head: 60s}}
  "tls.test": {protocol: https, hostname: localhost, port: ${plain}, timeouts: {head: 60s}}
  "guarded.test": {protocol: http, hostname: 169.254.169.254, port: 80, timeouts: {head: 60s}}
  "elsewhere.test": {protocol: http, hostname: 127.0.0.1, port: {port}, identifier: canary}
  "policy.test": {protocol: http, hostname: 127.0.0.1, port: {port}, policy: {"/canary": ["GET"]}}
`,
  })
})

/** The answer, checked for what every answer of ours has. */
const refusal = async (raw: string, status: number, code: ErrorCode): Promise<string> => {
  const { text } = await rawRequest(layers.port, raw)
  expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(text).toContain(code)
  expect(text).toContain(ERRORS[code].text)
  expect(text).not.toMatch(CANARIES)
  expect(text).toMatch(/\r\nCache-Control: no-store\r\n/)
  expect(text).toMatch(/\r\nProxy-Status: socket-gateway; error=[a-z_]+\r\n/)
  const id = /\r\nX-Request-Id: (\S+)\r\n/.exec(text)?.[1] ?? ''
  expect(text.slice(text.indexOf('\r\n\r\n'))).toContain(id)
  expect(await layers.accessLine(id)).toMatchObject({ status, error: code })
  return text
}

const at = (host: string, ...lines: readonly string[]): string =>
  head('GET /secret-path?canary HTTP/1.1', `Host: ${host}`, ...lines, 'Connection: close')

describe('what went wrong, and where', () => {
  test.each<readonly [string, string, number, ErrorCode]>([
    ['W23: nobody listens at the origin', 'refused.test', 502, 'ORIGIN_REFUSED'],
    ['W23: the name of the origin does not resolve', 'dns.test', 502, 'ORIGIN_DNS'],
    ['the origin speaks no TLS', 'tls.test', 502, 'ORIGIN_TLS'],
    ['the inner layer refuses the origin', 'guarded.test', 403, 'ORIGIN_FORBIDDEN'],
    ['W22: no inner layer of the target is connected', 'elsewhere.test', 502, 'NO_INNER_LAYER'],
    ['no target has the host', 'unknown.test', 404, 'UNKNOWN_HOST'],
    ['W18: the policy refuses', 'policy.test', 403, 'POLICY_REFUSED'],
  ])('%s', async (_name, host, status, code) => {
    for (const lines of [[], ['TE: trailers'], ['Accept: application/json']]) await refusal(at(host, ...lines), status, code)
  })

  test('an origin that says nothing is 504 after --timeout', async () => {
    origin.handle(() => undefined)
    await refusal(at('ok.test'), 504, 'ORIGIN_TIMEOUT')
    await until(() => origin.last.connection.closed !== 'no', { what: 'the origin to be let go' })
  })

  test('W28: bytes of an upload that the origin takes are signs of life', async () => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    const connection = await RawConnection.open(layers.port)
    // Longer in all than the limit, in steps far shorter than it: a busy machine may be late.
    connection.write(head('POST / HTTP/1.1', 'Host: patient.test', 'Content-Length: 10'))
    for (let i = 0; i < 10; i++) {
      const startedAt = performance.now()
      connection.write('x')
      await until(() => origin.last.bodyBytes === i + 1)
      await until(() => performance.now() >= startedAt + 250)
    }
    expect((await connection.readResponse()).status).toBe(200)
  })

  test('a client that stalls its upload is 408, not the fault of the origin', async () => {
    origin.handle(() => undefined)
    const connection = await RawConnection.open(layers.port)
    connection.write(`${head('POST / HTTP/1.1', 'Host: ok.test', 'Content-Length: 20')}x`)
    const response = await connection.readResponse()
    expect(response.status).toBe(408)
    expect(response.body.toString()).toContain('REQUEST_TIMEOUT')
    expect(await connection.closed).toBe('fin')
  })

  test('an answer that pauses is not cut: the timeout ends with its head', async () => {
    origin.handle((_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n')
      setTimeout(() => socket.write('ok'), 2_500)
    })
    const connection = await RawConnection.open(layers.port)
    expect((await connection.write(get('/').replace('a.test', 'patient.test')).readResponse()).body.toString()).toBe('ok')
  })

  test('a broken answer of the origin is 502', async () => {
    for (const bytes of [
      'HTTP/1.1 2x0 OK\r\n\r\n',
      'hello\r\n\r\n',
      'HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n',
      'HTTP/1.1 200 OK\nX: y\n\n',
      'HTTP/1.1 099 Odd\r\n\r\n',
      'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n',
      `HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(70_000)}\r\n\r\n`,
    ]) {
      origin.handle((_request, socket) => void socket.write(bytes))
      for (const lines of [[], ['TE: trailers']]) await refusal(at('answers.test', ...lines), 502, 'ORIGIN_BAD_RESPONSE')
    }
  })

  test('two lengths of one answer are 502, or a cut', async () => {
    origin.handle((_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'))
    for (const lines of [[], ['TE: trailers']]) {
      const { text } = await rawRequest(layers.port, at('answers.test', ...lines))
      expect(text).toMatch(/^HTTP\/1\.1 502 |Content-Length: 1\r\n[^]*\r\n\r\na?$/)
      expect(text.match(/content-length/gi)).toHaveLength(1)
    }
  })

  test('what both layers log about a refusal names no header of the request', async () => {
    await refusal(at('refused.test', 'Authorization: Bearer canary-token', 'Cookie: session=canary-cookie'), 502, 'ORIGIN_REFUSED')
    const logged = JSON.stringify([...layers.outerLogs, ...layers.innerLogs, ...layers.accessLog])
    expect(logged).not.toMatch(/canary-token|canary-cookie/)
  })
})

describe('the form of an answer', () => {
  test.each([
    ['application/json', 'application/problem+json'],
    ['application/problem+json', 'application/problem+json'],
    ['text/html, application/json;q=0.9', 'application/problem+json'],
    ['application/vnd.api+json', 'application/problem+json'],
    ['*/*', 'text/plain'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'text/html'],
    ['application/jsonp', 'text/plain'],
  ])('with Accept: %s is %s', async (accept, type) => {
    const text = await refusal(at('unknown.test', `Accept: ${accept}`), 404, 'UNKNOWN_HOST')
    expect(text).toContain(`\r\nContent-Type: ${type}; charset=utf-8\r\n`)
    const body = text.slice(text.indexOf('\r\n\r\n') + 4)
    if (type === 'application/problem+json')
      expect(JSON.parse(body)).toMatchObject({ type: 'about:blank', title: 'Not Found', status: 404, code: 'UNKNOWN_HOST' })
  })

  test('HEAD gets the head alone, and the connection is kept', async () => {
    const connection = await RawConnection.open(layers.port)
    const response = await connection.write(head('HEAD / HTTP/1.1', 'Host: unknown.test')).readResponse('HEAD')
    expect(response.status).toBe(404)
    expect((await connection.write(head('GET / HTTP/1.1', 'Host: unknown.test')).readResponse()).status).toBe(404)
  })

  test('request ids are never used twice', async () => {
    for (let i = 0; i < 5; i++) await rawRequest(layers.port, lastGet('/'))
    const ids = layers.accessLog.map(line => line.requestId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('every code that may become an answer has one, with its heading in docs/errors.md', () => {
    const docs = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      if (ERRORS[code].status === 0) continue
      const { fields, body } = errorAnswer({ code }, 'id', undefined)
      expect(body).toContain(code)
      expect(fields.length % 2).toBe(0)
      expect(docs).toContain(code)
    }
  })
})

test('W22: without any inner layer the answer is 502 at once', async () => {
  const alone = await startLayers({ origin: origin.port, inners: 0 })
  const answer = await rawRequest(alone.port, lastGet('/'))
  expect(answer.text).toMatch(/^HTTP\/1\.1 502 [^]*NO_INNER_LAYER/)
})
