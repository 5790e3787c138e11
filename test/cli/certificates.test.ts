import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { readPrivateKey } from '../../src/identity/private-key.ts'
import { runProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { run, type Outcome } from './context.ts'

const places = (): { directory: string; key: string; crt: string } => {
  const directory = tempDir()
  return { directory, key: join(directory, 'a.key'), crt: join(directory, 'a.crt') }
}
const mint = (key: string, crt: string, ...more: string[]): Promise<Outcome> =>
  run(['certificates', '--type', 'ec', '--private-key', key, '--certificate', crt, ...more])

describe('certificates', () => {
  test('writes a key that only its owner can read and the certificate that belongs to it, and says what is next', async () => {
    const { key, crt } = places()
    const { status, stdout, stderr } = await mint(key, crt, '--common-name', 'lan-a', '--validity', '2')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(statSync(key).mode & 0o777).toBe(0o600)
    const certificate = new X509Certificate(readFileSync(crt))
    expect(certificate.checkPrivateKey(createPrivateKey(readFileSync(key)))).toBe(true)
    expect(certificate.subject).toBe('CN=lan-a')
    expect(stdout).toContain(`wrote ${key}`)
    expect(stdout).toContain(`wrote ${crt}`)
    expect(stdout).toContain((await readPrivateKey(key)).kid)
    expect(stdout).toMatch(
      /\nnext: write targets\.yaml, .*\nthen: socket-gateway outer-layer --public-key .*a\.crt --targets targets\.yaml\n/,
    )
    // A key that is bound to its name is refused under the host name.
    expect(stdout).toMatch(/\nthen: socket-gateway inner-layer .* --identifier lan-a\n$/)
  })

  test('is not confused by SG_CA, which is a file for the commands of a service', async () => {
    const { key, crt } = places()
    const argv = ['certificates', '--type', 'ec', '--private-key', key, '--certificate', crt]
    expect((await run(argv, { SG_CA: 'ca.crt' })).status).toBe(0)
    expect(new X509Certificate(readFileSync(crt)).ca).toBe(false)
    expect((await run([...argv, '--force'], { SG_MINT_CA: 'true' })).status).toBe(0)
    expect(new X509Certificate(readFileSync(crt)).ca).toBe(true)
  })

  test('shows a targets file that is valid, and an identifier as one word of a shell or not at all', async () => {
    const { key, crt, directory } = places()
    const { stdout } = await mint(key, crt)
    expect(stdout).not.toContain('--identifier')
    const file = join(directory, 'targets.yaml')
    writeFileSync(file, /echo '(.*)' > targets\.yaml/.exec(stdout)![1]!)
    expect(await run(['targets', 'check', file])).toMatchObject({ status: 0 })
    expect((await mint(key, crt, '--force', '--common-name', "lan a's")).stdout).toContain(String.raw`--identifier 'lan a'\''s'`)
  })

  test('mints RSA 4096 for a hundred years under the usual names by default, also under umask 000', async () => {
    const cwd = tempDir()
    const program = 'umask 000; exec "$0" "$1" certificates'
    const main = join(import.meta.dirname, '../../dist/main.cjs')
    const { code } = await runProcess(['-c', program, process.execPath, main], { program: '/bin/sh', cwd })
    expect(code).toBe(0)
    expect(statSync(join(cwd, 'innerLayer.key')).mode & 0o777).toBe(0o600)
    expect(statSync(join(cwd, 'innerLayer.crt')).mode & 0o777).toBe(0o644)
    const certificate = new X509Certificate(readFileSync(join(cwd, 'innerLayer.crt')))
    expect(certificate.publicKey.asymmetricKeyDetails?.modulusLength).toBe(4096)
    expect(certificate.subject).toBe('CN=inner-layer')
    expect(new Date(certificate.validTo).getUTCFullYear()).toBe(new Date().getUTCFullYear() + 100)
  })

  test('knows --public-key as another name of --certificate', async () => {
    const { key, crt } = places()
    expect(await run(['certificates', '--type', 'ec', '--private-key', key, '--public-key', crt])).toMatchObject({ status: 0 })
    expect(existsSync(crt)).toBe(true)
  })

  test.each(['key', 'crt'] as const)('overwrites nothing: an existing %s is named with the other file, and stays', async which => {
    const { key, crt, directory } = places()
    const existing = { key, crt }[which]
    writeFileSync(existing, 'precious')
    const { status, stderr } = await mint(key, crt)
    expect(status).toBe(1)
    expect(stderr).toBe(
      `socket-gateway: ${existing} exists, so neither ${key} nor ${crt} was written; choose other paths, or pass --force\n`,
    )
    expect(readFileSync(existing, 'utf8')).toBe('precious')
    expect(readdirSync(directory)).toHaveLength(1)
  })

  test('does not write through a dangling link', async () => {
    const { key, crt, directory } = places()
    symlinkSync(join(directory, 'elsewhere'), key)
    expect((await mint(key, crt)).status).toBe(1)
    expect(existsSync(join(directory, 'elsewhere'))).toBe(false)
  })

  test('leaves no key behind when the certificate cannot be written', async () => {
    const { key, directory } = places()
    const { status, stderr } = await mint(key, join(directory, 'missing', 'a.crt'))
    expect(status).toBe(1)
    expect(stderr).toMatch(/missing\/a\.crt: .*ENOENT.*neither .* was written/)
    expect(readdirSync(directory)).toEqual([])
  })

  test('with --force replaces both files, with the mode of a new key', async () => {
    const { key, crt, directory } = places()
    writeFileSync(key, 'old')
    chmodSync(key, 0o666)
    writeFileSync(crt, 'old')
    expect(await mint(key, crt, '--force')).toMatchObject({ status: 0 })
    expect(statSync(key).mode & 0o777).toBe(0o600)
    await expect(readPrivateKey(key)).resolves.toBeDefined()
    expect(readdirSync(directory).sort()).toEqual(['a.crt', 'a.key'])
  })

  test('with --force keeps the old key when the new certificate has no place', async () => {
    const { key, directory } = places()
    writeFileSync(key, 'old')
    expect(await mint(key, join(directory, 'missing', 'a.crt'), '--force')).toMatchObject({ status: 1 })
    expect(readFileSync(key, 'utf8')).toBe('old')
    expect(readdirSync(directory)).toEqual(['a.key'])
  })

  test('refuses a common name that no certificate can have', async () => {
    const { key, crt, directory } = places()
    expect(await mint(key, crt, '--common-name', 'x'.repeat(65))).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/expected 1 to 64/),
    })
    mkdirSync(join(directory, 'still-empty'))
    expect(readdirSync(directory)).toEqual(['still-empty'])
  })
})

