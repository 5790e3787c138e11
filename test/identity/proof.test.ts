import { constants, createHmac, createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import jwt from 'jsonwebtoken'
import { GatewayError } from '../../src/errors.ts'
import { algorithmsOf, thumbprintOf } from '../../src/identity/key.ts'
import { KeyRegistry, type RegisteredKey } from '../../src/identity/key-registry.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import { createProof, verifyProof, type ProofClaims, type ProofExpectation } from '../../src/identity/proof.ts'

interface Pair extends PrivateKey {
  readonly publicKey: KeyObject
}

const pairOf = ({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): Pair => ({
  key: privateKey,
  publicKey,
  kid: thumbprintOf(publicKey),
  algorithm: algorithmsOf(publicKey, 'test')[0],
})
const rsa = pairOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const strangerRsa = pairOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const ec = pairOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const registered = (pair: Pair, identifiers?: readonly string[]): RegisteredKey => ({
  kid: pair.kid,
  key: pair.publicKey,
  algorithms: algorithmsOf(pair.publicKey, 'test'),
  identifiers,
  source: 'test',
})

const T = 1_795_000_000.25
const claims: ProofClaims = {
  identifier: 'lan-a',
  url: 'wss://link.example.com',
  audience: 'gateway.example',
  nonce: 'n'.repeat(43),
  nowSeconds: T,
}
const expected: ProofExpectation = {
  registry: new KeyRegistry([registered(rsa), registered(ec, ['lan-a', 'lan-b'])]),
  audience: claims.audience,
  nonce: claims.nonce,
  issuedAtSeconds: T - 0.01,
  nowSeconds: T + 0.02,
  validityMs: 1000,
}

const payload = { sub: 'lan-a', url: claims.url, aud: claims.audience, nonce: claims.nonce, iat: T, exp: T + 1, jti: 'j' }
const header = { alg: 'RS256', typ: 'sg-inner+jwt', kid: rsa.kid }
const encode = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
/** Signs anything, well-formed or not. */
const forge = (head: unknown, body: unknown, pair: Pair = rsa): string => {
  const input = `${encode(head)}.${encode(body)}`
  const key = pair.key.asymmetricKeyType === 'ec' ? { key: pair.key, dsaEncoding: 'ieee-p1363' as const } : pair.key
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
}
const without = (name: keyof typeof payload): object => Object.fromEntries(Object.entries(payload).filter(([key]) => key !== name))
const parts = (token: string): [string, string, string] => token.split('.') as [string, string, string]
const good = createProof(rsa, claims)
const bound = { ...expected, registry: new KeyRegistry([registered(ec, ['lan-b'])]) }
const [goodHeader, goodPayload, goodSignature] = parts(good)
const pss = (head: unknown): string => {
  const input = `${encode(head)}.${encode(payload)}`
  const options = { key: rsa.key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return `${input}.${sign('sha256', Buffer.from(input), options).toString('base64url')}`
}
const hmacWithPublicKey = (head: unknown): string => {
  const input = `${encode(head)}.${encode(payload)}`
  const secret = rsa.publicKey.export({ type: 'spki', format: 'pem' })
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

const NAMES = ['link.example.com', '127.0.0.1:3001']

/** Name, token, the reason it is refused for, and what differs in the expectation. */
const corpus: readonly (readonly [string, string, RegExp, Partial<ProofExpectation>?])[] = [
  ['nothing', '', /three base64url parts/],
  ['two parts', `${goodHeader}.${goodPayload}`, /three base64url parts/],
  ['an empty signature', `${goodHeader}.${goodPayload}.`, /three base64url parts/],
  ['four parts', `${good}.x`, /three base64url parts/],
  ['a line break at the end', `${good}\n`, /three base64url parts/],
  ['more than 8 KiB', `${good}${'A'.repeat(8192)}`, /more than 8192/],
  ['a header that is not JSON', forge('{', payload), /header is not JSON/],
  ['a header that is a list', forge([header], payload), /header is not an object/],
  ['a header that is null', forge('null', payload), /header is not an object/],
  ['crit (jsonwebtoken takes it)', forge({ ...header, crit: ['x'], x: 1 }, payload), /"crit" is not accepted/],
  ['b64', forge({ ...header, b64: false }, payload), /"b64" is not accepted/],
  ['jku', forge({ ...header, jku: 'https://evil.example/keys' }, payload), /"jku" is not accepted/],
  ['x5u', forge({ ...header, x5u: 'https://evil.example/crt' }, payload), /"x5u" is not accepted/],
  ['x5c', forge({ ...header, x5c: [] }, payload), /"x5c" is not accepted/],
  ['its own key as jwk', forge({ ...header, jwk: rsa.publicKey.export({ format: 'jwk' }) }, payload), /"jwk" is not accepted/],
  ['__proto__ in the header', forge(`{"alg":"RS256","typ":"sg-inner+jwt","__proto__":{"kid":"${rsa.kid}"}}`, payload), /"__proto__"/],
  ['another typ (jsonwebtoken takes it)', forge({ ...header, typ: 'JWT' }, payload), /typ is "JWT"/],
  ['no typ', forge({ alg: 'RS256', kid: rsa.kid }, payload), /typ is absent/],
  ['no kid', forge({ alg: 'RS256', typ: header.typ }, payload), /kid is missing/],
  ['a kid that is a number', forge({ ...header, kid: 7 }, payload), /kid is missing or not a string/],
  ['a kid that is a path', forge({ ...header, kid: '../../dev/null' }, payload), /"\.\.\/\.\.\/dev\/null" is not registered/],
  ['a kid named like a method', forge({ ...header, kid: 'constructor' }, payload), /"constructor" is not registered/],
  ['a kid with a line break', forge({ ...header, kid: 'a\nb\u009b' }, payload), /"a\\nb\\u009b" is not registered/],
  ['a key that is not registered', createProof(strangerRsa, claims), /is not registered/],
  ['the name of one key and the signature of another', forge(header, payload, strangerRsa), /invalid signature/],
  ['alg none', `${encode({ ...header, alg: 'none' })}.${goodPayload}.${goodSignature}`, /alg is "none"/],
  ['HS256 with the public key as secret', hmacWithPublicKey({ ...header, alg: 'HS256' }), /alg is "HS256"/],
  ['RS256 in the name, HMAC in the signature', hmacWithPublicKey(header), /invalid signature/],
  ['RS512', forge({ ...header, alg: 'RS512' }, payload), /alg is "RS512"/],
  ['ES256 for an RSA key', forge({ ...header, alg: 'ES256' }, payload, ec), /alg is "ES256"/],
  ['RS256 for an EC key', forge({ ...header, kid: ec.kid }, payload), /alg is "RS256"/],
  ['PS256 in the name, RS256 in the signature', forge({ ...header, alg: 'PS256' }, payload), /invalid signature/],
  ['EdDSA', forge({ ...header, alg: 'EdDSA' }, payload), /alg is "EdDSA"/],
  ['no alg', forge({ typ: header.typ, kid: rsa.kid }, payload), /alg is absent/],
  ['alg as a list', forge({ ...header, alg: ['RS256'] }, payload), /alg is \["RS256"\]/],
  ['a changed payload', `${goodHeader}.${encode({ ...payload, sub: 'lan-b' })}.${goodSignature}`, /invalid signature/],
  [
    'an ECDSA signature of zeros',
    `${parts(forge({ ...header, alg: 'ES256', kid: ec.kid }, payload, ec))
      .slice(0, 2)
      .join('.')}.${Buffer.alloc(64).toString('base64url')}`,
    /invalid signature/,
  ],
  [
    'an ECDSA signature of the wrong length',
    `${parts(forge({ ...header, alg: 'ES256', kid: ec.kid }, payload, ec))
      .slice(0, 2)
      .join('.')}.AAAA`,
    /proof refused/,
  ],
  ['a payload that is a string (jsonwebtoken takes it)', forge(header, '"hello"'), /payload is not an object/],
  ['a payload that is a list (jsonwebtoken takes it)', forge(header, [payload]), /payload is not an object/],
  ['a payload that is null (jsonwebtoken takes it)', forge(header, 'null'), /payload is not an object|invalid/],
  ['a payload that is not JSON', forge(header, 'hello'), /payload is not an object/],
  ['no exp (jsonwebtoken takes it)', forge(header, without('exp')), /exp is missing/],
  [
    'exp lent by __proto__',
    forge(header, `{"sub":"lan-a","aud":"gateway.example","nonce":"${claims.nonce}","iat":${T},"jti":"j","__proto__":{"exp":${T + 1}}}`),
    /exp is missing/,
  ],
  ['no iat', forge(header, without('iat')), /iat is missing/],
  ['exp as a string', forge(header, { ...payload, exp: String(T + 1) }), /exp is not a number/],
  ['exp without end', forge(header, JSON.stringify(payload).replace(`"exp":${T + 1}`, '"exp":1e999')), /exp is not a number/],
  ['iat as null', forge(header, { ...payload, iat: null }), /iat is not a number/],
  ['exp before iat', forge(header, { ...payload, exp: T - 1 }), /exp is not after iat/],
  ['a longer validity than allowed', createProof(rsa, { ...claims, validityMs: 1001 }), /valid for 1\.001 s, more than 1000 ms/],
  ['iat in the future (jsonwebtoken takes it)', createProof(rsa, { ...claims, nowSeconds: T + 1.1 }), /iat is 1\.\d+ s in the future/],
  ['iat long before the HELLO', createProof(rsa, { ...claims, nowSeconds: T - 1.1 }), /before the HELLO/],
  ['a proof that came too late', good, /expired 0\.500 s ago/, { nowSeconds: T + 1.5 }],
  ['a proof at the very end of its time', good, /expired/, { nowSeconds: T + 1 }],
  ['nbf in the future', forge(header, { ...payload, nbf: T + 60 }), /nbf is in the future/],
  ['nbf that is no number', forge(header, { ...payload, nbf: 'now' }), /nbf is not a number/],
  ['no aud', forge(header, without('aud')), /aud is missing/],
  ['another aud', createProof(rsa, { ...claims, audience: 'staging.example' }), /aud is "staging\.example", not this outer layer/],
  ['a list of aud (jsonwebtoken takes it)', forge(header, { ...payload, aud: [payload.aud] }), /aud is not a string/],
  ['aud in another case', createProof(rsa, { ...claims, audience: 'Gateway.example' }), /not this outer layer/],
  ['no nonce', forge(header, without('nonce')), /nonce is missing/],
  ['the nonce of another connection', createProof(rsa, { ...claims, nonce: 'm'.repeat(43) }), /not the one of this connection/],
  ['a prefix of the nonce', createProof(rsa, { ...claims, nonce: 'n'.repeat(42) }), /not the one of this connection/],
  ['an empty nonce', createProof(rsa, { ...claims, nonce: '' }), /not the one of this connection/],
  ['no url, where names are checked', forge(header, without('url')), /url is missing/, { linkNames: NAMES }],
  ['a url that is no text', forge(header, { ...payload, url: [claims.url] }), /url is not a string/, { linkNames: NAMES }],
  ['a url that is none', forge(header, { ...payload, url: 'link.example.com' }), /url is "link\.example\.com", /, { linkNames: NAMES }],
  [
    'the url of an evil outer layer that passes on our HELLO',
    createProof(rsa, { ...claims, url: 'wss://evil.example' }),
    /url is "wss:\/\/evil\.example", the inner layer has dialled none of --link-name link\.example\.com, 127\.0\.0\.1:3001/,
    { linkNames: NAMES },
  ],
  ['the url of another port', createProof(rsa, { ...claims, url: 'wss://link.example.com:8443' }), /dialled none of/, { linkNames: NAMES }],
  ['no jti', forge(header, without('jti')), /jti is missing/],
  ['an empty jti', forge(header, { ...payload, jti: '' }), /jti is empty/],
  ['no sub', forge(header, without('sub')), /sub is missing/],
  ['sub as a list', forge(header, { ...payload, sub: ['lan-a'] }), /sub is not a string/],
  ['an empty sub', forge(header, { ...payload, sub: '' }), /sub is no identifier/],
  ['a sub with a line break', forge(header, { ...payload, sub: 'a\nb' }), /sub is no identifier/],
  ['a sub with a bidirectional override', forge(header, { ...payload, sub: 'a\u202eb' }), /sub is no identifier/],
  ['a sub with a space at its end', forge(header, { ...payload, sub: 'lan-a ' }), /sub is no identifier/],
  ['a sub of 256 characters', forge(header, { ...payload, sub: 'x'.repeat(256) }), /sub is no identifier/],
  [
    'an identifier that the key is not bound to',
    createProof(ec, { ...claims, identifier: 'hr-lan' }),
    /bound to "lan-a", "lan-b" and cannot claim "hr-lan"/,
  ],
  ['an identifier in another case', createProof(ec, { ...claims, identifier: 'LAN-A' }), /cannot claim "LAN-A"/],
]

const refusal = (token: string, changes: Partial<ProofExpectation> = {}): unknown => {
  try {
    return verifyProof(token, { ...expected, ...changes })
  } catch (error) {
    return error
  }
}

describe('a proof of identity', () => {
  test.each([
    ['RSA', rsa],
    ['EC', ec],
  ])('by a registered %s key is accepted', (_, pair) => {
    expect(verifyProof(createProof(pair, claims), expected)).toEqual({
      kid: pair.kid,
      identifier: 'lan-a',
      isTunnel: false,
      isEnrolled: false,
    })
  })

  test('signed with PS256 is accepted for an RSA key', () => {
    expect(verifyProof(pss({ ...header, alg: 'PS256' }), expected)).toEqual({
      kid: rsa.kid,
      identifier: 'lan-a',
      isTunnel: false,
      isEnrolled: false,
    })
  })

  test('may carry claims of a later release', () => {
    expect(verifyProof(forge(header, { ...payload, cnf: { x: 1 } }), expected).identifier).toBe('lan-a')
  })

  test.each(['wss://link.example.com', 'https://LINK.example.com.:443', 'ws://link.example.com', 'ws://127.0.0.1:3001'])(
    'made for %s is accepted where that is a name of the outer layer',
    url => {
      expect(verifyProof(createProof(rsa, { ...claims, url }), { ...expected, linkNames: NAMES }).identifier).toBe('lan-a')
    },
  )

  test('made for any name is accepted where names are not checked', () => {
    for (const linkNames of [undefined, []]) {
      const changes = linkNames === undefined ? {} : { linkNames }
      expect(verifyProof(forge(header, without('url')), { ...expected, ...changes }).identifier).toBe('lan-a')
    }
  })

  test('bears its validity in milliseconds', () => {
    const brief = createProof(rsa, { ...claims, validityMs: 50 })
    expect(verifyProof(brief, { ...expected, nowSeconds: T + 0.049, validityMs: 50 }).identifier).toBe('lan-a')
    expect(refusal(brief, { nowSeconds: T + 0.051, validityMs: 50 })).toMatchObject({ code: 'AUTH' })
  })

  test('is different every time, and small', () => {
    expect(createProof(rsa, claims)).not.toBe(createProof(rsa, claims))
    expect(good.length).toBeLessThan(2048)
  })

  test.each(corpus)('with %s is refused for that reason', (...[, token, reason, changes]) => {
    const error = refusal(token, changes)
    expect(error).toBeInstanceOf(GatewayError)
    expect(error).toMatchObject({ code: 'AUTH', message: expect.stringMatching(reason) })
    expect((error as Error).message).toMatch(/^proof refused: [\x20-\x7e]+$/)
  })

  test('that is no string is refused', () => {
    for (const token of [undefined, null, 7, {}, [good]]) expect(refusal(token as string)).toMatchObject({ code: 'AUTH' })
  })

  test('is refused as AUTH whatever the bytes are', () => {
    const hostile = fc.oneof(
      fc.string(),
      fc.json().map(json => forge(json, payload)),
      fc.json().map(json => forge(header, json)),
    )
    fc.assert(
      fc.property(hostile, token => {
        expect(refusal(token)).toMatchObject({ code: 'AUTH' })
      }),
      { numRuns: 200 },
    )
  })

  test('does not survive the change of any one character', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.constantFrom(...'AZaz09-_.'), (place, character) => {
        const changed = good.slice(0, place) + character + good.slice(place + 1)
        // the unused low bits of the last character of a part decode to nothing
        fc.pre(
          !parts(changed).every((part, index) => Buffer.from(part, 'base64url').equals(Buffer.from(parts(good)[index] ?? '', 'base64url'))),
        )
        expect(refusal(changed)).toMatchObject({ code: 'AUTH' })
      }),
      { numRuns: 300 },
    )
  })

  test('takes jsonwebtoken at its weak spots: what the corpus claims of it is true', () => {
    const accepted = (token: string): unknown => jwt.verify(token, rsa.publicKey, { algorithms: ['RS256'], clockTimestamp: T })
    expect(accepted(forge({ ...header, crit: ['x'] }, payload))).toBeDefined()
    expect(accepted(forge(header, without('exp')))).toBeDefined()
    expect(accepted(forge(header, '"hello"'))).toBe('"hello"')
    expect(accepted(forge(header, { ...payload, iat: T + 3600, exp: T + 7200 }))).toBeDefined()
  })

  test('cannot be signed with a key that was read as PEM of another type', () => {
    const edwards = createPrivateKey(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
    expect(() => createProof({ ...rsa, key: edwards }, claims)).toThrow()
  })
})

describe('an identifier that nobody has chosen', () => {
  const byHostName = { ...claims, identifier: 'vm' }

  test('gives way to the one that the key is bound to', () => {
    expect(verifyProof(createProof(ec, { ...byHostName, isDefault: true }), bound)).toEqual({
      kid: ec.kid,
      identifier: 'lan-b',
      isTunnel: false,
      isEnrolled: false,
    })
    expect(() => verifyProof(createProof(ec, byHostName), bound)).toThrow(/bound to "lan-b" and cannot claim "vm"/)
  })

  test('stays where the key is bound to none, and is refused where it is bound to several', () => {
    expect(verifyProof(createProof(rsa, { ...byHostName, isDefault: true }), expected).identifier).toBe('vm')
    expect(() => verifyProof(createProof(ec, { ...byHostName, isDefault: true }), expected)).toThrow(/cannot claim "vm"/)
    expect(() => verifyProof(forge({ ...header, alg: 'ES256', kid: ec.kid }, { ...payload, sub: 'vm', own: 1 }, ec), bound)).toThrow(
      /cannot claim/,
    )
  })
})
