import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { authorityBlob, signCertificate } from '../../src/service/ssh-keys/certificate.ts'
import { lineOf, parsePublicKey } from '../../src/service/ssh-keys/public-key.ts'
import { anyText } from '../support/any-text.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { programPath, testWith } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { startTool } from '../support/sshd.ts'
import { tempDir, tempFile } from '../support/temp.ts'

const ED25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBDUeWO4NATJH5avKl1GnEcZ2OvLAMCBeSJj9cUqO2HT ada@laptop'

const keygen = (type: string, bits: number, comment = 'c'): string => {
  const file = join(tempDir(), 'key')
  execFileSync('ssh-keygen', ['-q', '-t', type, '-b', String(bits), '-N', '', '-C', comment, '-f', file])
  return file
}

describe('a line of authorized_keys', () => {
  testWith(['ssh-keygen'], 'is read for each kind of key, with the fingerprint that ssh-keygen prints', async () => {
    for (const [type, bits, algorithm] of [
      ['ed25519', 256, 'ssh-ed25519'],
      ['ecdsa', 256, 'ecdsa-sha2-nistp256'],
      ['ecdsa', 384, 'ecdsa-sha2-nistp384'],
      ['ecdsa', 521, 'ecdsa-sha2-nistp521'],
      ['rsa', 2_048, 'ssh-rsa'],
    ] as const) {
      const file = keygen(type, bits, 'two words')
      const line = readFileSync(`${file}.pub`, 'utf8')
      const key = parsePublicKey(line)
      expect(key.algorithm).toBe(algorithm)
      expect(key.comment).toBe('two words')
      expect(execFileSync('ssh-keygen', ['-l', '-f', `${file}.pub`], { encoding: 'utf8' })).toContain(` ${key.fingerprint} `)
      expect(lineOf(key)).toBe(line.trim())
      expect(lineOf(parsePublicKey(lineOf({ ...key, comment: '' })))).toBe(line.trim().split(' ').slice(0, 2).join(' '))
    }
  })

  testWith(['ssh-keygen'], 'of a short RSA key, a certificate or a private key is refused with words that help', async () => {
    expect(() => parsePublicKey(readFileSync(`${keygen('rsa', 1_024)}.pub`, 'utf8'))).toThrow(/1024 bits is refused/)
    const file = keygen('ed25519', 256)
    execFileSync('ssh-keygen', ['-q', '-s', file, '-I', 'x', '-n', 'y', `${file}.pub`])
    expect(() => parsePublicKey(readFileSync(`${file}-cert.pub`, 'utf8'))).toThrow(/this is a certificate/)
    expect(() => parsePublicKey(readFileSync(file, 'utf8'))).toThrow(/private key, which nobody else may ever see/)
  })

  test.each([
    ['options before it', `command="/bin/sh" ${ED25519}`],
    ['from= before it', `from="192.0.2.1" ${ED25519}`],
    ['two lines', `${ED25519}\n${ED25519}`],
    ['a line that is split', ED25519.replace(' AAAA', ' \nAAAA')],
    ['a control character', `${ED25519}\u001b[31m`],
    ['no key', 'ssh-ed25519'],
    ['a cut key', ED25519.slice(0, 60)],
    ['another algorithm within', ED25519.replace('ssh-ed25519', 'ssh-rsa')],
    ['no base64', 'ssh-ed25519 !!!!'],
    [
      'more after the key',
      `ssh-ed25519 ${Buffer.concat([Buffer.from(ED25519.split(' ')[1]!, 'base64'), Buffer.of(0)]).toString('base64')}`,
    ],
    ['DSA', 'ssh-dss AAAAB3NzaC1kc3M= x'],
    ['a key of a security token that is damaged', 'sk-ssh-ed25519@openssh.com AAAA x'],
    ['nothing', ''],
    ['a comment without end', `${ED25519} ${'x'.repeat(201)}`],
    ['far too much', 'x'.repeat(100_000)],
    ['a member of Object', 'constructor AAAA'],
  ])('with %s is refused', (_, line) => {
    expect(() => parsePublicKey(line, 'sshkey')).toThrow(
      expect.objectContaining({ code: 'INVALID', details: [{ path: 'sshkey', message: expect.any(String) }] }),
    )
  })

  test('with a point that is not on the curve is refused', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = publicKey.export({ format: 'jwk' })
    const field = (bytes: Buffer): Buffer => Buffer.concat([Buffer.of(0, 0, 0, bytes.length), bytes])
    const line = (y: Buffer): string => {
      const point = Buffer.concat([Buffer.of(4), Buffer.from(jwk.x!, 'base64url'), y])
      const blob = Buffer.concat([field(Buffer.from('ecdsa-sha2-nistp256')), field(Buffer.from('nistp256')), field(point)])
      return `ecdsa-sha2-nistp256 ${blob.toString('base64')}`
    }
    const y = Buffer.from(jwk.y!, 'base64url')
    expect(parsePublicKey(line(y)).algorithm).toBe('ecdsa-sha2-nistp256')
    y[31]! ^= 1
    expect(() => parsePublicKey(line(y))).toThrow(/damaged/)
  })

  test('whatever it is, gives a key or INVALID', () => {
    const damaged = fc
      .tuple(fc.nat({ max: 110 }), fc.string({ maxLength: 2 }))
      .map(([at, text]) => ED25519.slice(0, at) + text + ED25519.slice(at + 1))
    fc.assert(
      fc.property(fc.oneof(damaged, anyText(), fc.anything()), line => {
        try {
          expect(lineOf(parsePublicKey(line))).toEqual(expect.any(String))
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'INVALID' })
        }
      }),
    )
  })
})

