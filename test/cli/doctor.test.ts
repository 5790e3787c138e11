/** What a puzzled user is told: one line for each check, with the remedy. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { mintServer, writePair } from '../support/certificates.ts'
import { startConnectProxy } from '../support/connect-proxy.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, testKeyPair } from '../support/layers.ts'
import { freePort, listen } from '../support/ports.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { startTlsProxy } from '../support/tls-proxy.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { run } from './context.ts'

let key: string
let crt: string
beforeAll(async () => {
  const pair = await testKeyPair()
  key = tempFile('innerLayer.key', pair.privateKeyPem)
  crt = tempFile('innerLayer.crt', pair.certificatePem)
  chmodSync(key, 0o600)
})

/** `result check` → the rest of the line. */
const doctor = async (...argv: string[]): Promise<{ status: number; lines: string[]; stderr: string }> => {
  const { status, stdout, stderr } = await run(['doctor', ...argv])
  return { status, lines: stdout.split('\n').slice(0, -1), stderr }
}
const lineOf = (lines: readonly string[], check: string): string =>
  lines.find(line => line.slice(6).startsWith(check)) ?? `no line of ${check} in:\n${lines.join('\n')}`

describe('socket-gateway doctor, for an inner layer', () => {
  test('finds nothing wrong where nothing is: key, name, port, outer layer, clock, proof, origin', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ inners: 0 })
    const url = `ws://localhost:${layers.socketPort}`
    const { status, lines } = await doctor(
      ...['--private-key', key, '--outer-layer', url, '--identifier', 'lan-a'],
      ...['--allow', `127.0.0.1:${origin.port}`, '--origin', `127.0.0.1:${origin.port}`],
    )
    expect(lines.map(line => line.slice(0, 18).trimEnd())).toEqual([
      'ok    private key',
      'ok    DNS',
      'ok    TCP',
      'ok    clock',
      'ok    outer layer',
      'ok    proof',
      'ok    allow-list',
      'ok    origin',
    ])
    expect(lineOf(lines, 'private key')).toMatch(/innerLayer\.key: ES256, thumbprint [\w-]{43}, readable by its owner alone$/)
    expect(lineOf(lines, 'proof')).toMatch(/accepted as "lan-a"$/)
    expect(status).toBe(0)
    const left = await until(() => layers.outerLogs.find(({ msg }) => msg.startsWith('inner layer "lan-a" disconnected')))
    expect(left).toMatchObject({ reason: 'a check by socket-gateway doctor' })
  })

  test('disturbs no request: what it is asked for goes to an inner layer', async () => {
    const origin = await startRawOrigin()
    const { port, socketPort } = await startLayers({ origin: origin.port })
    let isOver = false
    const statuses: number[] = []
    const load = (async () => {
      while (!isOver) statuses.push((await exchange(port, { method: 'POST', body: 'x' })).status)
    })()
    for (let i = 0; i < 10; i++) await doctor('--private-key', key, '--outer-layer', `ws://localhost:${socketPort}`)
    isOver = true
    await load
    expect(statuses.filter(status => status !== 200)).toEqual([])
    expect(statuses.length).toBeGreaterThan(10)
  })

  test('names a proof that is refused, and the key that is missing', async () => {
    const layers = await startLayers({ inners: 0 })
    await run(['certificates', '--type', 'ec', '--private-key', `${key}.other`, '--certificate', `${key}.other.crt`])
    const { status, lines } = await doctor(
      '--private-key',
      `${key}.other`,
      '--outer-layer',
      `ws://localhost:${layers.socketPort}`,
      '--identifier',
      'vm',
    )
    expect(status).toBe(1)
    expect(lineOf(lines, 'proof')).toMatch(
      /^FAIL {2}proof {9}refused as "vm" \(AUTH\); give the certificate of key [\w-]{43} to the outer layer \(--public-key\)/,
    )
  })

  test('tells a wrong port, a dead one and a name that is none apart', async () => {
    const { port } = await startLayers({ inners: 0 })
    const wrong = await doctor('--private-key', key, '--outer-layer', `ws://localhost:${port}`)
    expect(lineOf(wrong.lines, 'outer layer')).toMatch(/^FAIL .*is this the socket port \(3001 by default\)/)
    const dead = await freePort()
    expect(lineOf((await doctor('--outer-layer', `ws://127.0.0.1:${dead}`)).lines, 'TCP')).toBe(
      `FAIL  TCP           127.0.0.1:${dead}: ECONNREFUSED; nothing listens at 127.0.0.1:${dead}: is it running, and is the port right?`,
    )
    const unknown = await doctor('--outer-layer', 'wss://no-such-name.invalid')
    expect(lineOf(unknown.lines, 'DNS')).toMatch(
      /^FAIL {2}DNS {11}no-such-name\.invalid: E\w+; check the spelling of no-such-name\.invalid/,
    )
  })

  test('judges the certificate of the outer layer, and knows the authority that would do', async () => {
    const { socketPort } = await startLayers({ inners: 0 })
    const proxy = await startTlsProxy(socketPort)
    const url = `wss://localhost:${proxy.port}`
    const unknown = await doctor('--private-key', key, '--outer-layer', url)
    expect(unknown.status).toBe(1)
    expect(lineOf(unknown.lines, 'TLS')).toMatch(
      /^FAIL {2}TLS .*; no authority that Node\.js knows has signed it: name the right one with --outer-layer-ca$/,
    )
    expect(unknown.lines.some(line => line.includes('proof'))).toBe(false)
    const known = await doctor('--private-key', key, '--outer-layer', url, '--outer-layer-ca', proxy.caFile)
    expect(lineOf(known.lines, 'TLS')).toMatch(/TLSv1\.3, certificate valid until \d{4}-/)
    expect(lineOf(known.lines, 'proof')).toMatch(/^ok /)
    const name = await doctor('--outer-layer', `wss://127.0.0.1:${proxy.port}`, '--outer-layer-ca', proxy.caFile)
    expect(lineOf(name.lines, 'TLS')).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID; the certificate is for .*, not for 127\.0\.0\.1: dial a name/)
    const plain = await doctor('--outer-layer', `wss://localhost:${socketPort}`)
    expect(lineOf(plain.lines, 'TLS')).toMatch(/^FAIL .*; does this port speak TLS\?/)
  })

  test('goes through the proxy that the inner layer would go through, and never shows its password', async () => {
    const { socketPort } = await startLayers({ inners: 0 })
    const proxy = await startConnectProxy('me:secret', ['gateway.internal'])
    const args = ['--private-key', key, '--outer-layer', `ws://gateway.internal:${socketPort}`, '--insecure', '--proxy']
    const good = await doctor(...args, `me:secret@127.0.0.1:${proxy.port}`)
    expect(lineOf(good.lines, 'proxy')).toBe(
      `ok    proxy         127.0.0.1:${proxy.port} on the way to ws://gateway.internal:${socketPort}`,
    )
    expect(lineOf(good.lines, 'proof')).toMatch(/^ok /)
    const bad = await doctor(...args, `http://me:wrong@127.0.0.1:${proxy.port}`)
    expect(lineOf(bad.lines, 'outer layer')).toMatch(/^FAIL .* with 407: it wants a name and a password that are right/)
    const no = await doctor(...args, 'socks5://me:wrong@127.0.0.1')
    expect(no.stderr).toContain('the URL of an HTTP proxy')
    expect(good.lines.join() + bad.lines.join() + bad.stderr + no.stderr).not.toMatch(/secret|wrong/)
  })

  test('holds origins against the allow-list and tries to reach them', async () => {
    const dead = await freePort()
    const { status, lines } = await doctor(
      '--private-key',
      key,
      '--allow',
      `127.0.0.1:${dead}`,
      '--origin',
      `127.0.0.1:${dead}`,
      '--origin',
      'db.internal:5432',
    )
    expect(status).toBe(1)
    expect(lines.filter(line => line.includes('origin'))).toEqual([
      expect.stringMatching(/^FAIL {2}origin .*ECONNREFUSED; nothing listens at/),
      'FAIL  origin        db.internal:5432: not allowed; add --allow db.internal:5432',
    ])
    expect(lineOf((await doctor('--private-key', key)).lines, 'allow-list')).toMatch(
      /^warn .*; name the allowed ones with --allow HOST:PORT$/,
    )
  })

  test('says why a key cannot be used, and what would leave the machine in the open', async () => {
    const open = tempFile('open.key', (await testKeyPair()).privateKeyPem)
    chmodSync(open, 0o644)
    expect(lineOf((await doctor('--private-key', open)).lines, 'private key')).toMatch(/^FAIL .*run: chmod 600/)
    expect(lineOf((await doctor('--outer-layer', 'ws://no-such-name.invalid')).lines, 'encryption')).toMatch(/^FAIL .*use wss:\/\//)
  })
})

