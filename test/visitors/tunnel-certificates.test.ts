/** Tunnels for whoever has a certificate: asked for by a name of the gateway, shown by `forward`. */
import { createPrivateKey } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { runCli } from '../../src/cli/run-cli.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLaneLayers, type LaneLayers } from '../support/lanes.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { tempDir } from '../support/temp.ts'
import { mint, type Pair, type Wanted } from '../support/visitor-certificates.ts'
import { until } from '../support/wait.ts'

const folder = tempDir()
const authority = { ...mint({ commonName: 'Staff CA', isAuthority: true }), name: 'Staff CA' }
const stranger = { ...mint({ commonName: 'Other CA', isAuthority: true }), name: 'Other CA' }
const ADA = [{ type: 1, value: 'ada@example.com' }]

let made: LaneLayers
let db: string
let ca: string
let serverCa: string
let files = 0

beforeAll(async () => {
  ca = join(folder, 'staff.pem')
  writeFileSync(ca, authority.cert)
  writeFileSync(join(folder, 'other.pem'), stranger.cert)
  const server = await mintServer(['localhost'])
  serverCa = join(folder, 'server.pem')
  writeFileSync(serverCa, server.certificatePem)
  const origin = await startTcpOrigin(echo)
  db = `127.0.0.1:${origin.port}`
  const rule = (names: string, host: string): string => `{access: {certificates: {ca: '${ca}', names: [${names}], hosts: [${host}]}}}`
  made = await startLaneLayers(
    `targets: {plain.test: {protocol: http, hostname: 127.0.0.1, port: {port}}}\ntunnels:\n  '${db}': ${rule('ada@example.com', 'localhost')}\n  '127.0.0.1:1': ${rule("'*.staff.example.com'", 'other.test')}\n`,
    { outer: { appCertificates: await startStore([writePair(server)]) } },
  )
})

const stops: (() => Promise<number>)[] = []
afterAll(() => Promise.all(stops.map(stop => stop())))

/** Files of a certificate, with the key of mode 0600. */
function filesOf({ cert, key }: Pair, mode = 0o600): readonly string[] {
  const name = join(folder, String(++files))
  writeFileSync(`${name}.crt`, cert)
  writeFileSync(`${name}.key`, key)
  chmodSync(`${name}.key`, mode)
  return ['--client-certificate', `${name}.crt`, '--client-key', `${name}.key`]
}
const certified = (wanted: Wanted = {}): readonly string[] => filesOf(mint({ names: ADA, issuer: authority, ...wanted }))

