import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isIdentifier } from '../../src/identity/identifier.ts'
import { thumbprintOf } from '../../src/identity/key.ts'
import { readPrivateKey } from '../../src/identity/private-key.ts'
import { createProof, verifyProof } from '../../src/identity/proof.ts'
import { KeyFiles, type KeyRegistry } from '../../src/identity/public-keys.ts'
import { commonNameOf, parsePublicKeyValue } from '../../src/identity/read-public-key.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { mintEc, oddKeys, privateKeyOf, privatePem, publicPem } from './fixtures.ts'

const secret = (name: string, text: string, mode = 0o600): string => {
  const file = tempFile(name, text)
  chmodSync(file, mode)
  return file
}
const registryOf = async (...values: string[]): Promise<KeyRegistry> => {
  const files = new KeyFiles(values)
  const registry = await files.start()
  await files.close()
  return registry
}

test('the thumbprint is that of RFC 7638 §3.1', () => {
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
  const key = createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' })
  expect(thumbprintOf(key)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
})

describe('a value of --public-key', () => {
  test.each([
    ['inner.crt', undefined, 'inner.crt'],
    ['lan-a=inner.crt', 'lan-a', 'inner.crt'],
    ['lan a=/etc/keys/x=y.pem', 'lan a', '/etc/keys/x=y.pem'],
    ['./a=b.crt', undefined, './a=b.crt'],
    ['/keys/a=b.crt', undefined, '/keys/a=b.crt'],
    ['C:\\keys\\a=b.crt', undefined, 'C:\\keys\\a=b.crt'],
  ])('%s is read as identifier %s and path %s', (value, identifier, path) => {
    expect(parsePublicKeyValue(value)).toEqual({ identifier, path })
  })

  test.each(['', '=inner.crt', 'lan-a=', 'a\nb=inner.crt', ' =inner.crt'])('%j is refused', value => {
    expect(() => parsePublicKeyValue(value)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

describe('a public key file', () => {
  test('may be a certificate or a bare key, RSA or EC, and may claim any identifier', async () => {
    const ec = await mintEc()
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const registry = await registryOf(
      tempFile('ec.crt', ec.certificatePem),
      tempFile('rsa.pem', publicPem(rsa.publicKey)),
      tempFile('pkcs1.pem', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'pkcs1', format: 'pem' })),
    )
    expect(registry.size).toBe(3)
    expect(registry.get(ec.thumbprint)).toMatchObject({ algorithms: ['ES256'], identifiers: undefined })
    expect(registry.get(thumbprintOf(rsa.publicKey))).toMatchObject({ algorithms: ['RS256', 'PS256'] })
    expect(registry.allows(ec.thumbprint, 'whatever')).toBe(true)
  })

  test('with text around the PEM block is read, as openssl writes it', async () => {
    const { certificatePem } = await mintEc()
    await expect(
      registryOf(tempFile('a.crt', `Certificate:\r\n  Data:\r\n${certificatePem.replaceAll('\n', '\r\n')}`)),
    ).resolves.toHaveProperty('size', 1)
  })

  test('bound to an identifier may claim only that one, exactly', async () => {
    const { certificatePem, thumbprint } = await mintEc('other')
    const registry = await registryOf(`lan-a=${tempFile('a.crt', certificatePem)}`)
    expect(registry.get(thumbprint)?.identifiers).toEqual(['lan-a'])
    expect(registry.allows(thumbprint, 'lan-a')).toBe(true)
    for (const other of ['LAN-A', 'lan-', 'other', '']) expect(registry.allows(thumbprint, other)).toBe(false)
  })

  test('given twice has the identifiers of both, and every one when one of them is unbound', async () => {
    const { certificatePem, thumbprint } = await mintEc()
    const file = tempFile('a.crt', certificatePem)
    expect((await registryOf(`a=${file}`, `b=${file}`, `a=${file}`)).get(thumbprint)?.identifiers).toEqual(['a', 'b'])
    expect((await registryOf(`a=${file}`, file)).get(thumbprint)?.identifiers).toBeUndefined()
  })

  test('that holds a private key is refused, and its content is not repeated', async () => {
    const { privateKeyPem } = await mintEc()
    const sec1 = privateKeyOf(await mintEc()).export({ type: 'sec1', format: 'pem' }) as string
    for (const text of [privateKeyPem, sec1, `${(await mintEc()).certificatePem}${privateKeyPem}`]) {
      const error = await registryOf(tempFile('inner.key', text)).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'KEY_INVALID', message: expect.stringMatching(/inner\.key: this is a private key, which stays/) })
      expect(String(error)).not.toContain(text.split('\n')[1])
    }
  })

  test.each(Object.entries(oddKeys()))('with a key of type %s is refused', async (_, { publicKey }) => {
    await expect(registryOf(tempFile('odd.pem', publicPem(publicKey)))).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: /odd\.pem: (RSA )?key /,
    })
  })

  test('that is no key is refused with its name and what was expected', async () => {
    const { certificatePem } = await mintEc()
    const cases: [string, RegExp][] = [
      ['', /no PEM block found; expected a certificate or a public key/],
      ['hello', /no PEM block found/],
      [certificatePem + (await mintEc()).certificatePem, /2 PEM blocks; expected one/],
      [certificatePem.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'), /the certificate cannot be read/],
      [certificatePem.replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST'), /type CERTIFICATE REQUEST; expected CERTIFICATE or PUBLIC KEY/],
      [certificatePem.slice(0, -20), /no PEM block/],
      ['x'.repeat(70_000), /too many for a key/],
    ]
    for (const [text, message] of cases) {
      await expect(registryOf(tempFile('bad.crt', text))).rejects.toMatchObject({
        code: 'KEY_INVALID',
        message: expect.stringMatching(message),
      })
    }
    await expect(registryOf('/nowhere/at/all.crt')).rejects.toMatchObject({ code: 'FILE_UNREADABLE', message: /\/nowhere\/at\/all\.crt/ })
  })

  test('with a certificate that has expired or is not valid yet is refused', async () => {
    const past = await mintEc('a', new Date(Date.now() - 400 * 86_400_000))
    const future = await mintEc('a', new Date(Date.now() + 86_400_000))
    await expect(registryOf(tempFile('a.crt', past.certificatePem))).rejects.toThrow(/a\.crt: the certificate expired at/)
    await expect(registryOf(tempFile('a.crt', future.certificatePem))).rejects.toThrow(/a\.crt: the certificate is not valid before/)
  })

  test('is reported together with every other bad one', async () => {
    await expect(registryOf(tempFile('one.crt', ''), tempFile('two.crt', ''))).rejects.toThrow(/one\.crt.*; .*two\.crt/)
  })
})

describe('the common name of a certificate', () => {
  const nameOf = async (commonName: string): Promise<string | undefined> =>
    commonNameOf(new X509Certificate((await mintEc(commonName)).certificatePem).subject)

  test.each(['inner-layer', 'büro 7', 'a,b;c<d>"e"', 'a\\b\\2Cc', 'a+b', 'a + CN=b', '#x', 'CN=x', '名前', 'x=y'])(
    'is read as it was minted: %s',
    async name => {
      expect(await nameOf(name)).toBe(name)
    },
  )

  test('survives every printable name', async () => {
    const printable = fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme' }).filter(name => isIdentifier(name) && name.length <= 64)
    await fc.assert(
      fc.asyncProperty(printable, async name => {
        expect(await nameOf(name)).toBe(name)
      }),
      { numRuns: 100 },
    )
  })

  test('is undefined when there is none or more than one', () => {
    expect(commonNameOf('C=CH\nO=x')).toBeUndefined()
    expect(commonNameOf('CN=a\nCN=b')).toBeUndefined()
    expect(commonNameOf('OU=x + CN=a\nCN=b')).toBeUndefined()
    expect(commonNameOf('C=CH\nOU=x + CN=a')).toBe('a')
  })
})

describe('a directory of public keys', () => {
  test('binds every certificate to its common name and takes only .crt and .pem', async () => {
    const directory = tempDir()
    const [a, b] = [await mintEc('lan-a'), await mintEc('lan-b')]
    writeFileSync(join(directory, 'a.crt'), a.certificatePem)
    writeFileSync(join(directory, 'b.pem'), b.certificatePem)
    writeFileSync(join(directory, 'README'), 'no key')
    writeFileSync(join(directory, '.hidden.crt'), 'no key')
    mkdirSync(join(directory, 'sub'))
    const registry = await registryOf(directory)
    expect(registry.size).toBe(2)
    expect(registry.get(a.thumbprint)?.identifiers).toEqual(['lan-a'])
    expect(registry.get(b.thumbprint)?.identifiers).toEqual(['lan-b'])
  })

  test('with an identifier binds all its keys to that one', async () => {
    const directory = tempDir()
    const pair = await mintEc('other')
    writeFileSync(join(directory, 'a.pem'), publicPem(createPublicKey(pair.certificatePem)))
    expect((await registryOf(`lan-a=${directory}`)).get(pair.thumbprint)?.identifiers).toEqual(['lan-a'])
  })

  test('reports a key that has no common name to be bound to, and keeps the others', async () => {
    const directory = tempDir()
    const [bare, good] = [await mintEc(), await mintEc('lan-b')]
    writeFileSync(join(directory, 'bare.pem'), publicPem(createPublicKey(bare.certificatePem)))
    writeFileSync(join(directory, 'good.crt'), good.certificatePem)
    const faults: string[] = []
    const files = new KeyFiles([directory], { onFault: fault => faults.push(fault.message) })
    expect((await files.start()).size).toBe(1)
    expect(faults).toEqual([expect.stringMatching(/bare\.pem: no usable common name .* --public-key IDENTIFIER=/)])
    await files.close()
  })
})

describe('a private key file', () => {
  test.each(['rsa', 'ec'] as const)('of type %s gives a proof that its certificate verifies', async type => {
    const { privateKey, publicKey } =
      type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = await readPrivateKey(secret('inner.key', privatePem(privateKey)))
    expect(key).toMatchObject({ kid: thumbprintOf(publicKey), algorithm: type === 'rsa' ? 'RS256' : 'ES256' })
    const now = Date.now() / 1000
    const token = createProof(key, { identifier: 'a', url: 'ws://u', audience: 'b', nonce: 'c', nowSeconds: now })
    const registry = await registryOf(tempFile('inner.pem', publicPem(publicKey)))
    const expected = { registry, audience: 'b', nonce: 'c', issuedAtSeconds: now, nowSeconds: now, validityMs: 1000 }
    expect(verifyProof(token, expected).identifier).toBe('a')
  })

  test('in PKCS #1 and SEC 1 is read, with the parameters that openssl writes before it', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }) as string
    const ec = privateKeyOf(await mintEc()).export({ type: 'sec1', format: 'pem' }) as string
    await expect(readPrivateKey(secret('a', rsa))).resolves.toHaveProperty('algorithm', 'RS256')
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
    await expect(readPrivateKey(secret('a', parameters + ec))).resolves.toHaveProperty('algorithm', 'ES256')
  })

  test.each([0o640, 0o604, 0o660, 0o644, 0o666, 0o610])(
    'that others may use (mode %o) is refused with the command that mends it',
    async mode => {
      const file = secret('inner.key', (await mintEc()).privateKeyPem, mode)
      await expect(readPrivateKey(file)).rejects.toMatchObject({
        code: 'KEY_INVALID',
        message: expect.stringContaining(`run: chmod 600 ${file}`),
      })
    },
  )

  test('is quoted in that command where a shell needs it', async () => {
    const file = secret("it's a.key", (await mintEc()).privateKeyPem, 0o644)
    await expect(readPrivateKey(file)).rejects.toThrow(String.raw`it'\''s a.key'`)
  })

  test.each([0o600, 0o400, 0o700])('of mode %o is accepted', async mode => {
    await expect(readPrivateKey(secret('inner.key', (await mintEc()).privateKeyPem, mode))).resolves.toBeDefined()
  })

  test('that is something else is refused with what it is', async () => {
    const pair = await mintEc()
    const encrypted = privateKeyOf(pair).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string
    const cases: [string, RegExp][] = [
      [pair.certificatePem, /this is a certificate; expected the private key/],
      [publicPem(createPublicKey(pair.certificatePem)), /this is a public key; expected the private one/],
      [encrypted, /is encrypted; decrypt it/],
      [pair.privateKeyPem + pair.privateKeyPem, /2 PEM blocks; expected one private key/],
      ['hello', /no PEM block found; expected a private key/],
      [pair.privateKeyPem.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'), /cannot be read/],
    ]
    for (const [text, message] of cases) {
      await expect(readPrivateKey(secret('inner.key', text))).rejects.toMatchObject({
        code: 'KEY_INVALID',
        message: expect.stringMatching(message),
      })
    }
    await expect(readPrivateKey('/nowhere.key')).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
    await expect(readPrivateKey(tempDir())).rejects.toMatchObject({ code: 'KEY_INVALID' })
  })

  test.each(Object.entries(oddKeys()))('of type %s is refused', async (_, { privateKey }) => {
    await expect(readPrivateKey(secret('odd.key', privatePem(privateKey)))).rejects.toMatchObject({ code: 'KEY_INVALID' })
  })
})
