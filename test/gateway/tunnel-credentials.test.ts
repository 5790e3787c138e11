/** Who may open a tunnel, and what everybody else is told. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { hashPassword } from '../../src/identity/password-hash.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import { hashToken, mintToken } from '../../src/identity/token.ts'
import { createTunnelProof } from '../../src/identity/tunnel-proof.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { cheapHash } from '../support/password.ts'
import { quiet } from '../support/quiet.ts'
import { rawRequest } from '../support/raw-client.ts'
import { echoServer, type TcpServer } from '../support/tcp.ts'
import { ask, basic, bearer, hangUp, mintKey, token, tunnelsOf } from '../support/tunnels.ts'
import { until } from '../support/wait.ts'

const otherToken = mintToken()
const key = mintKey()
const stranger = mintKey()
const hash = cheapHash('correct horse')

let echo: TcpServer
let layers: Layers
const at = (port = echo.port): string => `/tunnel/127.0.0.1:${port}`

beforeAll(async () => {
  const dear = await hashPassword('correct horse')
  echo = await echoServer()
  const all = `{tokens: ["${hashToken(token)}"], users: {alice: "${hash}", carol: "${dear}"}, publicKeys: [${key.kid}], maxConnections: 500}`
  layers = await startLayers({
    targets: tunnelsOf({
      [`127.0.0.1:${echo.port}`]: all,
      '127.0.0.1:1': all,
      '192.168.255.1:1': all,
      'other.lan:1': `{tokens: ["${hashToken(otherToken)}"]}`,
      '127.0.0.1:2': `{tokens: ["${hashToken(token)}"], allow: [192.0.2.0/24]}`,
      '127.0.0.1:3': `{tokens: ["${hashToken(token)}"], identifier: nobody}`,
    }),
    inner: { allowList: new AllowList(['127.0.0.0/8:*']) },
  })
})
afterAll(() => {
  hangUp()
  return quiet(layers)
})

const proof = (of: PrivateKey, more: Partial<Parameters<typeof createTunnelProof>[1]> = {}): string =>
  createTunnelProof(of, { tunnel: `127.0.0.1:${echo.port}`, url: 'ws://gw.example.com', nowSeconds: Date.now() / 1000, ...more })

/** The failures of one address are limited, so that each test that fails on purpose comes from elsewhere. */
let elsewhere = 0
const from = (): string => `X-Forwarded-For: 198.51.${++elsewhere % 256}.${Math.floor(elsewhere / 256)}`

