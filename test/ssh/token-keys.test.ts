/** Keys whose private half is on a security token. */
import { expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { writeFileSync } from 'node:fs'
import { authorityBlob, signCertificate } from '../../src/service/ssh-keys/certificate.ts'
import { parsePublicKey as parseLine } from '../../src/service/ssh-keys/public-key.ts'
import { isSignedBy, parseCertificate } from '../../src/ssh/keys/certificate.ts'
import { parsePublicKey, verifyBare, verifyWhole } from '../../src/ssh/keys/public-key.ts'
import { exchange } from '../support/exchange.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { startDoor, startSsh } from '../support/ssh-door.ts'
import { tokenKey } from '../support/token-agent.ts'

const TYPES = ['ed25519', 'ecdsa'] as const
const PROGRAMS = ['ssh', 'ssh-keygen']

testWith(PROGRAMS, 'ssh logs in with a key of a token, by itself and by a certificate for it', async () => {
  const port = await listen(createServer((req, res) => res.end(req.url)))
  for (const type of TYPES) {
    const [door, token] = await Promise.all([startDoor(), tokenKey(type)])
    const agent = ['-o', `IdentityAgent=${token.socketPath}`]
    const authority = generateKeyPairSync('ed25519').privateKey
    door.authorize(token.line)
    const ssh = startSsh(door, token, [...agent, '-R', `80:127.0.0.1:${port}`])
    await ssh.waitForLine(/Logs\r\n={55}\r\n/)
    const { status, body } = await exchange(door.layers.port, { host: door.http[0]!.socket.dnsName, path: '/token' })
    expect([status, body.toString()]).toEqual([200, '/token'])
    await ssh.stop('SIGTERM')

    // Another door, where nobody knows the key itself.
    const certain = await startDoor()
    certain.authorities.push(authorityBlob(authority))
    const request = {
      key: parseLine(token.line),
      principals: [certain.user],
      keyId: 'x',
      validFrom: 0,
      validUntil: 1e14,
      serial: 1n,
    } as const
    const line = signCertificate(authority, request)
    token.certificate = Buffer.from(line.split(' ')[1]!, 'base64')
    writeFileSync(`${token.path}.pub`, `${line}\n`)
    const second = startSsh(certain, token, [...agent, '-R', `80:127.0.0.1:${port}`])
    await second.waitForLine(/Logs\r\n={55}\r\n/)
    expect(certain.offered.at(-1)).toMatchObject({ certificateOf: certain.user, blob: token.blob })
    await second.stop('SIGTERM')
  }
})

testWith(PROGRAMS, 'a token that nobody has touched lets nobody in', async () => {
  const [door, token] = await Promise.all([startDoor(), tokenKey('ed25519', { isTouched: false })])
  door.authorize(token.line)
  const ssh = startSsh(door, token, ['-o', `IdentityAgent=${token.socketPath}`, '-N', '-R', '80:127.0.0.1:1'])
  expect((await ssh.exit).code).toBe(255)
  expect(ssh.stderr).toContain('Permission denied (publickey)')
})

test.each(TYPES)('a signature of %s counts for its message, its key and what the token says, and nothing else', async type => {
  const [token, other] = await Promise.all([tokenKey(type), tokenKey(type)])
  const data = randomBytes(100)
  const whole = token.sign(data)
  const key = parsePublicKey(token.blob)
  const bare = whole.subarray(4 + key.algorithm.length + 4)
  expect(verifyWhole(key, data, whole, false)).toBe(true)
  expect(verifyBare(key, data, { bytes: bare, hash: undefined })).toBe(true)
  expect(verifyWhole(parsePublicKey(other.blob), data, whole, false)).toBe(false)
  expect(verifyBare(key, randomBytes(100), { bytes: bare, hash: undefined })).toBe(false)
  for (let at = 0; at < bare.length; at++) {
    const [changed, cut] = [Buffer.from(bare), bare.subarray(0, at)]
    changed[at]! ^= 1
    expect([at, verifyBare(key, data, { bytes: changed, hash: undefined })]).toEqual([at, false])
    expect([at, verifyBare(key, data, { bytes: cut, hash: undefined })]).toEqual([at, false])
  }
  // The same key for another application is another key.
  const blob = Buffer.from(token.blob)
  blob[blob.length - 1]! ^= 1
  expect(verifyBare(parsePublicKey(blob), data, { bytes: bare, hash: undefined })).toBe(false)
})

test.each(TYPES)('a certificate of %s names the algorithm of its key', async type => {
  const token = await tokenKey(type)
  const authority = generateKeyPairSync('ed25519').privateKey
  const key = parseLine(token.line)
  const line = signCertificate(authority, { key, principals: ['x'], keyId: 'x', validFrom: 0, validUntil: 1e14, serial: 1n })
  const [name, encoded] = line.split(' ') as [string, string]
  expect(name).toBe(type === 'ed25519' ? 'sk-ssh-ed25519-cert-v01@openssh.com' : 'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com')
  const certificate = parseCertificate(Buffer.from(encoded, 'base64'))
  expect(certificate).toMatchObject({ algorithm: key.algorithm, blob: token.blob })
  const data = randomBytes(10)
  expect(isSignedBy(certificate, name, data, token.sign(data))).toBe(true)
  expect(isSignedBy(certificate, 'ssh-ed25519', data, token.sign(data))).toBe(false)
})

testWith(['ssh-keygen'], 'a line with such a key is one of an account, unless it is for web sites', async () => {
  for (const type of TYPES) {
    const token = await tokenKey(type)
    expect(parseLine(token.line)).toMatchObject({ blob: token.blob, comment: 'on a token' })
    const site = await tokenKey(type, { application: 'https://bank.example' })
    expect(() => parseLine(site.line)).toThrow(/damaged/)
    expect(() => parseLine(token.line.replace('sk-ssh', 'ssh').replace('sk-ecdsa', 'ecdsa').replace('@openssh.com', ''))).toThrow(/damaged/)
  }
})