describe('socket-gateway doctor, for an outer layer', () => {
  test('finds nothing wrong where nothing is', async () => {
    const keys = join(tempDir(), 'keys')
    mkdirSync(keys)
    writeFileSync(join(keys, 'lan-a.crt'), (await testKeyPair()).certificatePem)
    const targets = tempFile('targets.yaml', 'targets: {a.test: {hostname: a.internal, policy: {/x: [GET]}}}\n')
    const config = tempFile(
      'outer.yaml',
      `public-key: [${keys}]\ntargets: ${targets}\nlink-name: [link.test]\nadmin-port: none\napp-port: ${await freePort()}\nsocket-port: ${await freePort()}\n`,
    )
    const { status, lines } = await doctor('--config', config)
    expect(lines).toEqual([
      expect.stringMatching(/^ok {4}public keys {3}key [\w-]{43} for inner-layer$/),
      expect.stringMatching(/^ok {4}targets .*targets\.yaml: 1 target$/),
      expect.stringMatching(/^ok {4}app-port {6}\*:\d+ is free$/),
      expect.stringMatching(/^ok {4}socket-port {3}\*:\d+ is free$/),
    ])
    expect(status).toBe(0)
  })

  test('finds faults of the targets, keys that may claim everything, ports that are taken', async () => {
    const targets = tempFile('targets.yaml', 'targets: 7\n')
    const taken = await listen(createServer())
    const argv = [
      '--public-key',
      crt,
      '--targets',
      targets,
      '--socket-port',
      '0',
      '--admin-port',
      '0',
      '--app-host',
      '127.0.0.1',
      '--app-port',
      String(taken),
    ]
    const { status, lines } = await doctor(...argv)
    expect(status).toBe(1)
    expect(lineOf(lines, 'public keys')).toMatch(/^warn .*may claim any identifier; bind it: --public-key IDENTIFIER=FILE$/)
    expect(lineOf(lines, 'targets')).toMatch(
      /^FAIL .*targets\.yaml:1:\d+: targets: expected a map.*; see all of it with: socket-gateway targets check/,
    )
    expect(lineOf(lines, 'app-port')).toBe(
      `FAIL  app-port      127.0.0.1:${taken} is taken by another program; stop that, or choose another port with --app-port`,
    )
  })

  test('judges the certificates of its ports', async () => {
    const files = writePair(await mintServer(['gw.test', '*.gw.test']))
    const argv = ['--public-key', crt, '--app-port', '0', '--socket-port', '0', '--admin-port', 'none']
    const good = await doctor(...argv, '--tls-certificate', files.certificate, '--tls-key', files.key)
    expect(lineOf(good.lines, 'app TLS')).toMatch(/^ok .*: for gw\.test, \*\.gw\.test, until \d{4}-/)
    const bad = await doctor(...argv, '--socket-tls-certificate', crt, '--socket-tls-key', files.key)
    expect(bad.status).toBe(1)
    expect(lineOf(bad.lines, 'socket TLS')).toMatch(/^FAIL /)
    const alone = await doctor(...argv, '--tls-key', files.key)
    expect(lineOf(alone.lines, 'TLS')).toMatch(/^FAIL .*--tls-key needs --tls-certificate/)
  })

  test('judges the ports of the targets file, the one that redirects, and ports that are given twice', async () => {
    const taken = await listen(createServer())
    const [app, tls] = [await freePort(), await freePort()]
    const port = (number: number, more = ''): string => `${number}: {host: 127.0.0.1, hostname: db.lan, port: 1${more}}`
    const targets = tempFile('targets.yaml', `targets: {}\ntcp: {${port(taken)}, ${port(app)}, ${port(tls, ', tls: true')}}\n`)
    const argv = ['--public-key', crt, '--targets', targets, '--app-port', String(app), '--socket-port', '0', '--admin-port', 'none']
    const { status, lines } = await doctor(...argv, '--app-http-port', String(app))
    expect(status).toBe(1)
    expect(lines).toEqual(
      expect.arrayContaining([
        `FAIL  tcp port      127.0.0.1:${taken} is taken by another program; stop that, or choose another port in the targets file`,
        `FAIL  tcp port      127.0.0.1:${app} is --app-port as well; choose another port in the targets file`,
        `FAIL  tcp port      ${tls} has tls: true, and there is no certificate; give --tls-certificate and --tls-key`,
        `ok    tcp port      127.0.0.1:${tls} is free`,
        `FAIL  app-http-port  *:${app} is --app-port as well; choose another port with --app-http-port`,
      ]),
    )
  })

  test('looks whether the log file can be written, and writes nothing', async () => {
    const directory = tempDir()
    const argv = ['--public-key', crt, '--app-port', '0', '--socket-port', '0', '--admin-port', 'none', '--log-file']
    const good = await doctor(...argv, join(directory, 'gateway.log'))
    expect(lineOf(good.lines, 'log file')).toMatch(/^ok .*gateway\.log can be written$/)
    expect(readdirSync(directory)).toEqual([])
    expect(lineOf((await doctor(...argv, join(directory, 'none', 'gateway.log'))).lines, 'log file')).toMatch(
      /^FAIL .*ENOENT; make the dir/,
    )
    expect(lineOf((await doctor(...argv, directory)).lines, 'log file')).toMatch(/^FAIL .* is a directory; name a file/)
  })

  test('takes an outer layer that runs already for what it is', async () => {
    const { port, socketPort } = await startLayers({ inners: 0 })
    const argv = [
      '--public-key',
      crt,
      '--admin-port',
      'none',
      '--socket-host',
      '127.0.0.1',
      '--socket-port',
      String(socketPort),
      '--app-host',
      '127.0.0.1',
      '--app-port',
      String(port),
    ]
    expect(lineOf((await doctor(...argv)).lines, 'socket-port')).toMatch(/is taken; an outer layer runs here already$/)
  })
})

