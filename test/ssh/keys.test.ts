/** Keys and certificates as ssh-keygen makes them. */
import { describe, expect, test } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import ssh2 from 'ssh2'
import { GatewayError } from '../../src/errors.ts'
import { checkCertificate, parseCertificate, type UserCertificate } from '../../src/ssh/keys/certificate.ts'
import { hostKeyText } from '../../src/ssh/keys/host-key.ts'
import { parsePublicKey } from '../../src/ssh/keys/public-key.ts'
import { testWith } from '../support/needs.ts'
import { makeKey, run, startDoor, startSsh, type Door, type KeyFile } from '../support/ssh-door.ts'

const PROGRAMS = ['ssh', 'ssh-keygen']
const TYPES = [['ed25519'], ['ecdsa', 256], ['ecdsa', 384], ['ecdsa', 521], ['rsa', 2_048]] as const
const USER = '0123456789abcdef0123456789abcdef'

const blobOf = (line: string): Buffer => Buffer.from(line.split(' ')[1]!, 'base64')

/** Signs the key with the authority; the certificate lies beside it. @param args  of ssh-keygen */
const sign = async (authority: KeyFile, key: KeyFile, args: readonly string[] = ['-n', USER]): Promise<Buffer> => {
  await run('ssh-keygen', ['-q', '-s', authority.path, '-I', 'test', ...args, `${key.path}.pub`])
  return blobOf(readFileSync(`${key.path}-cert.pub`, 'utf8'))
}

const refusal = (action: () => unknown): unknown => {
  try {
    return action()
  } catch (thrown) {
    return thrown instanceof GatewayError ? `${thrown.code}: ${thrown.message}` : thrown
  }
}

describe('keys', () => {
  testWith(['ssh-keygen'], 'of each type are read, and no cut or changed one breaks anything', async () => {
    for (const [type, bits] of TYPES) {
      const { line } = await makeKey(type, bits)
      const blob = blobOf(line)
      expect(parsePublicKey(blob).algorithm).toBe(line.split(' ')[0])
      fc.assert(
        fc.property(fc.nat(blob.length - 1), fc.nat(255), (at, value) => {
          const changed = Buffer.from(blob)
          changed[at] = value
          for (const bytes of [blob.subarray(0, at), changed]) {
            const result = refusal(() => parsePublicKey(bytes))
            expect(typeof result === 'string' ? result : (result as { algorithm?: unknown }).algorithm).toEqual(expect.any(String))
          }
        }),
        { numRuns: 30 },
      )
    }
  })

  test('of the host are taken in every form that a file may have', () => {
    const pairs = [
      generateKeyPairSync('ed25519'),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      generateKeyPairSync('rsa', { modulusLength: 2_048 }),
    ]
    for (const { privateKey } of pairs) {
      const text = hostKeyText(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
      expect(ssh2.utils.parseKey(text)).not.toBeInstanceOf(Error)
      expect(hostKeyText(text).split('\n')[0]).toMatch(/^-----BEGIN (?:OPENSSH|EC|RSA) PRIVATE KEY-----$/)
    }
    expect(refusal(() => hostKeyText('nothing'))).toMatch(/^KEY_INVALID/)
  })
})

describe('certificates', () => {
  const check = (certificate: UserCertificate, authority: KeyFile, nowSeconds = Date.now() / 1000): unknown =>
    refusal(() => checkCertificate(certificate, { user: USER, authorities: [blobOf(authority.line)], nowSeconds }))

  testWith(['ssh-keygen'], 'of each type of key and authority are taken', async () => {
    for (const [type, bits] of TYPES) {
      const [authority, key] = await Promise.all([makeKey(type, bits), makeKey(type, bits)])
      const certificate = parseCertificate(await sign(authority, key))
      expect(certificate.blob).toEqual(blobOf(key.line))
      expect(check(certificate, authority)).toBeUndefined()
    }
  })

  testWith(['ssh-keygen'], 'are refused for each thing that is wrong with them', async () => {
    const [authority, other, key] = await Promise.all([makeKey(), makeKey(), makeKey('ecdsa', 256)])
    const made = async (...args: readonly string[]): Promise<UserCertificate> => parseCertificate(await sign(authority, key, args))
    const good = await made('-n', `somebody,${USER}`)
    expect(check(good, authority)).toBeUndefined()
    expect(check(good, other)).toBe('FORBIDDEN: the certificate is not of an authority of this server')
    const forged = { ...good, signed: Buffer.concat([good.signed.subarray(0, -1), Buffer.from([good.signed.at(-1)! ^ 1])]) }
    expect(check(forged, authority)).toBe('FORBIDDEN: the certificate has a signature that is not right')
    expect(check(await made('-n', 'root'), authority)).toBe('FORBIDDEN: the certificate is for another user')
    expect(check(await made(), authority)).toBe('FORBIDDEN: the certificate is for another user')
    const hour = await made('-n', USER, '-V', '-1h:+1h')
    expect(check(hour, authority)).toBeUndefined()
    expect(check(hour, authority, Date.now() / 1000 + 3_700)).toBe('FORBIDDEN: the certificate has expired')
    expect(check(hour, authority, Date.now() / 1000 - 3_700)).toMatch(/not valid yet/)
    expect(check(await made('-n', USER, '-O', 'force-command=true'), authority)).toMatch(/critical option "force-command"/)
    expect(await sign(authority, key, ['-h', '-n', USER]).then(bytes => refusal(() => parseCertificate(bytes)))).toBe(
      'INVALID: the certificate is not one of a user',
    )
  })

  testWith(['ssh-keygen'], 'that are cut or changed break nothing', async () => {
    const [authority, key] = await Promise.all([makeKey(), makeKey()])
    const bytes = await sign(authority, key)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(bytes)
        changed[at] = value
        expect(refusal(() => parseCertificate(bytes.subarray(0, at)))).toMatch(/^INVALID/)
        const result = refusal(() => parseCertificate(changed))
        // What still reads as one is not signed any more, unless nothing was changed.
        if (typeof result === 'string') expect(result).toMatch(/^INVALID/)
        else if (!changed.equals(bytes)) expect(check(result as UserCertificate, authority)).toMatch(/^(?:FORBIDDEN|INVALID)/)
      }),
      { numRuns: 100 },
    )
  })
})

