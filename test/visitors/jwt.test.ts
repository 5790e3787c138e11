/** JWTs of other issuers: those that are good come in, and every trick with one does not. */
import { createHmac, createPublicKey, generateKeyPairSync, sign as rawSign, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import jwt from 'jsonwebtoken'
import { IssuerKeys } from '../../src/visitors/jwt/issuer-keys.ts'
import { readIssuerKeys } from '../../src/visitors/jwt/issuer-key.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLaneLayers, type LaneLayers } from '../support/lanes.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })

const jwkOf = (key: KeyObject, kid: string, more: object = {}): object => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig', ...more })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
const ed25519 = generateKeyPairSync('ed25519')
const ed448 = generateKeyPairSync('ed448')
const published: object[] = [
  jwkOf(rsa.publicKey, 'r'),
  jwkOf(ec.publicKey, 'e'),
  jwkOf(p384.publicKey, 'e384'),
  jwkOf(p521.publicKey, 'e521'),
  jwkOf(ed25519.publicKey, 'd'),
  jwkOf(ed448.publicKey, 'd448'),
  jwkOf(ed25519.publicKey, 'dAlg', { alg: 'EdDSA' }),
]
const configuration: (issuer: string) => object = issuer => ({ issuer, jwks_uri: `${issuer}/keys` })
let fetched = 0
let visited = 0