describe('credentials', () => {
  test.each([
    ['a token', () => bearer(token)],
    ['a token as a password', () => basic('whoever', token)],
    ['a user and a password', () => basic('alice', 'correct horse')],
    ['a proof by key', () => bearer(proof(key))],
  ])('%s opens', async (_, field) => {
    const peer = await ask(layers.port, at(), field())
    expect(peer.status).toBe(101)
    peer.sendClose(1000)
    await peer.gone()
  })

  test.each([
    ['none', () => 'X-A: b'],
    ['an unknown token', () => bearer(mintToken())],
    ['a wrong password', () => basic('alice', 'wrong')],
    ['an unknown user', () => basic('bob', 'correct horse')],
    ['another scheme', () => `Authorization: Digest ${token}`],
    ['two of them', () => `${bearer(token)}\r\n${bearer(token)}`],
    ['a proof by another key', () => bearer(proof(stranger))],
    ['a proof for another tunnel', () => bearer(proof(key, { tunnel: '127.0.0.1:1' }))],
    ['an old proof', () => bearer(proof(key, { nowSeconds: Date.now() / 1000 - 120 }))],
    ['a proof of the future', () => bearer(proof(key, { nowSeconds: Date.now() / 1000 + 120 }))],
    ['a proof whose signature is not', () => bearer(proof(key).slice(0, -4) + 'AAAA')],
  ])('%s do not, whether there is such a tunnel or not', async (_, field) => {
    for (const path of [at(), '/tunnel/none.lan:9', '/tunnel/', '/tunnel/%zz'])
      expect([path, (await ask(layers.port, path, field(), from())).status]).toEqual([path, 401])
  })

  test('a proof opens once', async () => {
    const once = bearer(proof(key))
    expect((await ask(layers.port, at(), once, from())).status).toBe(101)
    expect((await ask(layers.port, at(), once, from())).status).toBe(401)
  })

  test('a proof for another gateway does not open one that knows its names', async () => {
    const own = await startLayers({
      targets: tunnelsOf({ [`127.0.0.1:${echo.port}`]: `{publicKeys: [${key.kid}]}` }),
      outer: { linkNames: ['gw.example.com'] },
      inner: { linkName: 'gw.example.com' } as object,
      inners: 0,
    })
    const refused = await ask(own.port, at(), bearer(proof(key, { url: 'wss://evil.example' })))
    expect([refused.status, refused.field('WWW-Authenticate')]).toEqual([401, 'Bearer realm="tunnels"'])
    expect((await ask(own.port, at(), bearer(proof(key, { url: 'wss://gw.example.com' })))).status).toBe(502)
  })

  test('are limited in number for each address, and good ones are not counted', async () => {
    const place = from()
    for (let i = 0; i < 30; i++) expect((await ask(layers.port, at(), bearer(token), place)).status).toBe(101)
    const statuses: number[] = []
    for (let i = 0; i < 12; i++) statuses.push((await ask(layers.port, at(), bearer(mintToken()), place)).status)
    expect(statuses).toEqual([...Array<number>(10).fill(401), 429, 429])
    const refused = await ask(layers.port, at(), bearer(token), place)
    expect([refused.status, refused.field('Retry-After')]).toEqual([429, '60'])
    expect((await ask(layers.port, at(), bearer(token), from())).status).toBe(101)
  })

  test('of one user open many tunnels at once', async () => {
    const place = from()
    const peers = await Promise.all(Array.from({ length: 25 }, () => ask(layers.port, at(), basic('carol', 'correct horse'), place)))
    expect(peers.map(({ status }) => status)).toEqual(Array<number>(25).fill(101))
  })

  test('of a user who guesses are limited as well', async () => {
    const place = from()
    let attempts = 0
    const guess = async (): Promise<number> => (await ask(layers.port, at(), basic('alice', `guess ${attempts++}`), place)).status
    await until(async () => (await guess()) === 429)
    expect(attempts).toBeGreaterThan(10)
    expect((await ask(layers.port, at(), basic('alice', 'correct horse'), from())).status).toBe(101)
  })

  test('are in no log', async () => {
    const text = JSON.stringify([layers.outerLogs, layers.innerLogs, layers.accessLog])
    for (const secret of [token, otherToken, 'correct horse', hash]) expect(text).not.toContain(secret)
    expect(text).toContain('refused a tunnel')
  })
})

describe('a refusal', () => {
  test.each([
    ['an unknown tunnel', '/tunnel/none.lan:9', 404],
    ['a name that is none', '/tunnel/', 404],
    ['the tunnel of somebody else', '/tunnel/other.lan:1', 403],
    ['a tunnel that is not open to this address', '/tunnel/127.0.0.1:2', 403],
    ['a service that refuses', '/tunnel/127.0.0.1:1', 502],
    ['a service that the inner layer does not allow', '/tunnel/192.168.255.1:1', 403],
    ['an inner layer that is not there', '/tunnel/127.0.0.1:3', 502],
  ])('of %s says so, with its status, and nothing stays open', async (_, path, status) => {
    const peer = await ask(layers.port, path, bearer(token))
    expect([peer.status, peer.head.includes('\ncode: ')]).toEqual([status, true])
    await peer.gone()
  })

  test('of what is no WebSocket comes behind the credentials', async () => {
    const probe = (...fields: string[]): Promise<{ text: string }> =>
      rawRequest(layers.port, [`GET ${at()} HTTP/1.1`, 'Host: a', ...fields, 'Connection: close', '', ''].join('\r\n'))
    expect((await probe(bearer(token))).text).toMatch(/^HTTP\/1.1 426 /)
    expect((await probe(bearer(mintToken()), from())).text).toMatch(/^HTTP\/1.1 401 [^]*WWW-Authenticate: Bearer realm="tunnels"/)
    const socketPort = await rawRequest(
      layers.socketPort,
      `GET ${at()} HTTP/1.1\r\nHost: a\r\n${bearer(token)}\r\nConnection: close\r\n\r\n`,
    )
    expect(socketPort.text).toMatch(/^HTTP\/1.1 426 /)
  })

  test('of more connections than a tunnel may have', async () => {
    const own = await startLayers({
      targets: tunnelsOf({ [`127.0.0.1:${echo.port}`]: `{tokens: ["${hashToken(token)}"], maxConnections: 2}` }),
    })
    const peers = [await ask(own.port, at(), bearer(token)), await ask(own.port, at(), bearer(token))]
    expect((await ask(own.port, at(), bearer(token))).status).toBe(503)
    peers[0]!.sendClose(1000)
    await peers[0]!.gone()
    await until(async () => (await ask(own.port, at(), bearer(token))).status === 101)
  })
})