/** Runs `forward` until `stop`. */
function forward(
  argv: readonly string[],
  tunnel = db,
): { readonly text: () => string; readonly ended: Promise<number>; readonly port: () => Promise<number> } {
  let text = ''
  let end: () => void = () => undefined
  const stopped = new Promise<undefined>(resolve => (end = () => resolve(undefined)))
  const write = (more: string): string => (text += more)
  const ended = runCli({
    argv: [
      'forward',
      '--log-format',
      'json',
      '--ca',
      serverCa,
      ...argv,
      '127.0.0.1:0',
      `wss://localhost:${made.layers.port}/tunnel/${tunnel}`,
    ],
    env: { XDG_CONFIG_HOME: folder },
    ...{ stdout: { write }, stderr: { write }, logDestination: { write }, untilStopped: () => stopped },
  })
  stops.push(() => (end(), ended))
  const listening = async (): Promise<number> => Number((await until(() => /"forwarding 127\.0\.0\.1:(\d+) to/.exec(text)))[1])
  const port = (): Promise<number> => Promise.race([listening(), ended.then(() => Promise.reject(new Error(text)))])
  return { text: () => text, ended, port }
}

async function talk(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  onCleanUp(() => socket.destroy())
  let got = ''
  socket.on('error', () => undefined).on('data', (data: Buffer) => (got += data.toString()))
  socket.write('hello')
  await until(() => got === 'hello' || socket.destroyed)
  socket.destroy()
  return got
}

describe('a program with a certificate', () => {
  test('opens the tunnel, and the log says whose it is', async () => {
    const open = forward(certified())
    expect(await talk(await open.port())).toBe('hello')
    const line = await until(() => made.layers.outerLogs.find(({ msg, visitor }) => msg === 'connection' && visitor === 'ada@example.com'))
    expect(line['lane']).toBe('certificate')
  })

  test('may have its key in PKCS #8 as well', async () => {
    const pair = mint({ names: ADA, issuer: authority })
    const key = createPrivateKey(pair.key).export({ type: 'pkcs8', format: 'pem' }) as string
    expect(await talk(await forward(filesOf({ ...pair, key })).port())).toBe('hello')
  })

  test.each<[string, () => readonly string[], string | undefined, number, RegExp]>([
    ['without one', () => [], undefined, 401, /no credentials/],
    [
      'with one of another authority',
      () => certified({ issuer: stranger }),
      undefined,
      401,
      /certificate: UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
    ],
    ['with one that has expired', () => certified({ toMs: -3_600_000 }), undefined, 401, /certificate: CERT_HAS_EXPIRED/],
    ['with one for servers', () => certified({ usage: { serverAuth: true } }), undefined, 401, /certificate: INVALID_PURPOSE/],
    [
      'with another name',
      () => certified({ names: [{ type: 1, value: 'eve@example.com' }] }),
      undefined,
      403,
      /no name of the certificate is one of those \(eve@example.com\)/,
    ],
    ['by a name of the gateway that asks for none of the tunnel', () => certified(), '127.0.0.1:1', 401, /no credentials/],
  ])('is refused %s', async (_, argv, tunnel, status, why) => {
    const { ended, text } = forward(argv(), tunnel)
    expect(await ended).toBe(1)
    expect(text()).toContain(`localhost:${made.layers.port} answered ${status} `)
    expect(made.layers.outerLogs.map(({ msg }) => msg).join('\n')).toMatch(why)
  })
})

describe('files that cannot be used are told with the option and what to do', () => {
  test.each<[string, () => readonly string[], RegExp]>([
    ['a certificate alone', () => certified().slice(0, 2), /--client-certificate and --client-key: expected both of them/],
    ['a key alone', () => certified().slice(2), /--client-certificate and --client-key: expected both of them/],
    ['with a token', () => [...certified(), '--token-file', 'x'], /--client-certificate and --login: expected one of them/],
    [
      'a key of another certificate',
      () => [...certified().slice(0, 2), ...filesOf(stranger).slice(2)],
      /the certificate is for another key/,
    ],
    ['a key that others may use', () => filesOf(mint({ issuer: authority }), 0o644), /mode 0644\); run: chmod 600/],
    ['a certificate in the place of the key', () => [...certified().slice(0, 2), '--client-key', ca], /this is a certificate/],
    [
      'no file',
      () => [...certified().slice(0, 2), '--client-key', join(folder, 'none')],
      /--client-key .*no such file.*leave the option out/,
    ],
    [
      'no certificate',
      () => ['--client-certificate', serverCa.replace('server', 'none'), ...certified().slice(2)],
      /--client-certificate .*no such file/,
    ],
    [
      'a key with a passphrase',
      () => [...certified().slice(0, 2), '--client-key', encrypted()],
      /is encrypted; decrypt it with "openssl pkey"/,
    ],
  ])('%s', async (_, argv, why) => {
    const { ended, text } = forward(argv())
    expect([1, 2]).toContain(await ended)
    expect(text()).toMatch(why)
    expect(text()).not.toContain('PRIVATE KEY-----')
  })

  const encrypted = (): string => {
    const file = join(folder, 'encrypted.key')
    const text = createPrivateKey(mint({}).key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    writeFileSync(file, text, { mode: 0o600 })
    return file
  }

  test('a URL without TLS', async () => {
    let text = ''
    const write = (more: string): string => (text += more)
    const argv = ['forward', ...certified(), '127.0.0.1:0', 'ws://127.0.0.1:9/tunnel/a.lan:1']
    const out = { stdout: { write }, stderr: { write }, logDestination: { write } }
    expect(await runCli({ argv, env: {}, ...out, untilStopped: async () => undefined })).toBe(2)
    expect(text).toContain('--client-certificate needs wss://')
  })
})

describe('the targets file', () => {
  const file = (): string => join(folder, 'targets.yaml')
  const faults = (text: string): string => {
    try {
      parseTargets(text, file())
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  const tunnel = (more: string, name = 'a.lan:1'): string => `  '${name}': {access: {certificates: {${more}}}}\n`

  test.each([
    ['names of the gateway are demanded', tunnel('ca: staff.pem'), /certificates.hosts: expected a list of names/],
    ['an address is none, since TLS has no names for it', tunnel("ca: staff.pem, hosts: ['127.0.0.1']"), /expected a name of the gateway/],
    ['a port is no part of one', tunnel("ca: staff.pem, hosts: ['a.test:1']"), /expected a name of the gateway/],
    ['a file that is not there', tunnel('ca: none.pem, hosts: [a.test]'), /certificates.ca: .*none.pem: cannot be read/],
    [
      'two tunnels with other authorities at one name',
      tunnel('ca: staff.pem, hosts: [a.test]') + tunnel('ca: other.pem, hosts: [b.test, a.test]', 'b.lan:1'),
      /tunnels."b.lan:1".access.certificates: expected the ca and crl of the tunnel a.lan:1: a.test asks for one kind/,
    ],
  ])('%s', (_, text, why) => {
    expect(faults(`targets: {}\ntunnels:\n${text}`)).toMatch(why)
  })

  test('a target with other authorities at the name', () => {
    const text = (own: string): string =>
      `targets:\n  a.test: {hostname: 127.0.0.1, protocol: http, port: 1, access: {certificates: {ca: ${own}}}}\ntunnels:\n${tunnel('ca: staff.pem, hosts: [a.test]')}`
    expect(faults(text('other.pem'))).toMatch(/expected the ca and crl of the target a.test/)
    expect(faults(text('staff.pem'))).toBe('')
  })
})