test('--json prints the findings', async () => {
  const { stdout, status } = await run(['doctor', '--private-key', key, '--json'])
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toEqual([
    expect.objectContaining({ result: 'ok', check: 'private key' }),
    { result: 'warn', check: 'allow-list', detail: expect.any(String), remedy: expect.stringContaining('--allow') },
  ])
})

test('doctor without any option asks which layer is meant', async () => {
  expect(await run(['doctor'])).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/give the options of inner-layer .* or of outer-layer/),
  })
  expect((await run(['doctor', '--origin', 'nonsense'])).status).toBe(2)
})

test('doctor takes the lines of two machines', async () => {
  const outer = await doctor('--invite', 'lan-a', '--target', 'a.test=http://127.0.0.1:1', '--app-port', '0', '--socket-port', '0')
  expect(lineOf(outer.lines, 'public keys')).toMatch(/^ok .*--invite$/)
  expect(lineOf(outer.lines, 'targets')).toMatch(/^ok .* 1 target by --target$/)
  const invitation = `wss://a.test#lan-a:${'s'.repeat(32)}:${'p'.repeat(43)}`
  const inner = await doctor('--join', invitation, '--private-key', `${tempDir()}/none.key`)
  expect(inner).toMatchObject({ status: 2, stderr: expect.stringMatching(/nobody has joined with this --join yet; start inner-layer/) })
})
