import { execFileSync } from 'node:child_process'
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { chmodSync } from 'node:fs'
import tls, { type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { mintKeyPair, readIssuer, type Issuer, type MintedPair } from '../../src/identity/certificate.ts'
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

const issuerOf = (pair: MintedPair): Issuer => ({
  certificate: new X509Certificate(pair.certificatePem),
  key: createPrivateKey(pair.privateKeyPem),
})

const NAMES = ['a.example.com', '*.example.org', '192.0.2.7', '2001:db8::1', '::ffff:10.0.0.1']

/** Connects to a server with `pair` that is called `name`, trusting `ca` alone. */
async function handshake(pair: MintedPair, name: string, ca: string): Promise<void> {
  const server = tls.createServer({ key: pair.privateKeyPem, cert: pair.certificatePem })
  server.on('secureConnection', socket => socket.on('error', () => undefined).end())
  const port = await listen(server)
  const client = tls.connect({ host: '127.0.0.1', port, ca, servername: name })
  try {
    await once(client, 'secureConnect')
  } finally {
    client.destroy()
  }
}

describe('the certificate of a server', () => {
  test('is for its names, by itself or by an authority, and is verified by Node with what signed it alone', async () => {
    for (const type of ['ec', 'rsa'] as const) {
      const ca = await mintKeyPair({ type, commonName: 'CA', validityYears: 1, purpose: 'ca' })
      const options = { type: 'ec', commonName: NAMES[0]!, validityYears: 1, purpose: 'server', names: NAMES } as const
      const own = await mintKeyPair(options)
      const signed = await mintKeyPair({ ...options, issuer: issuerOf(ca) })
      expect(new X509Certificate(signed.certificatePem).checkIssued(new X509Certificate(ca.certificatePem))).toBe(true)
      expect(new X509Certificate(signed.certificatePem).verify(createPublicKey(ca.certificatePem))).toBe(true)
      expect(new X509Certificate(own.certificatePem).subjectAltName).toBe(
        'DNS:a.example.com, DNS:*.example.org, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:0:0:0:0:0:FFFF:A00:1',
      )
      for (const name of ['a.example.com', 'x.example.org']) {
        await handshake(own, name, own.certificatePem)
        await handshake(signed, name, ca.certificatePem)
      }
      await expect(handshake(signed, 'b.example.com', ca.certificatePem)).rejects.toThrow(/does not match/)
      await expect(handshake(signed, 'a.example.com', own.certificatePem)).rejects.toThrow(/certificate/)
    }
  })

  testWith(['openssl'], 'is verified strictly by openssl, under an authority that openssl made as under one of ours', async () => {
    const foreignKey = tempFile('foreign.key', '')
    chmodSync(foreignKey, 0o600)
    const foreign = tempFile('foreign.crt', '')
    // Its key identifier is that of the authority's own choice, which the certificate has to repeat.
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', foreignKey, '-out', foreign, '-days', '9']
    const config = tempFile(
      'openssl.cnf',
      '[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=01020304\n',
    )
    const more = ['-subj', '/O=Somebody/CN=CA', '-config', config]
    execFileSync('openssl', [...request, ...more], { stdio: 'ignore' })
    const own = await mintKeyPair({ type: 'ec', commonName: 'CA', validityYears: 1, purpose: 'ca' })
    const [ownKey, ownFile] = [tempFile('ca.key', own.privateKeyPem), tempFile('ca.crt', own.certificatePem)]
    chmodSync(ownKey, 0o600)
    for (const [certificate, key] of [
      [foreign, foreignKey],
      [ownFile, ownKey],
    ] as const) {
      for (const purpose of ['server', 'client'] as const) {
        const issuer = await readIssuer(certificate, key)
        const names = purpose === 'server' ? NAMES : []
        const pair = await mintKeyPair({ type: 'ec', commonName: 'a', validityYears: 100, purpose, names, issuer })
        expect(pair.notAfter).toEqual(new Date(issuer.certificate.validTo))
        const file = tempFile('a.crt', pair.certificatePem)
        const args = ['verify', '-x509_strict', '-purpose', purpose === 'server' ? 'sslserver' : 'sslclient', '-CAfile', certificate, file]
        expect(execFileSync('openssl', args, { encoding: 'utf8' })).toBe(`${file}: OK\n`)
      }
    }
  })

  test('takes names that can be in a certificate', async () => {
    const mint = (name: string): Promise<MintedPair> =>
      mintKeyPair({ type: 'ec', commonName: 'a', validityYears: 1, purpose: 'server', names: [name] })
    for (const bad of ['', '*', 'a.*.com', 'a b', 'a:80', '[::1]', 'bücher.example', `${'a.'.repeat(127)}aa`])
      await expect(mint(bad)).rejects.toMatchObject({ code: 'USAGE' })
  })
})

describe('an authority', () => {
  const file = (pem: string, mode = 0o600): string => {
    const path = tempFile('x.pem', pem)
    chmodSync(path, mode)
    return path
  }

  test('is refused when it is none, when its key is for another one or can be read by others, or when it has expired', async () => {
    const ca = await mintKeyPair({ type: 'ec', commonName: 'CA', validityYears: 1, purpose: 'ca' })
    const leaf = await mintKeyPair({ type: 'ec', commonName: 'leaf', validityYears: 1 })
    await expect(readIssuer(file(ca.certificatePem), file(ca.privateKeyPem))).resolves.toBeDefined()
    await expect(readIssuer(file(leaf.certificatePem), file(leaf.privateKeyPem))).rejects.toThrow(/not the certificate of an authority/)
    await expect(readIssuer(file(ca.certificatePem), file(leaf.privateKeyPem))).rejects.toThrow(/for another key/)
    await expect(readIssuer(file(ca.certificatePem), file(ca.privateKeyPem, 0o644))).rejects.toThrow(/other accounts/)
    const later = new Date(Date.now() + 400 * 86_400_000)
    await expect(readIssuer(file(ca.certificatePem), file(ca.privateKeyPem), later)).rejects.toThrow(/expired/)
  })
})
