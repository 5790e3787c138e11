import { spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { listen } from '../support/ports.ts'
import { ROOT, runProcess, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { once, within } from '../support/wait.ts'
import { run } from './context.ts'

const directory = tempDir()
const key = join(directory, 'lan-a.key')
const crt = join(directory, 'lan-a.crt')
beforeAll(async () => {
  await run(['certificates', '--type', 'ec', '--common-name', 'lan-a', '--private-key', key, '--certificate', crt])
})

/** Here it is the program itself that is tested, as it is installed. */

const targetsFile = (originPort: number): string => {
  const file = join(tempDir(), 'targets.json')
  writeFileSync(file, JSON.stringify({ targets: { localhost: { protocol: 'http', hostname: '127.0.0.1', port: originPort } } }))
  return file
}

interface Outer {
  readonly outer: RunningProcess
  readonly appPort: number
  readonly socketPort: number
}

const startOuter = async (targets: string, ...more: string[]): Promise<Outer> => {
  const args = ['--public-key', crt, '--targets', targets, '--app-port', '0', '--socket-port', '0', ...more]
  const outer = startProcess(['outer-layer', ...args])
  const [, appPort, socketPort] = await outer.waitForLine(/"appPort":(\d+),"socketPort":(\d+)/)
  return { outer, appPort: Number(appPort), socketPort: Number(socketPort) }
}

const startInner = (socketPort: number, ...more: string[]): RunningProcess =>
  startProcess(['inner-layer', '--private-key', key, '--outer-layer', `ws://localhost:${socketPort}`, '--identifier', 'lan-a', ...more])

const statusOf = (port: number): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, headers: { host: 'localhost' } }, response => resolve(response.resume().statusCode))
      .on('error', reject)
      .end()
  })

describe('the two layers as processes', () => {
  test('answer, and end with 0 when they are asked to', async () => {
    const origin = await listen(createHttpServer((_, response) => response.end('hello')))
    const { outer, appPort, socketPort } = await startOuter(targetsFile(origin))
    const inner = startInner(socketPort)
    await inner.waitForLine(/connected to/)
    expect(await statusOf(appPort)).toBe(200)
    await outer.waitForLine(/"status":200/)
    // Look-ups of names wait for each other in these threads, whose number counts only when it is set before the first is used.
    if (process.platform === 'linux') expect(readdirSync(`/proc/${inner.pid}/task`).length).toBeGreaterThan(32)
    expect(await inner.stop('SIGINT')).toEqual({ code: 0, signal: null })
    expect(await outer.stop('SIGTERM')).toEqual({ code: 0, signal: null })
    for (const line of outer.stdout.split('\n').slice(0, -1)) expect(() => JSON.parse(line) as unknown).not.toThrow()
    expect(outer.stderr + inner.stderr).toBe('')
  })

  test('end at once at a second signal, with 1', async () => {
    const silent = createHttpServer(() => undefined)
    const origin = await listen(silent)
    const { outer, appPort, socketPort } = await startOuter(targetsFile(origin))
    const inner = startInner(socketPort)
    await inner.waitForLine(/connected to/)
    const hanging = request({ host: '127.0.0.1', port: appPort, headers: { host: 'localhost' } }).on('error', () => undefined)
    const arrived = once(silent, 'request')
    hanging.end()
    await arrived
    outer.child.kill('SIGTERM')
    await outer.waitForLine(/draining/)
    // With 1: one that waits for its request to end leaves with 0.
    expect(await outer.stop('SIGTERM')).toEqual({ code: 1, signal: null })
    hanging.destroy()
  })

  test('close the sessions of a key within 2 s after its file has left the directory', async () => {
    const keys = join(tempDir(), 'keys')
    mkdirSync(keys)
    writeFileSync(join(keys, 'lan-a.crt'), readFileSync(crt))
    const targets = targetsFile(1)
    const ports = ['--app-port', '0', '--socket-port', '0']
    const outer = startProcess(['outer-layer', '--public-key', keys, '--targets', targets, ...ports])
    const [, socketPort] = await outer.waitForLine(/"socketPort":(\d+)/)
    startInner(Number(socketPort))
    await outer.waitForLine(/"connections":2/)
    rmSync(join(keys, 'lan-a.crt'))
    await outer.waitForLine(/"connections":0/)
    await outer.waitForLine(/KEY_REMOVED/)
  })

  test('reload good targets and keep the last good ones when the file is bad', async () => {
    const targets = targetsFile(1)
    const { outer } = await startOuter(targets)
    const replace = (text: string): void => {
      writeFileSync(`${targets}.new`, text)
      renameSync(`${targets}.new`, targets)
    }
    replace('targets: 7')
    await outer.waitForLine(/targets not reloaded, the last good ones stay in force: .*targets\.json:1:/)
    replace('targets: {}')
    await outer.waitForLine(/targets reloaded: 0 in force/)
    expect(outer.exited).toBeUndefined()
  })

  test('take all options from the environment', async () => {
    const env = { SG_PUBLIC_KEY: crt, SG_TARGETS: targetsFile(1), SG_APP_PORT: '0', SG_SOCKET_PORT: '0', SG_LOG_FORMAT: 'pretty' }
    const outer = startProcess(['outer-layer'], { env })
    await outer.waitForLine(/INFO {2}outer layer ready/)
    expect(outer.stdout).not.toContain('\u001b')
  })
})

