/** Log files and the admin port of the program as its users run it. */
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { ask, basic } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { freePort, listen } from '../support/ports.ts'
import { startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { run } from './context.ts'

const directory = tempDir()
const [key, crt] = [join(directory, 'lan-a.key'), join(directory, 'lan-a.crt')]
beforeAll(async () => {
  await run(['certificates', '--type', 'ec', '--private-key', key, '--certificate', crt])
})

const outerArgs = (targets = 'targets: {}\n'): string[] => [
  ...['outer-layer', '--public-key', crt, '--targets', tempFile('targets.yaml', targets)],
  ...['--app-port', '0', '--socket-port', '0'],
]

describe('--log-file', () => {
  test('takes everything that the log has to say, up to the last line after SIGTERM', async () => {
    const origin = await listen(createServer((_, response) => response.end('hello')))
    const file = join(tempDir(), 'gateway.log')
    const outer = startProcess([
      ...outerArgs(`targets: {"*": {protocol: http, hostname: 127.0.0.1, port: ${origin}}}\n`),
      ...['--log-file', file, '--log-max-size', '64KiB', '--log-max-files', '100'],
    ])
    const read = (): string =>
      readdirSync(dirname(file))
        .sort() // '-' comes before '.', so the current file is the last
        .map(name => readFileSync(join(dirname(file), name), 'utf8'))
        .join('')
    const ready = await until(() => /"appPort":(\d+),"socketPort":(\d+)/.exec(read()))
    const inner = startProcess(['inner-layer', '--private-key', key, '--outer-layer', `ws://localhost:${ready[2]}`])
    await inner.waitForLine(/connected to/)
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 25 }, () => exchange(Number(ready[1]))))
    expect((await outer.stop()).code).toBe(0)
    const lines = read()
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as { msg: string; status?: number })
    expect(lines.filter(({ msg }) => msg === 'request')).toHaveLength(500)
    expect(lines.at(-1)!.msg).toBe('ended')
    expect(readdirSync(dirname(file)).length).toBeGreaterThan(1)
    expect(outer.output).toBe('')
  })

  test('that cannot be opened is one line and status 1', async () => {
    const argv = [...outerArgs(), '--admin-port', 'none', '--log-file', join(directory, 'none', 'gateway.log')]
    const { status, stdout, stderr } = await run(argv)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/^socket-gateway: --log-file .*gateway\.log: ENOENT.*\n$/)
  })
})

describe('the admin port', () => {
  test('is 3002 of the outer layer unless it is said otherwise; a second layer is told what to do', async () => {
    const port = await freePort()
    const env = { SG_ADMIN_PORT: String(port) }
    const first = startProcess(outerArgs(), { env })
    await first.waitForLine(new RegExp(`"adminPort":${port}`))
    const second = await run(outerArgs(), env)
    expect(second.status).toBe(1)
    expect(second.stderr).toMatch(
      new RegExp(
        `^socket-gateway: cannot open the admin port 127\\.0\\.0\\.1:${port}: .*EADDRINUSE.*; another layer on this machine may have it: pass --admin-port`,
      ),
    )
    expect((await run(['outer-layer', '--help'])).stdout).toMatch(/--admin-port [^]*\[default: 3002\]/)
    expect((await run(['inner-layer', '--help'])).stdout).toMatch(/--admin-port [^]*\[default: none\]/)
  })

  test('takes the password of a file or of the environment, and never tells it', async () => {
    const password = 'correct horse battery staple'
    const file = tempFile('password', `${password}\n`)
    chmodSync(file, 0o600)
    const portOf = async (outer: RunningProcess): Promise<number> => Number((await outer.waitForLine(/"adminPort":(\d+)/))[1])
    const byFile = startProcess([
      ...outerArgs(),
      '--admin-port',
      '0',
      '--admin-host',
      '0.0.0.0',
      '--admin-password-file',
      file,
      '--log-level',
      'debug',
    ])
    const byEnvironment = startProcess(outerArgs(), { env: { SG_ADMIN_PORT: '0', SG_ADMIN_PASSWORD: password } })
    for (const outer of [byFile, byEnvironment]) {
      const port = await portOf(outer)
      expect((await ask(port, '/status')).status).toBe(401)
      expect((await ask(port, '/status', basic(password))).status).toBe(200)
      expect((await ask(port, '/status', basic('wrong'))).status).toBe(401)
      expect(outer.output).not.toContain('correct horse')
    }
  })

  test('where others can reach it is refused without a password, as a mistake of the command line', async () => {
    const { status, stderr } = await run([...outerArgs(), '--admin-port', '0', '--admin-host', '::'])
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'socket-gateway: --admin-host ::: others can reach this address, so it needs a password; add --admin-password-file\n',
    })
    const both = await run([...outerArgs(), '--admin-port', '0', '--admin-password', 'a', '--admin-password-file', '/nowhere'])
    expect({ status: both.status, stderr: both.stderr }).toEqual({ status: 2, stderr: expect.stringContaining('give one of them') })
  })
})
