/** Requests for certificates as OpenSSL makes them, and as nobody should. */
import { describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { GatewayError } from '../../src/errors.ts'
import { certifyClient } from '../../src/identity/certificate.ts'
import { readCertificateRequest } from '../../src/identity/certificate-request.ts'
import { issuerOf, mintAuthority } from '../support/certificates.ts'
import { needs } from '../support/needs.ts'
import { tempDir } from '../support/temp.ts'
import { peerCertificateOf } from '../../src/tls/client-certificate.ts'

const run = promisify(execFile)

/** A request by `openssl req`, and the private key to it. */
async function made(...newkey: string[]): Promise<{ readonly csr: string; readonly key: string }> {
  const key = join(tempDir(), 'key.pem')
  const subject = ['-subj', '/CN=ada@example.io/O=host', '-addext', 'subjectAltName=email:ada@example.io,DNS:host.example.com']
  const { stdout } = await run('openssl', ['req', '-new', '-newkey', ...newkey, '-nodes', '-keyout', key, ...subject])
  return { csr: stdout, key: await readFile(key, 'utf8') }
}

const der = (csr: string): Buffer => Buffer.from(csr.replace(/-----[^-]+-----/g, ''), 'base64')
const pem = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE REQUEST-----\n`
const P256 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']

const describeWith = needs('openssl') ? describe : describe.skip

describeWith('a request for a certificate', () => {
  test.each([
    ['RSA', ['rsa:2048']],
    ['RSA with SHA-512', ['rsa:2048', '-sha512']],
    ['ECDSA P-256', P256],
    ['ECDSA P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384']],
    ['Ed25519', ['ed25519']],
  ])('of %s is read, and its key certified for whom the authority says', async (_, newkey) => {
    const { csr, key } = await made(...newkey)
    const publicKey = readCertificateRequest(csr)
    expect(publicKey.equals(createPublicKey(createPrivateKey(key)))).toBe(true)
    const authority = issuerOf(await mintAuthority())
    const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 60_000)]
    const names = ['bob@example.io', 'sg-holder:abc.d_e-f']
    const certificate = new X509Certificate(certifyClient({ publicKey, commonName: 'bob', names, notBefore, notAfter }, authority))
    expect(certificate.verify(authority.certificate.publicKey)).toBe(true)
    expect(peerCertificateOf(certificate)).toMatchObject({
      emails: ['bob@example.io'],
      uris: ['sg-holder:abc.d_e-f'],
      dns: [],
      commonName: 'bob',
    })
  })

  test.each([
    ['a weak key', ['rsa:1024']],
    ['a digest that is broken', ['rsa:2048', '-sha1']],
    ['a curve that nobody uses', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1']],
  ])('with %s is refused', async (_, newkey) => {
    const { csr } = await made(...newkey)
    expect(() => readCertificateRequest(csr)).toThrow(GatewayError)
  })

  test('by the key of somebody else is refused', async () => {
    const [mine, theirs] = [await made(...P256), await made(...P256)]
    const [own, other] = [der(mine.csr), der(theirs.csr)]
    // Both keys are 65 bytes behind the same words.
    const words = Buffer.from('06082a8648ce3d030107034200', 'hex')
    const [a, b] = [own.indexOf(words) + words.length, other.indexOf(words) + words.length]
    other.copy(own, a, b, b + 65)
    expect(() => readCertificateRequest(pem(own))).toThrow(/signature/)
  })

  test('that is cut or changed anywhere is refused with a word, and nothing else is thrown', async () => {
    const { csr } = await made(...P256)
    const whole = der(csr)
    const tries = [...whole.keys()].flatMap(i => {
      const flipped = Buffer.from(whole)
      flipped[i]! ^= 0x80
      const longer = Buffer.from(whole)
      longer[i] = 0x84
      return [whole.subarray(0, i), flipped, longer]
    })
    const isRefused = (bytes: Buffer): boolean => {
      try {
        readCertificateRequest(pem(bytes))
        return false
      } catch (thrown) {
        return thrown instanceof GatewayError
      }
    }
    expect(tries.filter(bytes => !bytes.equals(whole) && !isRefused(bytes))).toEqual([])
  })
})

test.each([
  '',
  'nothing',
  '-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n',
  'x'.repeat(20_000),
  pem(Buffer.from('3080', 'hex')),
])('a text that is none is refused (%#)', text => {
  expect(() => readCertificateRequest(text)).toThrow(GatewayError)
})