/** An issuer. @returns its URL */
async function startIssuer(): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === '/keys') {
      fetched++
      return void response.end(JSON.stringify({ keys: published }))
    }
    if (request.url === '/moved') return void response.writeHead(302, { location: `${issuer}/secret` }).end()
    if (request.url === '/huge') return void response.end(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`)
    if (request.url === '/.well-known/openid-configuration') return void response.end(JSON.stringify(configuration(issuer)))
    visited++
    response.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onCleanUp(() => {
    server.closeAllConnections()
    server.close()
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return issuer
}

let issuer: string
let made: LaneLayers

const now = (): number => Math.floor(Date.now() / 1000)
const claims = (more: object = {}): object => ({
  iss: issuer,
  aud: 'deploy',
  sub: 'repo:org/app',
  exp: now() + 600,
  iat: now(),
  repository: 'org/app',
  ...more,
})
const sign = (payload: object = claims(), options: jwt.SignOptions = {}, key: KeyObject = rsa.privateKey): string =>
  jwt.sign(JSON.parse(JSON.stringify(payload)) as object, key, { algorithm: 'RS256', keyid: 'r', ...options })
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const signEdwards = (header: object, key: KeyObject = ed25519.privateKey, payload: object = claims()): string => {
  const signed = `${encode(header)}.${encode(payload)}`
  return `${signed}.${rawSign(null, Buffer.from(signed), key).toString('base64url')}`
}

/** Status and code of a request with this token, each from another address. */
let asked = 0
const ask = async (token: string, host = 'ci.test', path = '/'): Promise<readonly [number, string | undefined]> => {
  const from = `X-Forwarded-For: 2001:db8:${(asked++).toString(16)}::1`
  const response = await made.ask(host, path, [`Authorization: Bearer ${token}`, from, 'Accept: application/json'])
  const code = response.status === 200 ? undefined : (JSON.parse(response.body.toString()) as { code: string }).code
  return [response.status, code]
}

beforeAll(async () => {
  issuer = await startIssuer()
  const target = 'protocol: http, hostname: 127.0.0.1, port: {port}'
  made = await startLaneLayers(`
targets:
  ci.test: {${target}, access: {jwt: {issuer: '${issuer}', audience: [deploy, other], claims: {repository: org/app}}, public: ['^/open/.*']}}
  moved.test: {${target}, access: {jwt: {issuer: '${issuer}', jwks: '${issuer}/moved', audience: deploy}}}
  huge.test: {${target}, access: {jwt: {issuer: '${issuer}', jwks: '${issuer}/huge', audience: deploy}}}
  gone.test: {${target}, access: {jwt: {issuer: 'http://127.0.0.1:1', audience: deploy}}}
  both.test: {${target}, access: {tokens: true, jwt: [{issuer: '${issuer}', audience: a}, {issuer: '${issuer}', audience: deploy}]}}
`)
})
beforeEach(() => made.origin.clear())

describe('a good token', () => {
  test('lets in, says who it is, and does not reach the origin', async () => {
    const token = sign(claims({ email: 'Ci@example.test', email_verified: true, name: 'The CI' }))
    expect(await ask(token)).toEqual([200, undefined])
    const { last } = made.origin
    expect([last.values('authorization'), last.values('x-auth-email'), last.values('x-auth-name')]).toEqual([
      [],
      ['Ci@example.test'],
      ['The CI'],
    ])
    const payload = JSON.parse(Buffer.from(last.values('x-sg-identity')[0]!.split('.')[1]!, 'base64url').toString()) as object
    expect(payload).toMatchObject({ lane: 'jwt', sub: `${issuer}|repo:org/app`, aud: 'ci.test' })
    const seen = JSON.stringify([last.lines, made.layers.accessLog, made.layers.outerLogs, made.logs])
    expect(seen).not.toContain(token.slice(-40))
    // An address that nobody vouches for is none.
    expect(await ask(sign(claims({ email: 'x@example.test' })))).toEqual([200, undefined])
    expect(made.origin.last.values('x-auth-email')).toEqual([])
  })

  test('may be signed in every way that its key allows, be one of a list, and come in the field for tokens', async () => {
    for (const algorithm of ['RS256', 'RS512', 'PS256', 'PS384'] as const)
      expect(await ask(sign(claims(), { algorithm }))).toEqual([200, undefined])
    expect(await ask(sign(claims(), { algorithm: 'ES256', keyid: 'e' }, ec.privateKey))).toEqual([200, undefined])
    for (const [algorithm, keyid, { privateKey }] of [
      ['ES384', 'e384', p384],
      ['ES512', 'e521', p521],
    ] as const)
      expect(await ask(sign(claims(), { algorithm, keyid }, privateKey))).toEqual([200, undefined])
    for (const [alg, kid, { privateKey }] of [
      ['EdDSA', 'd', ed25519],
      ['Ed25519', 'd', ed25519],
      ['EdDSA', 'd448', ed448],
      ['EdDSA', 'dAlg', ed25519],
    ] as const)
      expect(await ask(signEdwards({ alg, kid, typ: 'JWT' }, privateKey))).toEqual([200, undefined])
    expect(await ask(sign(claims({ aud: ['x', 'other'] })))).toEqual([200, undefined])
    expect(await ask(sign(), 'both.test')).toEqual([200, undefined])
    const response = await made.ask('ci.test', '/', ['Authorization: Bearer of-the-app', `X-SG-Token: ${sign()}`])
    expect([response.status, made.origin.last.values('authorization')]).toEqual([200, ['Bearer of-the-app']])
    // Clocks differ.
    expect(await ask(sign(claims({ exp: now() - 5 })))).toEqual([200, undefined])
    expect(await ask(sign(claims({ nbf: now() + 5 })))).toEqual([200, undefined])
  })

  test('costs one look at the keys for all', async () => {
    const before = fetched
    for (let i = 0; i < 5; i++) expect(await ask(sign(claims({ i })))).toEqual([200, undefined])
    expect(fetched).toBe(before)
  })
})

describe('a token that is refused', () => {
  const tampered = (change: (header: Record<string, unknown>) => void): string => {
    const header = { alg: 'RS256', typ: 'JWT', kid: 'r' }
    change(header)
    const [, body, signature] = sign().split('.')
    return `${encode(header)}.${body}.${signature}`
  }
  const hmac = (secret: string | Buffer, alg = 'HS256'): string => {
    const signed = `${encode({ alg, typ: 'JWT', kid: 'r' })}.${encode(claims())}`
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
  }
  const hmacBy = (key: KeyObject, kid: string): string => {
    const signed = `${encode({ alg: 'HS256', typ: 'JWT', kid })}.${encode(claims())}`
    const secret = key.export({ type: 'spki', format: 'der' }).subarray(-32)
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
  }
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' })
  const UNKNOWN = [401, 'VISITOR_CREDENTIALS']
  const FORBIDDEN = [403, 'VISITOR_FORBIDDEN']

  test.each<[string, () => string, unknown]>([
    ['is signed by an Edwards curve, by the key id of an RSA key', () => signEdwards({ alg: 'EdDSA', kid: 'r' }), UNKNOWN],
    ['says another Edwards curve than its key', () => signEdwards({ alg: 'Ed448', kid: 'd' }), UNKNOWN],
    ['says another name than its key allows', () => signEdwards({ alg: 'Ed25519', kid: 'dAlg' }), UNKNOWN],
    ['says RSA by the key id of an Edwards curve', () => sign(claims(), { keyid: 'd' }), UNKNOWN],
    ['is an HMAC by the key of an Edwards curve', () => hmacBy(ed25519.publicKey, 'd'), UNKNOWN],
    ['is signed by another Edwards key', () => signEdwards({ alg: 'EdDSA', kid: 'd' }, generateKeyPairSync('ed25519').privateKey), UNKNOWN],
    ['is of an Edwards curve and has no signature', () => signEdwards({ alg: 'EdDSA', kid: 'd' }).replace(/[^.]*$/, ''), UNKNOWN],
    ['has expired', () => sign(claims({ exp: now() - 100 })), UNKNOWN],
    ['never ends', () => sign({ ...claims(), exp: undefined }), UNKNOWN],
    ['ends at infinity', () => raw({ ...claims(), exp: '1e999' }), UNKNOWN],
    ['is not good yet', () => sign(claims({ nbf: now() + 600 })), UNKNOWN],
    ['is signed by somebody else', () => sign(claims(), {}, stranger.privateKey), UNKNOWN],
    ['is not signed', () => `${encode({ alg: 'none', typ: 'JWT', kid: 'r' })}.${encode(claims())}.`, UNKNOWN],
    ['says nOnE', () => `${encode({ alg: 'nOnE', kid: 'r' })}.${encode(claims())}.`, UNKNOWN],
    ['has no algorithm', () => tampered(header => delete header['alg']), UNKNOWN],
    ['has an algorithm that is a list', () => tampered(header => (header['alg'] = ['RS256'])), UNKNOWN],
    ['is signed with the public key as a secret', () => hmac(String(pem)), UNKNOWN],
    ['the same, without line ends', () => hmac(String(pem).trim()), UNKNOWN],
    ['the same, as it is published', () => hmac(Buffer.from(JSON.stringify(published[0]))), UNKNOWN],
    ['the same, and says RS256', () => hmac(String(pem), 'RS256'), UNKNOWN],
    ['is signed with an empty secret', () => hmac(''), UNKNOWN],
    ['names a key of another kind', () => sign(claims(), { keyid: 'e' }), UNKNOWN],
    ['names a key that there is not', () => sign(claims(), { keyid: 'toString' }), UNKNOWN],
    ['names __proto__ as its key', () => sign(claims(), { keyid: '__proto__' }), UNKNOWN],
    ['names a path as its key', () => sign(claims(), { keyid: '../../../../dev/null' }), UNKNOWN],
    ['names no key, where there are two', () => jwt.sign(claims(), rsa.privateKey, { algorithm: 'RS256' }), UNKNOWN],
    ['has a number for a key id', () => tampered(header => (header['kid'] = 1)), UNKNOWN],
    [
      'brings its key along',
      () => sign(claims(), { header: { alg: 'RS256', kid: 'x', jwk: jwkOf(stranger.publicKey, 'x') } as never }, stranger.privateKey),
      UNKNOWN,
    ],
    [
      'says where its key is',
      () => sign(claims(), { header: { alg: 'RS256', kid: 'x', jku: `${issuer}/secret`, x5u: `${issuer}/secret` } }, stranger.privateKey),
      UNKNOWN,
    ],
    ['has crit', () => sign(claims(), { header: { alg: 'RS256', kid: 'r', crit: ['exp'] } }), UNKNOWN],
    ['is of another type', () => sign(claims(), { header: { alg: 'RS256', kid: 'r', typ: 'logout+jwt' } }), UNKNOWN],
    ['was changed', () => sign().replace(/\.[^.]+\./, `.${encode(claims({ sub: 'admin' }))}.`), UNKNOWN],
    ['has a signature of nothing', () => sign().replace(/[^.]+$/, ''), UNKNOWN],
    ['names nobody', () => sign({ ...claims(), sub: undefined }), UNKNOWN],
    ['is for somebody else', () => sign(claims({ aud: 'deploy2' })), FORBIDDEN],
    ['is for nobody', () => sign({ ...claims(), aud: undefined }), FORBIDDEN],
    ['is for another repository', () => sign(claims({ repository: 'org/app2' })), FORBIDDEN],
    ['says nothing of its repository', () => sign({ ...claims(), repository: undefined }), FORBIDDEN],
    ['has a repository with members', () => sign(claims({ repository: { toString: 'org/app' } })), FORBIDDEN],
    ['is of another issuer', () => sign(claims({ iss: 'https://evil.example.test' })), [401, 'VISITOR_REQUIRED']],
    ['is of nearly the same issuer', () => sign(claims({ iss: `${issuer}/` })), [401, 'VISITOR_REQUIRED']],
    ['is huge', () => sign(claims({ x: 'x'.repeat(9_000) })), [401, 'VISITOR_REQUIRED']],
    ['is no token at all', () => 'a.b.c', [401, 'VISITOR_REQUIRED']],
  ])('%s', async (_, token, expected) => {
    expect(await ask(token())).toEqual(expected)
    expect(made.origin.hits).toBe(0)
    expect(visited).toBe(0)
  })

  test('does not reach the origin where everybody may come', async () => {
    expect(await ask(sign(claims({ exp: now() - 100 })), 'ci.test', '/open/a')).toEqual([200, undefined])
    expect([made.origin.last.values('authorization'), made.origin.last.values('x-auth-name')]).toEqual([[], []])
  })

  test('is refused once the issuer publishes another key of the same name', () => {
    const before = readIssuerKeys({ keys: published })!
    const after = readIssuerKeys({ keys: [jwkOf(stranger.publicKey, 'r')] })!
    expect(before.get('r')!.text).not.toBe(after.get('r')!.text)
  })
})

/** A payload with a number that JSON cannot write. */
function raw(payload: object): string {
  const header = encode({ alg: 'RS256', typ: 'JWT', kid: 'r' })
  const body = Buffer.from(JSON.stringify(payload).replace('"1e999"', '1e999')).toString('base64url')
  return jwt.sign(Buffer.from(body, 'base64url').toString(), rsa.privateKey, {
    algorithm: 'RS256',
    keyid: 'r',
    header: JSON.parse(Buffer.from(header, 'base64url').toString()) as jwt.JwtHeader,
  })
}

describe('keys', () => {
  test('of an issuer that is away, redirects, or says too much are none: 503, and nothing else is asked', async () => {
    for (const host of ['moved.test', 'huge.test']) expect([host, await ask(sign(), host)]).toEqual([host, [503, 'VISITOR_PROVIDER_AWAY']])
    expect(await ask(sign(claims({ iss: 'http://127.0.0.1:1' })), 'gone.test')).toEqual([503, 'VISITOR_PROVIDER_AWAY'])
    expect(visited).toBe(0)
  })

  test('are secrets, weak, of other uses or doubled: none of them counts', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
    const one = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
    const keys = readIssuerKeys({
      keys: [
        { kty: 'oct', k: 'c2VjcmV0', kid: 'secret', alg: 'HS256' },
        jwkOf(weak, 'weak'),
        { ...one, e: 'AQ', kid: 'exponent' },
        jwkOf(rsa.publicKey, 'for-encryption', { use: 'enc' }),
        jwkOf(rsa.publicKey, 'hmac', { alg: 'HS256' }),
        jwkOf(rsa.publicKey, 'ec', { alg: 'ES256' }),
        jwkOf(rsa.publicKey, 'twice'),
        jwkOf(ec.publicKey, 'twice'),
        jwkOf(rsa.publicKey, '__proto__', { alg: 'RS256' }),
        { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: 'broken' },
        null,
        7,
      ],
    })!
    expect([...keys.keys()]).toEqual(['__proto__'])
    expect(keys.get('__proto__')!.algorithms).toEqual(['RS256'])
    expect(keys.get('__proto__')!.key.equals(createPublicKey(rsa.publicKey.export({ type: 'spki', format: 'pem' })))).toBe(true)
    for (const none of [undefined, null, [], {}, { keys: 7 }]) expect(readIssuerKeys(none)).toBeUndefined()
  })

  test('are asked for once in a while, whatever ids strangers make up; those that are known go on while the issuer is away', async () => {
    let [ms, gets, isAway] = [0, 0, false]
    let set: object[] = [jwkOf(rsa.publicKey, 'a')]
    const get = (url: string): Promise<unknown> => {
      expect(url).toBe('https://i.test/keys')
      gets++
      return isAway ? Promise.reject(new Error('away')) : Promise.resolve({ keys: set })
    }
    const keys = new IssuerKeys({ issuer: 'https://i.test', jwks: 'https://i.test/keys' }, () => ms, get)
    const found = async (id: string | undefined): Promise<boolean> => (await keys.find(id)) !== undefined
    expect(await Promise.all(Array.from({ length: 20 }, () => found('a')))).toEqual(Array.from({ length: 20 }, () => true))
    expect(gets).toBe(1)
    // One key, and a token without an id.
    expect(await found(undefined)).toBe(true)
    for (let i = 0; i < 100; i++) expect(await found(`b${i}`)).toBe(false)
    expect(gets).toBe(1)
    set = [jwkOf(rsa.publicKey, 'a'), jwkOf(ec.publicKey, 'b')]
    ms += 30_000
    const first = keys.find('a')
    expect(await found('b')).toBe(true)
    expect([gets, keys.find('a')]).toEqual([2, first])
    expect(await found(undefined)).toBe(false)
    isAway = true
    ms += 700_000
    expect(await found('a')).toBe(true)
    await expect((async () => found('c'))()).rejects.toMatchObject({ code: 'VISITOR_PROVIDER_AWAY' })
    expect(gets).toBe(3)
    await expect((async () => found('c'))()).rejects.toMatchObject({ code: 'VISITOR_PROVIDER_AWAY' })
    expect([gets, await found('b')]).toEqual([3, true])
    // Not for ever.
    ms += 24 * 3_600_000
    await expect((async () => found('a'))()).rejects.toMatchObject({ code: 'VISITOR_PROVIDER_AWAY' })
    isAway = false
    set = [jwkOf(ec.publicKey, 'b')]
    ms += 30_000
    expect([await found('b'), await found('a')]).toEqual([true, false])
  })

  test('are at the issuer itself, unless the targets file says otherwise', async () => {
    const asked: string[] = []
    const keys = (document: object): IssuerKeys =>
      new IssuerKeys(
        { issuer: 'https://i.test', jwks: undefined },
        () => 0,
        url => {
          asked.push(url)
          return Promise.resolve(document)
        },
      )
    for (const document of [
      { issuer: 'https://i.test', jwks_uri: 'http://169.254.169.254/latest' },
      { issuer: 'https://i.test', jwks_uri: 'https://i.test.evil.test/keys' },
      { issuer: 'https://evil.test', jwks_uri: 'https://i.test/keys' },
      { issuer: 'https://i.test' },
      [],
    ])
      await expect((async () => keys(document).find('a'))()).rejects.toMatchObject({ code: 'VISITOR_PROVIDER_AWAY' })
    expect(new Set(asked)).toEqual(new Set(['https://i.test/.well-known/openid-configuration']))
  })
})
