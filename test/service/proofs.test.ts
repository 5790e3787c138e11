import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import jwt from 'jsonwebtoken'
import { hashSecret, isSecret, mintSecret } from '../../src/service/proofs/secret-texts.ts'
import { loadArgon2, Passwords, type Argon2 } from '../../src/service/proofs/passwords.ts'
import { SealingKey } from '../../src/service/proofs/sealed.ts'
import { SessionTokens } from '../../src/service/proofs/session-tokens.ts'

describe('passwords', () => {
  let argon2: Argon2
  beforeAll(async () => {
    argon2 = (await loadArgon2())!
  })

  test('are hashed with argon2id where that is installed, and in any case verified whichever way they were hashed', async () => {
    const fast = await Passwords.create(argon2)
    const plain = await Passwords.create(undefined)
    const [first, second] = [await fast.hash('correct horse'), await plain.hash('correct horse')]
    expect(first).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(second).toMatch(/^\$scrypt\$/)
    expect(await fast.verify('correct horse', first)).toBe(true)
    expect(await fast.verify('correct horse', second)).toBe(true)
    expect(await fast.verify('wrong horse', first)).toBe(false)
    expect(await fast.verify('wrong horse', second)).toBe(false)
    expect([fast.isOutdated(first), fast.isOutdated(second), plain.isOutdated(second)]).toEqual([false, true, false])
    await expect(plain.verify('correct horse', first)).rejects.toThrow(/@node-rs\/argon2/)
  })

  test('are one password in both normal forms', async () => {
    const passwords = await Passwords.create(argon2)
    expect(await passwords.verify('u\u0308bergang', await passwords.hash('übergang'))).toBe(true)
  })

  test('of nobody cost the same work: one verification, with the same parameters', async () => {
    const verified: string[] = []
    const passwords = await Passwords.create({
      hash: (password, options) => argon2.hash(password, options),
      verify: (hash, password) => {
        verified.push(hash)
        return argon2.verify(hash, password)
      },
    })
    const known = await passwords.hash('correct horse')
    expect(await passwords.verify('correct horse', known)).toBe(true)
    expect(await passwords.verify('correct horse', undefined)).toBe(false)
    expect(verified).toHaveLength(2)
    expect(verified[1]!.split('$').slice(0, 4)).toEqual(verified[0]!.split('$').slice(0, 4))
  })

  test('are verified two at a time; a flood is refused before it costs memory', async () => {
    let [now, most] = [0, 0]
    const waiting: (() => void)[] = []
    const passwords = await Passwords.create({
      hash: () => Promise.resolve('$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA'),
      verify: async () => {
        most = Math.max(most, ++now)
        await new Promise<void>(resolve => waiting.push(resolve))
        now--
        return true
      },
    })
    const calls = Array.from({ length: 100 }, () => passwords.verify('x', '$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA'))
    const settled = Promise.allSettled(calls)
    while (now > 0) {
      waiting.shift()?.()
      await new Promise(setImmediate)
    }
    const results = await settled
    expect(most).toBe(2)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(66)
    const refused = results.find(result => result.status === 'rejected')
    expect(refused?.reason).toMatchObject({ code: 'RATE_LIMITED', fields: ['Retry-After', '5'] })
  })
})

test.each([
  [1, 1],
  [2, 1],
  [3, 1],
  [4, 2],
  [64, 2],
])('of %d cores, %d hash passwords: the others are for requests', async (cores, expected) => {
  const waiting: (() => void)[] = []
  const verify = (): Promise<boolean> => new Promise(resolve => waiting.push(() => resolve(true)))
  const passwords = await Passwords.create({ hash: () => Promise.resolve('$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA'), verify }, cores)
  const calls = Array.from({ length: 5 }, () => passwords.verify('x', '$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA'))
  for (let left = calls.length; left > 0; left--) {
    await new Promise(setImmediate)
    expect(waiting).toHaveLength(Math.min(expected, left))
    waiting.shift()!()
  }
  expect(await Promise.all(calls)).toEqual([true, true, true, true, true])
})

test('passwords of sockets wait for each other, and nobody who logs in waits for them', async () => {
  const passwords = await Passwords.create({
    hash: () => Promise.resolve('$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA'),
    verify: () => Promise.resolve(true),
  })
  let hashed = 0
  const flood = Array.from({ length: 3 }, () => passwords.hashForEdge('x').then(() => hashed++))
  expect(await passwords.verify('x', '$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA')).toBe(true)
  expect(hashed).toBe(0)
  await Promise.all(flood)
})

