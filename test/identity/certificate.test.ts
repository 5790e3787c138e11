import { execFileSync } from 'node:child_process'
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import tls, { type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { mintKeyPair, type MintedPair } from '../../src/identity/certificate.ts'
import { thumbprintOf } from '../../src/identity/key.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { tempFile } from '../support/temp.ts'
import { once } from '../support/wait.ts'

const NOW = new Date('2026-11-20T12:34:56.789Z')

describe.each(['rsa', 'ec'] as const)('a minted %s pair', type => {
  let pair: MintedPair
  let certificate: X509Certificate
  beforeAll(async () => {
    pair = await mintKeyPair({ type, commonName: 'büro 7', validityYears: 100, now: NOW })
    certificate = new X509Certificate(pair.certificatePem)
  })

  test('has a certificate that its own key signed', () => {
    expect(certificate.verify(createPublicKey(pair.privateKeyPem))).toBe(true)
    expect(certificate.checkPrivateKey(createPrivateKey(pair.privateKeyPem))).toBe(true)
    expect(certificate.subject).toBe('CN=büro 7')
    expect(certificate.issuer).toBe(certificate.subject)
    expect(certificate.ca).toBe(false)
  })

  test('is of the promised strength', () => {
    const { modulusLength, namedCurve } = createPrivateKey(pair.privateKeyPem).asymmetricKeyDetails ?? {}
    expect(type === 'rsa' ? modulusLength : namedCurve).toBe(type === 'rsa' ? 4096 : 'prime256v1')
  })

  test('is valid from an hour ago for a hundred years', () => {
    expect(new Date(certificate.validFrom).toISOString()).toBe('2026-11-20T11:34:56.000Z')
    expect(new Date(certificate.validTo).toISOString()).toBe('2126-11-20T12:34:56.000Z')
  })

  test('is named by the thumbprint of its key', () => {
    expect(pair.thumbprint).toBe(thumbprintOf(certificate.publicKey))
    expect(pair.thumbprint).toMatch(/^[\w-]{43}$/)
  })

  testWith(['openssl'], 'is read and verified by openssl, for the purpose of a TLS client', async () => {
    const file = tempFile('a.crt', pair.certificatePem)
    const text = execFileSync('openssl', ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' })
    expect(text).toMatch(/Version: 3/)
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/)
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/)
    expect(text).toMatch(/Extended Key Usage:\s+TLS Web Client Authentication/)
    expect(text).toMatch(/Subject Key Identifier:/)
    expect(text).toMatch(/Not After : Nov 20 12:34:56 2126 GMT/)
    const verified = execFileSync('openssl', [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslclient',
      '-attime',
      '1800000000',
      '-CAfile',
      file,
      file,
    ])
    expect(String(verified)).toBe(`${file}: OK\n`)
  })

  test('serves as client certificate of a TLS connection', async () => {
    const server = tls.createServer({
      key: pair.privateKeyPem,
      cert: pair.certificatePem,
      ca: pair.certificatePem,
      requestCert: true,
      rejectUnauthorized: true,
    })
    const accepted = once(server, 'secureConnection')
    const port = await listen(server)
    const client = tls.connect({ host: '127.0.0.1', port, key: pair.privateKeyPem, cert: pair.certificatePem, rejectUnauthorized: false })
    const [socket] = (await accepted) as [TLSSocket]
    expect(socket.authorized).toBe(true)
    client.destroy()
    socket.destroy()
  })
})

describe('certificates', () => {
  const mint = (validityYears: number, commonName = 'a', now = NOW): Promise<MintedPair> =>
    mintKeyPair({ type: 'ec', commonName, validityYears, now })

  test('write years before 2050 as UTCTime and later ones as GeneralizedTime (RFC 5280 §4.1.2.5)', async () => {
    const encoded = async (validityYears: number): Promise<string> =>
      new X509Certificate((await mint(validityYears)).certificatePem).raw.toString('latin1')
    expect(await encoded(23)).toContain('\x17\x0d491120123456Z')
    expect(await encoded(24)).toContain('\x18\x0f20501120123456Z')
  })

  test('have positive serial numbers that differ', async () => {
    const pairs = await Promise.all(Array.from({ length: 20 }, () => mint(1)))
    const serials = pairs.map(pair => new X509Certificate(pair.certificatePem).serialNumber)
    expect(new Set(serials).size).toBe(20)
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/)
  })

  test('take a common name of one to 64 printable characters', async () => {
    await expect(mint(1, 'x'.repeat(64))).resolves.toBeDefined()
    for (const bad of ['', 'x'.repeat(65), 'a\nb', 'a\0', ' a', 'a\u202eb'])
      await expect(mint(1, bad)).rejects.toMatchObject({ code: 'USAGE' })
  })

  test('take a validity of whole years from 1 to 1000', async () => {
    await expect(mint(1000)).resolves.toBeDefined()
    for (const bad of [0, -1, 1.5, 1001, NaN, Infinity]) await expect(mint(bad)).rejects.toMatchObject({ code: 'USAGE' })
  })
})