describe('logins with OpenSSH', () => {
  const outcome = async (door: Door, key: KeyFile, options: readonly string[] = []): Promise<string> => {
    const ssh = startSsh(
      door,
      key,
      options.flatMap(option => ['-o', option]),
    )
    await ssh.exit
    return /This connection forwards no port/.test(ssh.stdout) ? 'in' : ssh.stderr.trim().split('\n').at(-1)!
  }

  testWith(PROGRAMS, 'by a key of each type, the query form first; not by another key', async () => {
    const door = await startDoor()
    for (const [type, bits] of TYPES) {
      const key = await makeKey(type, bits)
      door.authorize(key.line)
      expect([type, await outcome(door, key)]).toEqual([type, 'in'])
    }
    expect(await outcome(door, await makeKey())).toMatch(/Permission denied \(publickey\)/)
  })

  testWith(PROGRAMS, 'by an RSA key that signs with SHA-1, and with SHA-2', async () => {
    const door = await startDoor()
    const key = await makeKey('rsa', 2_048)
    door.authorize(key.line)
    for (const algorithm of ['ssh-rsa', 'rsa-sha2-256'])
      expect(await outcome(door, key, [`PubkeyAcceptedAlgorithms=${algorithm}`])).toBe('in')
  })

  testWith(PROGRAMS, 'by a certificate for a key that nobody has registered', async () => {
    const door = await startDoor()
    const authority = await makeKey()
    for (const [type, bits] of TYPES) {
      const key = await makeKey(type, bits)
      await sign(authority, key, ['-n', door.user])
      door.authorities.length = 0
      expect([type, await outcome(door, key)]).not.toEqual([type, 'in'])
      door.authorities.push(blobOf(authority.line))
      expect([type, await outcome(door, key)]).toEqual([type, 'in'])
      expect(door.offered.at(-1)).toMatchObject({ certificateOf: door.user, blob: blobOf(key.line) })
    }
  })

  testWith(PROGRAMS, 'a key of two accounts is told which user to give', async () => {
    const words = 'this key is of two accounts; give the user name of one of them'
    const door = await startDoor({ access: { identify: async () => Promise.reject(new GatewayError('FORBIDDEN', words)) } })
    const ssh = startSsh(door, await makeKey(), ['-R', '80:127.0.0.1:1'])
    expect((await ssh.exit).code).toBe(1)
    expect(ssh.stdout).toContain(words)
    expect(door.asked).toEqual([])
  })
})