const AUTHORITIES = {
  ed25519: () => generateKeyPairSync('ed25519').privateKey,
  'ECDSA P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
}

describe.each(Object.keys(AUTHORITIES) as (keyof typeof AUTHORITIES)[])('a certificate of an authority with %s', kind => {
  testWith(['ssh-keygen'], 'says to ssh-keygen for whom and for how long it is', async () => {
    const authority = AUTHORITIES[kind]()
    const validFrom = Date.parse('2026-11-28T02:00:00Z')
    for (const [type, bits] of [
      ['ed25519', 256],
      ['ecdsa', 256],
      ['rsa', 2_048],
    ] as const) {
      const key = parsePublicKey(readFileSync(`${keygen(type, bits)}.pub`, 'utf8'))
      const request = {
        key,
        principals: ['addce6c8'],
        keyId: 'tunnel 7',
        validFrom,
        validUntil: validFrom + 300_000,
        serial: 2n ** 63n,
      } as const
      const file = tempFile('key-cert.pub', `${signCertificate(authority, request)}\n`)
      const text = execFileSync('ssh-keygen', ['-L', '-f', file], { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } })
      expect(text).toMatch(/user certificate/)
      expect(text).toContain(key.fingerprint)
      expect(text).toContain(
        parsePublicKey(`${kind === 'ed25519' ? 'ssh-ed25519' : 'ecdsa-sha2-nistp256'} ${authorityBlob(authority).toString('base64')}`)
          .fingerprint,
      )
      expect(text).toContain('Key ID: "tunnel 7"')
      expect(text).toContain(`Serial: ${2n ** 63n}`)
      expect(text).toContain('Valid: from 2026-11-28T02:00:00 to 2026-11-28T02:05:00')
      expect(text).toMatch(
        /Principals: \n\s+addce6c8\n\s+Critical Options: \(none\)\n\s+Extensions: \n\s+permit-port-forwarding\n\s+permit-pty\n/,
      )
    }
  })

  testWith(['sshd', 'ssh', 'ssh-keygen'], 'lets its holder into a real sshd, and nobody else', async () => {
    const authority = AUTHORITIES[kind]()
    const directory = tempDir()
    const hostKey = keygen('ed25519', 256)
    const config = join(directory, 'sshd_config')
    const port = await freePort()
    const type = kind === 'ed25519' ? 'ssh-ed25519' : 'ecdsa-sha2-nistp256'
    writeFileSync(join(directory, 'authorities'), `${type} ${authorityBlob(authority).toString('base64')}\n`)
    writeFileSync(
      config,
      [
        `Port ${port}`,
        'ListenAddress 127.0.0.1',
        `HostKey ${hostKey}`,
        `TrustedUserCAKeys ${join(directory, 'authorities')}`,
        'AuthorizedKeysFile none',
        'PidFile none',
        'UsePAM no',
        'StrictModes no',
        'PermitRootLogin yes',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'MaxStartups 100',
        '',
      ].join('\n'),
    )
    const { username, uid } = userInfo()
    // A server of root keeps its unprivileged part in there; the package makes it when its own server starts.
    if (uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    const server = startProcess(['-D', '-e', '-f', config], { program: programPath('sshd')! })
    await server.waitForLine(/Server listening on 127\.0\.0\.1/)
    onCleanUp(() => server.stop())
    const attempt = async (principal: string, validUntil: number): Promise<number | null> => {
      const file = keygen('ecdsa', 256)
      chmodSync(file, 0o600)
      const key = parsePublicKey(readFileSync(`${file}.pub`, 'utf8'))
      const line = signCertificate(authority, { key, principals: [principal], keyId: 'x', validFrom: 0, validUntil, serial: 1n })
      writeFileSync(`${file}-cert.pub`, `${line}\n`)
      const options = [
        'IdentitiesOnly=yes',
        'BatchMode=yes',
        'StrictHostKeyChecking=no',
        `UserKnownHostsFile=${join(directory, 'known')}`,
        'LogLevel=ERROR',
      ]
      const args = [
        '-F',
        '/dev/null',
        '-i',
        file,
        ...options.flatMap(option => ['-o', option]),
        '-p',
        String(port),
        `${username}@127.0.0.1`,
        'true',
      ]
      const { code } = await startTool('ssh', args).exit
      return code
    }
    const later = Date.now() + 300_000
    expect(await attempt(username, later)).toBe(0)
    expect(await attempt('somebody-else', later)).toBe(255)
    expect(await attempt(username, Date.now() - 60_000)).toBe(255)
  })
})
