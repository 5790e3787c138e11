/** `init`: what it writes runs, as it stands, in processes of its own. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { load } from 'js-yaml'
import { runCli } from '../../src/cli/run-cli.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { programPath, testWith } from '../support/needs.ts'
import { freePort, listen } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'

const init = async (argv: readonly string[], lines?: string): Promise<{ status: number; stdout: string; stderr: string }> => {
  let [stdout, stderr] = ['', '']
  const status = await runCli({
    argv: ['init', ...argv],
    env: {},
    ...(lines !== undefined && {
      stdin: (async function* () {
        yield await Promise.resolve(lines)
      })(),
    }),
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    logDestination: { write: () => true },
    untilStopped: () => new Promise(() => undefined),
  })
  return { status, stdout, stderr }
}

describe('init', () => {
  test('writes an outer layer and an inner layer that run, and find each other', async () => {
    const origin = createServer((_, response) => response.end('found'))
    const originPort = await listen(origin)
    onCleanUp(() => (origin.closeAllConnections(), void origin.close()))
    const [gateway, privateMachine] = [join(tempDir(), 'gateway'), tempDir()]
    const [app, socket] = [await freePort(), await freePort()]
    const ports = ['--app-port', String(app), '--socket-port', String(socket)]
    const target = `localhost=http://127.0.0.1:${originPort}`
    expect(
      await init(['outer', '--host', 'localhost', '--name', 'lan-a', '--target', target, '--directory', gateway, ...ports]),
    ).toMatchObject({ status: 0, stderr: '' })
    expect(readdirSync(gateway).sort()).toEqual(['compose.yaml', 'outer.yaml', 'socket-gateway-outer.service', 'targets.yaml'])
    const outer = startProcess(['outer-layer', '--config', 'outer.yaml', '--admin-port', '0'], { cwd: gateway })
    const [, text = ''] = await outer.waitForLine(/--join '([^']+)'/)

    // Typed, with the quotes that were printed.
    const inner = await init(['inner', '--directory', privateMachine], `'${text}'\n127.0.0.1:${originPort}\n`)
    expect(inner).toMatchObject({ status: 0, stderr: '' })
    expect(statSync(join(privateMachine, 'inner.yaml')).mode & 0o777).toBe(0o600)
    startProcess(['inner-layer', '--config', 'inner.yaml'], { cwd: privateMachine })
    await outer.waitForLine(/"lan-a\\?" connected/)
    expect(String((await exchange(app, { host: 'localhost' })).body)).toBe('found')
  })

  test('writes over nothing without a word, and either all files or none', async () => {
    const folder = tempDir()
    const argv = ['outer', '--host', 'gw.example.com', '--name', 'lan-a', '--target', 'a.example.com=https://b.lan', '--directory', folder]
    expect((await init(argv)).status).toBe(0)
    const before = readFileSync(join(folder, 'outer.yaml'), 'utf8')
    const again = await init(argv.map(each => (each === 'lan-a' ? 'lan-b' : each)))
    expect(again.status).toBe(1)
    expect(again.stderr).toContain('--force')
    expect(readFileSync(join(folder, 'outer.yaml'), 'utf8')).toBe(before)
    expect((await init([...argv, '--force'])).status).toBe(0)
  })

  test('puts values into its files as values, whatever they look like', async () => {
    const folder = tempDir()
    const name = 'a: "b" # c'
    expect(
      await init(['outer', '--host', '::1', '--name', name, '--target', '*.x.example=http://[::1]:81', '--directory', folder]),
    ).toMatchObject({ status: 0 })
    const read = (file: string): unknown => load(readFileSync(join(folder, file), 'utf8'))
    expect(read('outer.yaml')).toMatchObject({ invite: [name], 'invite-url': 'wss://[::1]:3001', 'app-port': 3000 })
    expect(read('targets.yaml')).toEqual({
      targets: { '*.x.example': { protocol: 'http', hostname: '[::1]', port: 81, identifier: name } },
    })
    expect(read('compose.yaml')).toMatchObject({ services: { 'outer-layer': { ports: ['3000:3000', '3001:3001'] } } })
    expect(readFileSync(join(folder, 'socket-gateway-outer.service'), 'utf8')).toContain(`\nWorkingDirectory=${folder}\n`)
  })

  testWith(['systemd-analyze'], 'writes units that systemd finds nothing wrong with, whatever the folder is called', async () => {
    for (const name of ['plain', 'my 100% "gate\\way"']) {
      const folder = join(tempDir(), name)
      const target = ['--target', 'a.example.com=https://b.lan']
      expect(
        await init(['outer', '--host', 'gw.example.com', '--name', 'lan-a', ...target, '--directory', join(folder, 'outer')]),
      ).toMatchObject({ status: 0 })
      const text = `wss://gw.example.com:3001#lan-a:${'s'.repeat(32)}:${'A'.repeat(43)}`
      expect(await init(['inner', '--join', text, '--allow', '127.0.0.1:8080', '--directory', join(folder, 'inner')])).toMatchObject({
        status: 0,
      })
      for (const layer of ['outer', 'inner']) {
        const unit = join(folder, layer, `socket-gateway-${layer}.service`)
        // Warnings go to standard error, and do not change the exit status.
        const { status, stderr } = spawnSync(programPath('systemd-analyze')!, ['verify', '--man=no', unit], { encoding: 'utf8' })
        expect([status, stderr.split('\n').filter(line => line.includes('socket-gateway'))]).toEqual([0, []])
        const words = /^ReadWritePaths="(.*)"$/m.exec(readFileSync(unit, 'utf8'))![1]!
        expect(words.replaceAll('%%', '%').replace(/\\(.)/g, '$1')).toBe(join(folder, layer))
      }
    }
  })

  test.each([
    [
      ['outer'],
      '--host is missing, and there is no terminal to ask at; give --host, --name and --target, or one line each on standard input',
    ],
    [['outer', '--name', 'n', '--host', 'a'], '--target is missing, and there is no terminal to ask at; give --target, or one line on'],
    [['outer', '--host', 'a/b', '--name', 'n', '--target', 'a=http://b'], 'expected a host name'],
    [['outer', '--host', 'a', '--name', 'n', '--target', 'a=http://b/path'], 'expected HOST=URL'],
    [['inner', '--join', 'x', '--allow', 'a:1'], 'in quotes'],
    [['inner', '--join', `wss://a#b:${'s'.repeat(32)}`, '--allow', 'a/b'], 'a/b'],
  ])('%j is told what is wrong', async (argv, message) => {
    const folder = tempDir()
    const { status, stderr } = await init([...argv, '--directory', folder], '')
    expect(status).toBe(2)
    expect(stderr).toContain(message)
    expect(readdirSync(folder)).toEqual([])
  })
})
