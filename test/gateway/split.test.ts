/** Conditions of routes and shares of origins, on the wire. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { ask as askAdmin } from '../support/admin.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection } from '../support/raw-client.ts'
import { valuesOf } from '../support/raw-message.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

let layers: Layers

/** An origin that says its name, and the field that marks a part. */
const named = async (name: string): Promise<number> =>
  (
    await startRawOrigin(
      (request, socket) => void socket.write(rawResponse(200, name, [`X-Part: ${valuesOf(request.fields, 'x-part')[0] ?? ''}`])),
    )
  ).port

interface Said {
  readonly status: number
  readonly cookie: string | undefined
  readonly body: string
  readonly part: string | undefined
}

const ask = async (host: string, target: string, lines: readonly string[] = [], method = 'GET'): Promise<Said> => {
  const client = await RawConnection.open(layers.port)
  client.write([`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join('\r\n'))
  const { status, body, fields } = await client.readResponse(method)
  client.destroy()
  return { status, body: body.toString(), part: valuesOf(fields, 'x-part')[0], cookie: valuesOf(fields, 'set-cookie')[0] }
}

beforeAll(async () => {
  const [one, two, three] = await Promise.all(['one', 'two', 'three'].map(named))
  const origin = (port: number | undefined): string => `protocol: http, hostname: 127.0.0.1, port: ${port}`
  layers = await startLayers({
    outer: { admin: { port: 0 } },
    targets: `
targets:
  '**.deep.test': {${origin(three)}}
  moved.test: {redirect: 'https://\${hostname}\${path}\${query}'}
  match.test:
    routes:
      - {path: /, match: {headers: {version: '2'}}, ${origin(two)}}
      - {path: /, match: {methods: [DELETE]}, ${origin(three)}}
      - {path: /v1, ${origin(one)}}
  split.test:
    limits: {rate: {perSecond: 0.001, burst: 4}}
    split:
      - {weight: 3, ${origin(one)}}
      - {weight: 1, ${origin(two)}, headers: {request: {set: {X-Part: canary}}}}
  broken.test:
    split: [{${origin(one)}}, {respond: {status: 500}}]
  cookie.test:
    balance: sticky
    split: [{weight: 1, ${origin(one)}}, {weight: 2, ${origin(two)}}, {respond: {status: 503, body: three}}]
    routes:
      - {path: /again, split: [{${origin(one)}}, {${origin(two)}}]}
  header.test:
    balance: {header: X-User}
    split: [{weight: 1, ${origin(one)}}, {weight: 3, ${origin(two)}}, {weight: 0, ${origin(three)}}]
  address.test:
    balance: address
    split: [{${origin(one)}}, {${origin(two)}}, {${origin(three)}}]
  copy.test:
    split: [{${origin(one)}}, {${origin(two)}}]
`,
  })
})

test('a header field and a method decide where a request goes, also on one connection', async () => {
  expect(await ask('match.test', '/v1/x')).toMatchObject({ status: 200, body: 'one' })
  expect(await ask('match.test', '/v1/x', ['VERSION: 2'])).toMatchObject({ body: 'one' })
  expect(await ask('match.test', '/x', ['Version: 2'])).toMatchObject({ body: 'two' })
  expect(await ask('match.test', '/x', ['Version: 2'], 'DELETE')).toMatchObject({ body: 'three' })
  expect(await ask('match.test', '/x', ['Version: 3'])).toMatchObject({ status: 404 })
  const client = await RawConnection.open(layers.port)
  const bodies: string[] = []
  for (const version of ['2', '3', '2']) {
    client.write(`GET /v1 HTTP/1.1\r\nHost: match.test\r\n\r\nGET /y HTTP/1.1\r\nHost: match.test\r\nVersion: ${version}\r\n\r\n`)
    bodies.push((await client.readResponse('GET')).body.toString(), String((await client.readResponse('GET')).status))
  }
  expect(bodies).toEqual(['one', '200', 'one', '404', 'one', '200'])
  client.destroy()
})

test('a name of any depth has the target of its stars', async () => {
  expect(await ask('a.deep.test', '/')).toMatchObject({ body: 'three' })
  expect(await ask('a.b.c.deep.test', '/')).toMatchObject({ body: 'three' })
  expect(await ask('deep.test', '/')).toMatchObject({ status: 404 })
})

test('each origin has its share and its own fields, and limits are counted for all of them together', async () => {
  const said: Said[] = []
  for (let i = 0; i < 5; i++) said.push(await ask('split.test', '/'))
  expect(said.map(({ status }) => status)).toEqual([200, 200, 200, 200, 429])
  const served = said.slice(0, 4)
  expect(served.filter(({ body, part }) => body === 'one' && part === '')).toHaveLength(3)
  expect(served.filter(({ body, part }) => body === 'two' && part === 'canary')).toHaveLength(1)
  await until(() => layers.accessLog.filter(({ host }) => host === 'split.test').length === 5)
  const { targets } = JSON.parse((await askAdmin(layers.outer.adminPort, '/status')).text) as {
    readonly targets: readonly {
      readonly host: string
      readonly requests: number
      readonly errors: number
      readonly answer: string | null
    }[]
  }
  const counted = targets.filter(({ host }) => host.startsWith('split.test'))
  expect(counted.map(({ host, requests, errors, answer }) => [host, requests, errors, answer])).toEqual([
    // Refused before a part was chosen.
    ['split.test', 1, 1, '2 origins (split)'],
    ['split.test [1]', 3, 0, null],
    ['split.test [2]', 1, 0, null],
  ])
})

test('a part may be an answer', async () => {
  const said = await Promise.all(Array.from({ length: 10 }, () => ask('broken.test', '/')))
  expect(said.filter(({ status }) => status === 500)).toHaveLength(5)
  expect(said.filter(({ status, body }) => status === 200 && body === 'one')).toHaveLength(5)
})

test('a second path of a request is of the same split', async () => {
  expect(await ask('copy.test', '/a', ['Destination: http://copy.test/b'], 'COPY')).toMatchObject({ status: 200 })
})

test('a redirect may name the host that was asked for without its port', async () => {
  const client = await RawConnection.open(layers.port)
  client.write('GET /a?b HTTP/1.1\r\nHost: moved.test:8080\r\n\r\n')
  const { status, fields } = await client.readResponse('GET')
  client.destroy()
  expect([status, valuesOf(fields, 'location')]).toEqual([302, ['https://moved.test/a?b']])
})

describe('a client stays with the part that it has had', () => {
  test('by the cookie: also where the part is an answer, and for each split by its own', async () => {
    const first = await Promise.all(Array.from({ length: 8 }, () => ask('cookie.test', '/')))
    expect(new Set(first.map(({ body }) => body))).toEqual(new Set(['one', 'two', 'three']))
    for (const { body, cookie = '' } of first) {
      expect(cookie).toMatch(/^sg-\w+-\w+=[\w-]*\.\w+; Path=\/; HttpOnly; SameSite=Lax$/)
      const pair = cookie.slice(0, cookie.indexOf(';'))
      const later = [await ask('cookie.test', '/', [`Cookie: ${pair}`]), await ask('cookie.test', '/x', [`Cookie: a=1; ${pair}`])]
      expect(later).toEqual([expect.objectContaining({ body, cookie: undefined }), expect.objectContaining({ body, cookie: undefined })])
      const { cookie: other = '' } = await ask('cookie.test', '/again', [`Cookie: ${pair}`])
      expect(other.slice(0, other.indexOf('='))).not.toBe(pair.slice(0, pair.indexOf('=')))
    }
  })

  test('a cookie that names no part is replaced', async () => {
    const { cookie = '' } = await ask('cookie.test', '/')
    const name = cookie.slice(0, cookie.indexOf('='))
    for (const value of ['', '.', 'x.y', '__proto__', `${'a'.repeat(16)}.0`]) {
      const said = await ask('cookie.test', '/', [`Cookie: ${name}=${value}`])
      expect(said.cookie).toMatch(/=[\w-]*\.\w+; Path/)
      expect(['one', 'two', 'three']).toContain(said.body)
    }
  })

  test('by a header field: the same value comes to the same part, and each part has its share of the values', async () => {
    const users = Array.from({ length: 100 }, (_, i) => `user-${i}`)
    const bodyOf = async (user: string): Promise<string> => (await ask('header.test', '/', [`X-User: ${user}`])).body
    const bodies = await Promise.all(users.map(bodyOf))
    expect(await Promise.all(users.slice(0, 20).map(bodyOf))).toEqual(bodies.slice(0, 20))
    // The same 100 values in each run: 25 of them are due to the first.
    const ones = bodies.filter(body => body === 'one').length
    expect(ones).toBeGreaterThan(15)
    expect(ones).toBeLessThan(35)
    expect(bodies).not.toContain('three')
  })

  test('by its address', async () => {
    const bodies = await Promise.all(Array.from({ length: 10 }, () => ask('address.test', '/')))
    expect(new Set(bodies.map(({ body }) => body)).size).toBe(1)
  })
})