describe('certificates of servers and authorities', () => {
  const at = (directory: string, ...argv: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    runProcess(['certificates', ...argv], { cwd: directory })

  test('have files and names of their own, and a key that only its owner can read', async () => {
    const directory = tempDir()
    expect(await at(directory, '--ca')).toMatchObject({ code: 0 })
    const { code, stdout } = await at(directory, '--server', 'localhost,127.0.0.1', '--server', '::1', '--signed-by', 'ca.crt')
    expect(code).toBe(0)
    expect(readdirSync(directory).sort()).toEqual(['ca.crt', 'ca.key', 'server.crt', 'server.key'])
    for (const name of ['ca.key', 'server.key']) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
    const [ca, server] = ['ca.crt', 'server.crt'].map(name => new X509Certificate(readFileSync(join(directory, name))))
    expect([ca!.ca, ca!.subject, server!.ca, server!.subject]).toEqual([true, 'CN=socket-gateway CA', false, 'CN=localhost'])
    expect(server!.checkIssued(ca!)).toBe(true)
    expect(server!.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1')
    expect(server!.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    expect(stdout).toContain('wrote server.crt: certificate of localhost, 127.0.0.1, ::1, signed by ca.crt, valid until ')
    expect(stdout).toContain('--tls-certificate server.crt --tls-key server.key')
    expect(stdout).toContain('curl --cacert ca.crt https://localhost:3000')
  })

  test('certify an inner layer, and a server by itself', async () => {
    const directory = tempDir()
    expect(await at(directory, '--ca', '--type', 'rsa')).toMatchObject({ code: 0 })
    expect(await at(directory, '--common-name', 'lan-a', '--type', 'ec', '--signed-by', 'ca.crt,ca.key')).toMatchObject({ code: 0 })
    const [ca, inner] = ['ca.crt', 'innerLayer.crt'].map(name => new X509Certificate(readFileSync(join(directory, name))))
    expect(inner!.verify(ca!.publicKey)).toBe(true)
    expect(inner!.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(await at(directory, '--self-signed', '*.Bücher.example.')).toMatchObject({ code: 0 })
    const server = new X509Certificate(readFileSync(join(directory, 'server.crt')))
    expect(server.subjectAltName).toBe('DNS:*.xn--bcher-kva.example')
    expect(server.issuer).toBe(server.subject)
  })

  test('are refused with what was wrong, and nothing is written', async () => {
    const directory = tempDir()
    const [key, crt] = [join(directory, 'a.key'), join(directory, 'a.crt')]
    for (const [argv, status, text] of [
      [['--server', '*'], 2, /--server "\*": expected a host name/],
      [['--server', 'a:80'], 2, /--server "a:80": expected a host name/],
      [['--ca', '--server', 'a'], 2, /--ca and --server: expected one of them/],
      [['--signed-by', 'a,b,c'], 2, /expected CA\.crt or CA\.crt,CA\.key/],
      [['--signed-by', join(directory, 'nowhere.crt')], 1, /nowhere\.key: .*ENOENT/],
    ] as const) {
      const outcome = await mint(key, crt, ...argv)
      expect({ argv, status: outcome.status, stderr: outcome.stderr }).toEqual({ argv, status, stderr: expect.stringMatching(text) })
    }
    expect(readdirSync(directory)).toEqual([])
  })
})
