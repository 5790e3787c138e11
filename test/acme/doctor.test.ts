/** What `doctor` says of certificates that the gateway orders. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { CertificateFolder } from '../../src/acme/certificate-folder.ts'
import { run } from '../cli/context.ts'
import { mintServer, writePair } from '../support/certificates.ts'
import { testWith } from '../support/needs.ts'
import { PEBBLE_PROGRAMS, startPebble } from '../support/pebble.ts'
import { freePort } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'

testWith(PEBBLE_PROGRAMS, 'doctor says whether the authority answers and takes such an account, and which orders have failed', async () => {
  const [pebble, binding, closed] = await Promise.all([
    startPebble(),
    startPebble({ bindings: { kid: 'c2VjcmV0c2VjcmV0c2VjcmV0' } }),
    freePort(),
  ])
  const path = join(tempDir(), 'acme')
  const linesFor = async (directory: string, caFile: string): Promise<readonly string[]> => {
    const ports = ['--app-port', '0', '--socket-port', '0', '--admin-port', 'none']
    const acme = ['--acme', 'a@example.com', '--acme-path', path, '--acme-directory', directory, '--acme-directory-ca', caFile]
    const { stdout } = await run(['doctor', '--target', 'a.example.com=http://127.0.0.1:9', ...ports, ...acme])
    return stdout.split('\n').filter(line => line.slice(6).startsWith('ACME') || line.slice(6).startsWith('app TLS'))
  }
  const { host } = new URL(pebble.directory)
  expect(await linesFor(pebble.directory, pebble.caFile)).toEqual([
    `ok    ACME          ${host} answers`,
    `ok    ACME          no certificate in ${path} yet; they are ordered when the outer layer runs`,
  ])
  const folder = new CertificateFolder(path)
  mkdirSync(folder.certificates, { recursive: true })
  const { certificatePem: cert, privateKeyPem: key } = await mintServer(['a.example.com'])
  await folder.write('a.example.com', { cert, key })
  const failed = { count: 2, atMs: 0, nextMs: Date.UTC(2030, 0, 1), reason: 'no such name' }
  writeFileSync(
    join(path, 'orders.json'),
    JSON.stringify({ failed: { 'a.example.com': failed, 'b.example.com': { ...failed, count: 1 } } }),
  )
  const [tls, authority, ofA, ofB] = await linesFor(binding.directory, binding.caFile)
  expect(tls).toMatch(/^ok {4}app TLS .*a\.example\.com\.crt: for a\.example\.com, until /)
  expect(authority).toMatch(/^FAIL {2}ACME .* takes accounts that it knows only; .*--acme-eab-kid/)
  expect(ofA).toMatch(
    /^warn {2}ACME .*a\.example\.com: 2 orders have failed: no such name; next attempt 2030-01-01T00:00:00.000Z; the last certificate is in force/,
  )
  expect(ofB).toMatch(/^FAIL {2}ACME .*b\.example\.com: an order has failed: no such name;/)
  const other = writePair(await mintServer(['localhost'])).certificate
  expect((await linesFor(pebble.directory, other))[1]).toMatch(
    /^FAIL {2}ACME .* \(it is not signed by the authority of --acme-directory-ca: /,
  )
  const lines = await linesFor(`https://127.0.0.1:${closed}/dir`, pebble.caFile)
  expect(lines.find(line => line.includes(`127.0.0.1:${closed}`))).toMatch(/^FAIL {2}ACME .*ECONNREFUSED/)
})