describe('a layer that cannot start says why in one line and ends with 1:', () => {
  const failed = async (...argv: string[]): Promise<string> => {
    const { status, stderr } = await run(argv, { SG_ADMIN_PORT: 'none' })
    expect(status).toBe(1)
    expect(stderr.trimEnd()).not.toContain('\n')
    return stderr
  }

  test('the port is taken', async () => {
    const port = await listen(createServer())
    const argv = [
      '--public-key',
      crt,
      '--targets',
      targetsFile(1),
      '--app-host',
      '127.0.0.1',
      '--app-port',
      String(port),
      '--socket-port',
      '0',
    ]
    expect(await failed('outer-layer', ...argv)).toContain(String(port))
  })

  test('the targets file is not valid', async () => {
    const file = targetsFile(1)
    writeFileSync(file, 'targets: 7')
    expect(await failed('outer-layer', '--public-key', crt, '--targets', file)).toMatch(/targets\.json:1:\d+: targets: expected a map/)
  })

  test('the private key is given for the public one, and the certificate for the private key', async () => {
    expect(await failed('outer-layer', '--public-key', key, '--targets', targetsFile(1))).toMatch(
      /lan-a\.key: this is a private key, which stays/,
    )
    expect(await failed('inner-layer', '--private-key', crt, '--outer-layer', 'wss://a')).toMatch(/lan-a\.crt: this is a certificate/)
  })

  test('others may read the private key', async () => {
    const open = join(tempDir(), 'open.key')
    writeFileSync(open, 'x')
    await run(['certificates', '--type', 'ec', '--force', '--private-key', open, '--certificate', `${open}.crt`])
    chmodSync(open, 0o644)
    expect(await failed('inner-layer', '--private-key', open, '--outer-layer', 'wss://a')).toContain(`run: chmod 600 ${open}`)
  })

  test('the client certificate is of another key', async () => {
    const other = join(tempDir(), 'other')
    await run(['certificates', '--type', 'ec', '--private-key', `${other}.key`, '--certificate', `${other}.crt`])
    const argv = ['--private-key', key, '--outer-layer', 'wss://a', '--inner-layer-certificate', `${other}.crt`]
    expect(await failed('inner-layer', ...argv)).toMatch(/other\.crt: the certificate is for another key/)
  })
})

describe('the program', () => {
  test('does not mind a reader that goes away', async () => {
    const child = spawn(process.execPath, [join(ROOT, 'dist/main.cjs'), 'outer-layer', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    child.stderr?.on('data', chunk => (stderr += String(chunk)))
    child.stdout?.destroy()
    const code = await within(new Promise(resolve => child.once('close', resolve)), 'the end')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  /** Packages that are inside of the program, and those that only some starts need. */
  const INSIDE = JSON.parse(readFileSync(join(ROOT, 'scripts/bundled-packages.json'), 'utf8')) as string[]
  const LATER = [
    '@opentelemetry',
    'cli-table3',
    'express',
    'kysely',
    'node-forge',
    'nodemailer',
    'openid-client',
    'prom-client',
    're2js',
    'yargs',
  ]

  /** The program where these packages are not installed. */
  const programWithout = (packages: readonly string[]): string => {
    const copy = tempDir()
    cpSync(join(ROOT, 'dist'), join(copy, 'dist'), { recursive: true })
    cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'))
    mkdirSync(join(copy, 'node_modules'))
    for (const name of readdirSync(join(ROOT, 'node_modules')))
      if (!packages.includes(name)) symlinkSync(join(ROOT, 'node_modules', name), join(copy, 'node_modules', name))
    return join(copy, 'dist/main.cjs')
  }

  test('says its version without loading the layers, which takes a second', async () => {
    const { code, stdout } = await runProcess(
      [programWithout([...INSIDE, ...LATER, 'jsonwebtoken', 'socket.io', 'socket.io-client']), '--version'],
      { program: process.execPath },
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+.*\n$/) })
  })

  test('answers from plain layers without the packages that only others need', async () => {
    const main = programWithout([...INSIDE, ...LATER])
    const start = (...args: string[]): RunningProcess => startProcess([main, ...args], { program: process.execPath })
    const origin = await listen(createHttpServer((_, response) => response.end('hello')))
    const ports = ['--app-port', '0', '--socket-port', '0']
    const outer = start('outer-layer', '--public-key', crt, '--targets', targetsFile(origin), ...ports)
    const [, appPort, socketPort] = await outer.waitForLine(/"appPort":(\d+),"socketPort":(\d+)/)
    const inner = start('inner-layer', '--private-key', key, '--outer-layer', `ws://localhost:${socketPort}`, '--identifier', 'lan-a')
    await inner.waitForLine(/connected to/)
    expect(await statusOf(Number(appPort))).toBe(200)
  })
})