describe('a token of a session', () => {
  let now = Date.parse('2026-11-28T02:00:00.500Z')
  const signing = (id: string) => ({ id, key: createSecretKey(randomBytes(32)) })
  const [first, second] = [signing('one'), signing('two')]
  const tokens = new SessionTokens([first], 'https://api.example.com', () => now)
  const claims = { accountId: 'addce6c8-cb8d-4ce5-828e-a8fe097434b9', epoch: 3 }

  test('has the claims that old clients read, and ends after 300 minutes', () => {
    const { token, expiresAt } = tokens.sign(claims)
    expect(token.split('.')).toHaveLength(3)
    expect(jwt.decode(token)).toEqual({
      user_id: claims.accountId,
      iat: 1_795_831_200,
      exp: 1_795_831_200 + 18_000,
      iss: 'https://api.example.com',
      epoch: 3,
    })
    expect(tokens.read(token)).toEqual(claims)
    now = expiresAt - 1
    expect(tokens.read(token)).toEqual(claims)
    now = expiresAt
    expect(() => tokens.read(token)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }))
    now = expiresAt - 18_000_000
  })

  test('is read with an older key as well, and signed with the newest', () => {
    const { token } = tokens.sign(claims)
    const rotated = new SessionTokens([second, first], 'https://api.example.com', () => now)
    expect(rotated.read(token)).toEqual(claims)
    expect(jwt.decode(rotated.sign(claims).token, { complete: true })?.header.kid).toBe('two')
  })

  test('counts at nodes of the service behind another port, also one of an earlier release, which wrote the port', () => {
    const at = (origin: string): SessionTokens => new SessionTokens([first], origin, () => now)
    const { token } = at('https://api.example.com:8443').sign(claims)
    expect(jwt.decode(token)).toMatchObject({ iss: 'https://api.example.com' })
    for (const origin of ['https://api.example.com', 'https://api.example.com:9443']) expect(at(origin).read(token)).toEqual(claims)
    const { user_id, iat, exp, epoch } = jwt.decode(token) as jwt.JwtPayload
    const earlier = jwt.sign(
      { user_id: user_id as string, iat, exp, iss: 'https://api.example.com:8443', epoch: epoch as number },
      first.key,
      {
        algorithm: 'HS256',
        header: { alg: 'HS256', typ: 'JWT', kid: 'one' },
      },
    )
    expect(at('https://api.example.com:8443').read(earlier)).toEqual(claims)
    expect(at('https://[::1]:8443').read(at('https://[::1]').sign(claims).token)).toEqual(claims)
    expect(() => at('https://[::2]:8443').read(at('https://[::1]').sign(claims).token)).toThrow(
      expect.objectContaining({ code: 'UNAUTHENTICATED' }),
    )
  })

  test.each([
    ['of another service', () => new SessionTokens([first], 'https://other.example.com', () => now).sign(claims).token],
    ['with another key', () => new SessionTokens([signing('one')], 'https://api.example.com', () => now).sign(claims).token],
    [
      'that is not signed',
      () =>
        jwt.sign({ user_id: claims.accountId, exp: 4e9, iss: 'https://api.example.com', epoch: 3 }, null, {
          algorithm: 'none',
          keyid: 'one',
        }),
    ],
    [
      'with another algorithm',
      () =>
        jwt.sign({ user_id: claims.accountId, exp: 4e9, iss: 'https://api.example.com', epoch: 3 }, first.key, {
          algorithm: 'HS512',
          keyid: 'one',
        }),
    ],
    ['without end', () => jwt.sign({ user_id: claims.accountId, iss: 'https://api.example.com', epoch: 3 }, first.key, { keyid: 'one' })],
    ['without epoch', () => jwt.sign({ user_id: claims.accountId, iss: 'https://api.example.com', exp: 4e9 }, first.key, { keyid: 'one' })],
    ['with a changed signature', () => `${tokens.sign(claims).token.slice(0, -4)}AAAA`],
    ['that is none', () => 'a.b'],
    ['of endless length', () => `${'a'.repeat(10_000)}.b.c`],
  ])('%s is refused', (_, make) => {
    expect(() => tokens.read(make())).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }))
  })
})

test('a sealed secret opens with its key, at its place, undamaged', () => {
  const key = new SealingKey(randomBytes(32))
  const secret = Buffer.from('a secret')
  const sealed = key.seal(secret, 'jwt:1')
  expect(sealed).not.toContain('secret')
  expect(key.seal(secret, 'jwt:1')).not.toBe(sealed)
  expect(key.open(sealed, 'jwt:1')).toEqual(secret)
  const damaged = `${sealed.slice(0, -2)}${sealed.endsWith('A') ? 'BB' : 'AA'}`
  for (const attempt of [
    () => key.open(sealed, 'ssh-ca:1'),
    () => new SealingKey(randomBytes(32)).open(sealed, 'jwt:1'),
    () => key.open(damaged, 'jwt:1'),
    () => key.open('v1.', 'jwt:1'),
    () => key.open('v2.xxxx', 'jwt:1'),
  ])
    expect(attempt).toThrow(expect.objectContaining({ code: 'STORE_INVALID' }))
  expect(() => new SealingKey(Buffer.alloc(16))).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }))
})

test('a secret says what it is for, cannot be guessed, and only its hash is kept', () => {
  const secret = mintSecret('sga')
  expect(secret).toMatch(/^sga_[\w-]{43}$/)
  expect(mintSecret('sga')).not.toBe(secret)
  expect(isSecret(secret, 'sga')).toBe(true)
  expect(isSecret(secret, 'sgj')).toBe(false)
  expect(isSecret(`${secret}x`, 'sga')).toBe(false)
  expect(isSecret(undefined, 'sga')).toBe(false)
  expect(hashSecret(secret)).toMatch(/^sha256:[\w-]{43}$/)
})
