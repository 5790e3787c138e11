import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { readConfigFile } from '../../src/cli/command/config-file.ts'
import { resolveOptions } from '../../src/cli/command/resolve.ts'
import { tlsOptions } from '../../src/cli/options/tls.ts'
import { mintServer, writePair, type PairFiles } from '../support/certificates.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { run } from './context.ts'

let files: PairFiles
let base: readonly string[]

beforeAll(async () => {
  files = writePair(await mintServer(['localhost']))
  const key = tempFile('key.crt', (await mintKeyPair({ type: 'ec', commonName: 'a', validityYears: 1 })).certificatePem)
  const targets = tempFile('targets.yaml', 'targets: { a.test: { hostname: a.internal } }\n')
  const ports = ['--app-port', '0', '--socket-port', '0', '--admin-port', 'none', '--app-host', '127.0.0.1', '--socket-host', '127.0.0.1']
  base = ['outer-layer', '--public-key', key, '--targets', targets, ...ports, '--log-format', 'json']
})

describe('options of TLS', () => {
  test('make both ports speak it, and the log says so', async () => {
    const pair = [files.certificate, files.key] as const
    const app = ['--tls-certificate', pair[0], '--tls-key', pair[1], '--app-http-port', '0', '--hsts']
    const { status, stdout, stderr } = await run([...base, ...app, '--socket-tls-certificate', pair[0], '--socket-tls-key', pair[1]])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/clients on port \d+ \(https\), redirects on port \d+, inner layers on port \d+ \(wss\)/)
    expect((await run(base)).stdout).toMatch(/clients on port \d+ \(http\), inner layers on port \d+ \(ws\)/)
  })

  test.each([
    [['--app-http-port', '80'], /--app-http-port redirects to HTTPS; give --tls-certificate/],
    [['--hsts', '600'], /--hsts is for HTTPS; give --tls-certificate/],
    [['--tls-key', 'a.key'], /--tls-key needs --tls-certificate/],
    [['--socket-tls-key', 'a.key'], /--socket-tls-key needs --socket-tls-certificate/],
    [['--socket-client-ca', 'ca.crt'], /--socket-client-ca needs --socket-tls-certificate/],
    [['--tls-certificate', 'a.crt', '--hsts', 'soon'], /--hsts "soon": expected seconds from 0/],
    [['--tls-certificate', '/nowhere.crt'], /--tls-key: 0 keys for 1 certificate file;/],
  ] as const)('%j alone are refused, with status 2', async (argv, text) => {
    expect(await run([...base, ...argv])).toMatchObject({ status: 2, stderr: expect.stringMatching(text) })
  })

  test('with files that cannot be used keep the process from starting, with status 1 and the file', async () => {
    const folder = tempDir()
    const other = writePair(await mintServer(['b.test']), 'b', folder)
    expect(await run([...base, '--tls-certificate', files.certificate, '--tls-key', other.key])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/server\.crt and .*b\.key do not belong together/),
    })
    rmSync(other.key)
    expect(await run([...base, '--socket-tls-certificate', folder])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/b\.key is missing/),
    })
    writeFileSync(join(folder, 'ca.pem'), 'nothing')
    const socket = ['--socket-tls-certificate', files.certificate, '--socket-tls-key', files.key]
    expect(await run([...base, ...socket, '--socket-client-ca', join(folder, 'ca.pem')])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/ca\.pem: no certificate found/),
    })
  })

  test('--hsts takes a number or none, wherever it is given', async () => {
    const read = async (flags: Record<string, string>, env: Record<string, string>, file = ''): Promise<number | undefined> =>
      resolveOptions(tlsOptions, { flags, env, config: await readConfigFile(tempFile('gateway.yaml', file), tlsOptions) }).hsts
    expect(await read({}, {})).toBeUndefined()
    expect(await read({ hsts: '' }, {})).toBe(31_536_000)
    expect(await read({ hsts: '600' }, {})).toBe(600)
    expect(await read({}, { SG_HSTS: 'true' })).toBe(31_536_000)
    expect(await read({}, { SG_HSTS: '0' })).toBe(0)
    expect(await read({}, {}, 'hsts: true')).toBe(31_536_000)
    expect(await read({}, {}, 'hsts: 5')).toBe(5)
    await expect(read({}, {}, 'hsts: false')).rejects.toThrow(/hsts: expected a text or a number/)
  })
})
