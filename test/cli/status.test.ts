import { chmodSync } from 'node:fs'
import { createServer } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { runCli } from '../../src/cli/run-cli.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { freePort, listen } from '../support/ports.ts'
import { tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { run } from './context.ts'

const status = (port: number, ...more: string[]) => run(['status', '--admin', String(port), ...more])

describe('socket-gateway status', () => {
  test('prints inner layers and targets of an outer layer as tables', async () => {
    const closed = await freePort()
    const targets = `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: ${closed}}, b.test: {hostname: b.internal, identifier: elsewhere}}\n`
    const { outer, port, accessLine } = await startLayers({ targets, outer: { admin: { port: 0 } } })
    await exchange(port, { host: 'a.test' })
    await accessLine(1)
    const outcome = await status(outer.adminPort)
    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    expect(outcome.stdout).toMatch(
      /^outer layer \d+\.\d+\.\d+, ready\ndegraded: 1 target wants an inner layer that is not connected\nup \d+ s, event loop \d+ ms late\n/,
    )
    expect(outcome.stdout).toMatch(/^INNER LAYER {2}ADDRESS .*\ninner-layer {2}127\.0\.0\.1 {2}socket-gateway\//m)
    expect(outcome.stdout).toMatch(new RegExp(`^a\\.test +http://127\\.0\\.0\\.1:${closed} +1 +– +1 +1 +ORIGIN_REFUSED, \\d s ago$`, 'm'))
    expect(outcome.stdout).toMatch(/^b\.test +https:\/\/b\.internal +0 \(elsewhere\) +– +0 +0$/m)
    expect(outcome.stdout).toMatch(/targets\.yaml read \d+ s ago, 1 key in force$/m)
  })

  test('shows connections of one inner layer as one row, TCP ports, tunnels, who was refused, and hosts without a target', async () => {
    const port = await freePort()
    const targets = `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: 9, identifier: lan-a}}
tcp: {"${port}": {hostname: 127.0.0.1, port: 9}}
tunnels: {"db.lan:5432": {identifier: lan-a, tokens: ["sha256:${'A'.repeat(43)}"]}}
`
    const layers = await startLayers({ targets, outer: { admin: { port: 0 } }, inner: { connections: 3, identifier: 'vm' } })
    await layers.connected(3)
    await exchange(layers.port, { host: 'typo.test' })
    await exchange(layers.port, { host: 'typo.test' })
    expect(await exchange(layers.port, { host: 'a.test' })).toMatchObject({ status: 502 })
    expect(await layers.accessLine(3)).toMatchObject({ reason: 'a.test wants lan-a; connected: vm (start it with --identifier lan-a)' })
    const { stdout } = await status(layers.outer.adminPort)
    expect(stdout).toMatch(/^vm ×3 +127\.0\.0\.1 +socket-gateway\//m)
    expect(stdout).toMatch(/^degraded: 2 targets want inner layers that are not connected$/m)
    expect(stdout).toMatch(new RegExp(`^TCP PORT .*\n${port} +127\\.0\\.0\\.1:9 +3 +0 +0$`, 'm'))
    expect(stdout).toMatch(/^TUNNEL .*\ndb\.lan:5432 +db\.lan:5432 +0 \(lan-a\) +0 +0$/m)
    expect(stdout).toMatch(/^HOST WITHOUT A TARGET .*\ntypo\.test +2 +\d+ s ago$/m)
    expect(stdout).toMatch(/0 requests, 0 TCP connections, 0 tunnels in flight$/m)
  })

  test('lets targets check and doctor warn of what nobody serves', async () => {
    const targets = 'targets:\n  a.test: {hostname: a.internal, identifier: lan-a}\n  b.test: {hostname: b.internal}\n'
    const layers = await startLayers({ targets, outer: { admin: { port: 0 } }, inner: { identifier: 'vm' } })
    const warning = 'wants lan-a, and vm is connected; start one with --identifier lan-a'
    const check = await run(['targets', 'check', layers.targetsFile, '--admin', String(layers.outer.adminPort)])
    expect(check).toMatchObject({ status: 0, stdout: expect.stringContaining(`${layers.targetsFile}:2: warning: a.test: ${warning}\n`) })
    expect((await run(['targets', 'check', layers.targetsFile])).stdout).not.toContain('wants lan-a')
    const ports = ['--app-port', '0', '--socket-port', String(layers.socketPort), '--admin-port', String(layers.outer.adminPort)]
    expect((await run(['doctor', '--targets', layers.targetsFile, ...ports])).stdout).toContain(
      `warn  inner layers  ${layers.targetsFile}:2: a.test ${warning}\n`,
    )
  })

  test('prints the connections of an inner layer, and ends with 1 when it is not ready', async () => {
    const { inner, outer } = await startLayers({ inner: { admin: { port: 0 } } })
    expect(await status(inner.adminPort)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+ {2}connected /m),
    })
    outer.destroy()
    const after = await until(async () => {
      const outcome = await status(inner.adminPort)
      return outcome.status === 1 ? outcome : undefined
    })
    expect(after.stdout).toMatch(/^inner layer .*, not ready: not connected to any outer layer\n/)
    expect(after.stdout).toMatch(/^ws:.* not connected /m)
  })

  test('--json prints what /status answers', async () => {
    const { outer } = await startLayers({ outer: { admin: { port: 0 } } })
    const { stdout } = await status(outer.adminPort, '--json')
    expect(JSON.parse(stdout)).toMatchObject({ layer: 'outer', ready: true })
    expect(stdout.split('\n')).toHaveLength(2)
  })

  test('--watch prints it again and again until it is stopped, also when the layer goes away', async () => {
    const { outer } = await startLayers({ outer: { admin: { port: 0 } } })
    let stdout = ''
    let stop = (): void => undefined
    const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
    const output = { write: (text: string) => (stdout += text) }
    const running = runCli({
      argv: ['status', '--admin', `127.0.0.1:${outer.adminPort}`, '--watch'],
      env: {},
      stdout: output,
      stderr: output,
      logDestination: output,
      untilStopped: () => stopped,
    })
    await until(() => stdout.split('outer layer').length > 2)
    await outer.close()
    await until(() => stdout.includes('nothing answers at'))
    stop()
    expect(await running).toBe(0)
  })

  test('shows nothing of what a peer has said as it is', async () => {
    const { outer } = await startLayers({ outer: { admin: { port: 0 } }, inners: 0 })
    const evil = await listen(
      createServer((_, response) =>
        response.end(
          JSON.stringify({
            layer: 'inner',
            version: '1\u001b[2J',
            ready: true,
            reasons: [],
            uptimeSeconds: 1,
            eventLoop: { delayP99Ms: 0, stalls: 0, lastStall: null },
            identifier: 'x\u001b]0;',
            connections: [],
            requests: { inFlight: 0, failed: 0 },
            lastFailure: null,
          }),
        ),
      ),
    )
    const { stdout } = await status(evil)
    expect(stdout).toContain('1\\u{1b}[2J')
    expect(stdout).not.toContain('\u001b')
    expect((await status(outer.adminPort)).status).toBe(1)
  })

  test('gives the password of a file, and says when one is needed or wrong', async () => {
    const { outer } = await startLayers({ outer: { admin: { port: 0, password: 'correct horse' } } })
    const good = tempFile('password', 'correct horse\n')
    const bad = tempFile('password', 'wrong horse')
    expect((await status(outer.adminPort)).stderr).toMatch(/asks for a password: add --password-file FILE$/m)
    for (const path of [good, bad]) chmodSync(path, 0o600)
    expect((await status(outer.adminPort, '--password-file', bad)).stderr).toMatch(/refuses this password/)
    expect((await status(outer.adminPort, '--password-file', good)).status).toBe(0)
    chmodSync(good, 0o604)
    expect((await status(outer.adminPort, '--password-file', good)).stderr).toMatch(/every account can use this password; run: chmod o= /)
  })

  test('says what answers, when it is no layer', async () => {
    const nobody = await freePort()
    expect(await status(nobody)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(
          `^socket-gateway: nothing answers at http://127\\.0\\.0\\.1:${nobody}/: .*ECONNREFUSED.*; is the layer running, .*--admin\\n$`,
        ),
      ),
    })
    const plain = await listen(createServer((_, response) => response.end('{}')))
    expect((await run(['status', '--admin', `https://127.0.0.1:${plain}`])).stderr).toMatch(
      new RegExp(
        `^socket-gateway: what answers at https://127\\.0\\.0\\.1:${plain}/ speaks no TLS .*; .*: write http:// instead of https://\\n$`,
      ),
    )
    const other = await listen(createServer((_, response) => response.end('{}')))
    expect((await status(other)).stderr).toMatch(/is not the admin port of a layer: it answered 200/)
    const layers = await startLayers()
    expect((await status(layers.socketPort)).stderr).toMatch(/is not the admin port of a layer: it answered 404/)
    expect((await run(['status', '--admin', 'ftp://a'])).status).toBe(2)
  })
})

test('socket-gateway cluster says that it asks no node', async () => {
  const alone = await startLayers({ targets: 'targets: {}\n', outer: { admin: { port: 0 } } })
  for (const words of [['status'], ['rebalance'], ['drain', 'b']]) {
    const { status, stderr } = await run(['cluster', ...words, '--admin', String(alone.outer.adminPort)])
    expect(status).toBe(1)
    expect(stderr).toContain(`the outer layer at http://127.0.0.1:${alone.outer.adminPort}/ is no node of a cluster (--cluster)`)
  }
})
