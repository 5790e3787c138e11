/** How the program ends when what it writes to is gone, full, or stands still; and what an old Node.js is told. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { PROGRAM, ROOT, RunningProcess, runProcess, startProcess } from '../support/process.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { testWith } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { run } from './context.ts'

const MINUTE = 60_000
const directory = tempDir()
const key = join(directory, 'lan-a.key')
const crt = join(directory, 'lan-a.crt')
const targets = join(directory, 'targets.json')
beforeAll(async () => {
  await run(['certificates', '--type', 'ec', '--common-name', 'lan-a', '--private-key', key, '--certificate', crt])
  writeFileSync(targets, '{"targets":{"localhost":{"protocol":"http","hostname":"127.0.0.1","port":1}}}')
})

const LAYER = ['outer-layer', '--public-key', crt, '--targets', targets, '--socket-port', '0', '--log-format', 'json']
const OUTER = [...LAYER, '--app-port', '0']
const INNER = ['inner-layer', '--private-key', key, '--outer-layer', 'ws://127.0.0.1:1']
const FORWARD = ['forward', '127.0.0.1:0', 'ws://127.0.0.1:1/tunnel/a:1']

const isThere = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

const quoted = (words: readonly string[]): string => words.map(word => `'${word}'`).join(' ')

/** The program with a terminal of its own. */
async function onTerminal(args: readonly string[], hello: RegExp): Promise<{ readonly terminal: RunningProcess; readonly pid: number }> {
  const program = `echo pid=$$; exec ${quoted([process.execPath, PROGRAM, ...args])}`
  const terminal = startProcess(['-qfec', `exec sh -c ${JSON.stringify(program).replaceAll('$', '\\$')}`, '/dev/null'], {
    program: 'script',
  })
  const [, text] = await terminal.waitForLine(/pid=(\d+)/, MINUTE)
  const pid = Number(text)
  onCleanUp(() => isThere(pid) && process.kill(pid, 'SIGKILL'))
  await terminal.waitForLine(hello, MINUTE)
  return { terminal, pid }
}

describe('a terminal that is closed ends', () => {
  for (const [name, args, hello] of [
    ['an outer layer', OUTER, /outer layer ready/],
    ['an inner layer', INNER, /next attempt/i],
    ['forward', FORWARD, /forwarding/],
    ['sokken', ['sokken', 'server', '127.0.0.1:0', 'a:1'], /max connections/],
  ] as const)
    testWith(
      ['script'],
      name,
      async () => {
        const { terminal, pid } = await onTerminal(args, hello)
        terminal.child.kill('SIGKILL')
        await until(() => !isThere(pid), { deadlineMs: MINUTE, what: `the end of ${name}` })
      },
      3 * MINUTE,
    )
})

testWith(
  ['script'],
  'a terminal that stands still keeps no outer layer from its work, and not from its end',
  async () => {
    const { terminal, pid } = await onTerminal([...OUTER, '--log-level', 'debug'], /outer layer ready/)
    const [, port] = /"appPort":(\d+)/.exec(terminal.stdout) ?? []
    terminal.child.kill('SIGSTOP') // nobody reads the terminal any more
    for (let i = 0; i < 300; i++) expect(await answerOf(Number(port))).toContain('404')
    process.kill(pid, 'SIGTERM')
    await until(() => !isThere(pid), { deadlineMs: MINUTE, what: 'the end' })
    terminal.child.kill('SIGCONT')
  },
  3 * MINUTE,
)

const answerOf = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1').on('error', reject)
    socket.on('data', chunk => (text += String(chunk))).on('close', () => resolve(text))
    socket.write('GET / HTTP/1.1\r\nHost: nobody.example\r\nConnection: close\r\n\r\n')
  })

/** The program, with its standard output in the file `path`. */
function startInto(path: string, args: readonly string[]): RunningProcess {
  const fd = openSync(path, 'w')
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], SG_ADMIN_PORT: 'none' },
    stdio: ['ignore', fd, 'pipe'],
  })
  closeSync(fd)
  const running = new RunningProcess(child, args.join(' '))
  onCleanUp(() => running.exited === undefined && child.kill('SIGKILL'))
  return running
}

describe('a full disk', () => {
  test(
    'under the log of an outer layer is told once, and does not keep it from ending at SIGTERM',
    async () => {
      const port = await freePort()
      const outer = startInto('/dev/full', [...LAYER, '--app-host', '127.0.0.1', '--app-port', String(port)])
      await until(() => answerOf(port).then(text => text.includes('404')), { deadlineMs: MINUTE, what: 'an answer' })
      expect(await outer.stop('SIGTERM', MINUTE)).toEqual({ code: 0, signal: null })
      expect(outer.stderr.match(/^socket-gateway: the log cannot be written: ENOSPC.*$/gm)).toHaveLength(1)
    },
    3 * MINUTE,
  )

  test(
    'under the output of a command is a failure',
    async () => {
      const help = startInto('/dev/full', ['--help'])
      expect(await help.exit).toEqual({ code: 1, signal: null })
      expect(help.stderr).toMatch(/^socket-gateway: standard output: ENOSPC/)
    },
    MINUTE,
  )
})

test(
  'a reader that is slow gets all of the output',
  async () => {
    const many = join(directory, 'many.json')
    const hosts = Array.from({ length: 8_000 }, (_, i) => `"h${i}.example.com":{"hostname":"a.internal.example.com"}`)
    writeFileSync(many, `{"targets":{${hosts.join(',')}}}`)
    const program = `${quoted([process.execPath, PROGRAM, 'targets', 'check', many])} | (sleep 3; wc -c)`
    const { stdout } = await runProcess(['-c', program], { program: 'sh' }, MINUTE)
    expect(Number(stdout)).toBeGreaterThan(500_000)
  },
  MINUTE,
)

describe('an old Node.js', () => {
  const text = readFileSync(join(ROOT, 'src/main.cts'), 'utf8')

  test(
    'is told which one is needed, before anything is loaded that it cannot read',
    async () => {
      const old = join(directory, 'old.mjs')
      writeFileSync(old, `Object.defineProperty(process, 'versions', { value: { node: '18.20.8' } })`)
      const { code, stdout, stderr } = await runProcess(['--version'], { nodeArgs: ['--import', old] }, MINUTE)
      expect({ code, stdout, stderr }).toEqual({
        code: 1,
        stdout: '',
        stderr: 'socket-gateway needs Node.js 20.19 or newer; this is 18.20.8\n',
      })
    },
    MINUTE,
  )

  test('is one that package.json does not allow', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } }
    expect(engines.node).toBe(`>=${/OLDEST_NODE = '([\d.]+)'/.exec(text)?.[1]}.0`)
  })

  test('can read the first file: no static import, nothing younger than ES2019', () => {
    const built = readFileSync(PROGRAM, 'utf8')
    expect(built).not.toMatch(/^import /m)
    expect(built).not.toMatch(/\?\.|\?\?|^await|#private/m)
  })
})
