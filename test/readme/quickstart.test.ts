/**
 * The README as a new user meets it: its commands are run word for word, with the packed tarball in a folder as npm installs it globally. That
 * npm itself does so is a step of `.ci/run`; here the tarball is unpacked beside links to the packages that it may use.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { delimiter, dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { load } from 'js-yaml'
import { run as runHere } from '../cli/context.ts'
import { testWith } from '../support/needs.ts'
import { freePort, listen } from '../support/ports.ts'
import { ROOT, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { within } from '../support/wait.ts'
import { blocksOf, blockWith, readPage, sectionOf } from './markdown.ts'

const README = readPage('README.md')
const prefix = tempDir()
const PATH = [join(prefix, 'bin'), process.env['PATH']].join(delimiter)

/** Starts a line of the README as a shell does. */
const start = (line: string, cwd: string): RunningProcess =>
  startProcess(['-c', `exec ${line}`], { program: '/bin/sh', cwd, env: { PATH, NO_PROXY: '*', no_proxy: '*' } })

const run = async (line: string, cwd: string): Promise<string> => {
  const running = startProcess(['-c', line], { program: '/bin/sh', cwd, env: { PATH, NO_PROXY: '*', no_proxy: '*' } })
  const { code } = await within(running.exit, `the end of "${line}"`)
  if (code !== 0) throw new Error(`"${line}" ended with ${String(code)}:\n${running.output}`)
  return running.stdout
}

beforeAll(async () => {
  // dist/ is built by now, and other tests run from it, so it is not built anew.
  await run(`npm pack --silent --ignore-scripts --pack-destination ${prefix}`, ROOT)
  const [tarball] = readdirSync(prefix).filter(name => name.endsWith('.tgz'))
  expect(sectionOf(README, 'Install')).toContain(`npm install -g ./${tarball!}`)
  const home = join(prefix, 'lib/node_modules/socket-gateway')
  mkdirSync(home, { recursive: true })
  execFileSync('tar', ['-xzf', join(prefix, tarball!), '-C', home, '--strip-components=1'])
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>
  }
  for (const [path, { dev = false }] of Object.entries(packages)) {
    if (dev || path === '' || path.lastIndexOf('node_modules/') > 0) continue
    mkdirSync(dirname(join(home, path)), { recursive: true })
    symlinkSync(join(ROOT, path), join(home, path))
  }
  const { bin } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { readonly bin: Readonly<Record<string, string>> }
  mkdirSync(join(prefix, 'bin'))
  for (const [name, file] of Object.entries(bin)) {
    chmodSync(join(home, file), 0o755)
    symlinkSync(join(home, file), join(prefix, 'bin', name))
  }
})

/** The output of `--help` of a command: of the installed program for all commands together, and else what this process would. */
const helpOf = async (command: string): Promise<string> =>
  command === '' ? run('socket-gateway --help', prefix) : (await runHere([...command.split(' '), '--help'])).stdout

const optionsIn = (text: string): string[] => [...new Set([...text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([option]) => option))]

/** The help after "Options:", where each option stands at the beginning of its line. */
const documentedBy = (help: string): string[] =>
  help
    .split('\n')
    .filter(line => /^ {2,}(-\w, )?--[a-z]/.test(line))
    .flatMap(line => optionsIn(line.split(/ {2,}(?=[A-Z])/)[0]!))

describe('the quick start', () => {
  const lines = blockWith(sectionOf(README, 'Quick start'), 'sh', 'socket-gateway certificates   ')
    .trim()
    .split('\n')
    .map(line => line.replace(/ {2,}#.*$/, ''))

  testWith(['curl'], 'makes curl answer just like the origin', async () => {
    const folder = tempDir()
    const origin = createServer((req, res) => {
      res.setHeader('X-Origin', 'the private one')
      res.end(`hello from ${req.url!}\n`)
    })
    const originPort = await listen(origin, '127.0.0.1', 8080).catch(() => listen(origin))
    /** Ports that are taken on this machine make way for others. */
    const ports: Record<string, number> = { '3000': 3000, '3001': 3001, '8080': originPort }
    const lead = (line: string): string => line.replace(/\b(3000|3001|8080)\b/g, port => String(ports[port]))

    const startOuter = async (line: string): Promise<void> => {
      const outer = start(lead(line), folder)
      const [found] = await outer.waitForLine(/outer layer ready|cannot listen/)
      if (found !== 'cannot listen') return
      ports['3000'] = await freePort()
      ports['3001'] = await freePort()
      await start(lead(line), folder).waitForLine(/outer layer ready/)
    }

    let answer = ''
    for (const line of lines) {
      if (line.startsWith('socket-gateway outer-layer')) await startOuter(line)
      else if (line.startsWith('socket-gateway inner-layer')) await start(lead(line), folder).waitForLine(/connected to ws:/)
      else if (line.startsWith('curl')) answer = await run(lead(line.replace('curl', 'curl --silent --include')), folder)
      else await run(lead(line), folder)
    }
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toContain('\r\nX-Origin: the private one\r\n')
    expect(answer).toMatch(/\r\n\r\nhello from \/\n$/)
  })

  test('has the five lines that it always had', () => {
    expect(lines.map(line => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'socket-gateway certificates',
      expect.stringMatching(/^echo '\{"targets":/),
      'socket-gateway outer-layer',
      'socket-gateway inner-layer',
      'curl http://localhost:3000',
    ])
  })
})

describe('the first minute', () => {
  test('is two lines, of scripts that exist and that CI runs', () => {
    expect(blocksOf(sectionOf(README, 'The first minute'), 'sh')).toEqual(['npm ci && npm run demo\n', 'npm ci && npm test\n'])
    const { scripts } = JSON.parse(readPage('package.json')) as { readonly scripts: Readonly<Record<string, string>> }
    expect(scripts['demo']).toContain('dist/main.cjs demo')
    expect(scripts['test']).toContain('jest')
    for (const line of ['npm ci', 'npm test']) expect(readPage('.ci/run').split('\n')).toContain(line)
  })
})

describe('the commands', () => {
  const rows = [...sectionOf(README, 'Commands').matchAll(/^\| `([a-z- ]+)` \| [^|]+ \|([^|]*)\|$/gm)].map(
    ([, command, options]) => [command!, optionsIn(options!)] as const,
  )

  test('are those of the program', async () => {
    const help = `${await helpOf('')}${await helpOf('targets')}`
    expect(rows.length).toBeGreaterThanOrEqual(7)
    for (const [command] of rows) expect(help).toMatch(new RegExp(`^ {2}socket-gateway ${command}\\b`, 'm'))
  })

  test.each(rows.filter(([, options]) => options.length > 0))('%s has the options of the README: %j', async (command, options) => {
    expect(documentedBy(await helpOf(command))).toEqual(expect.arrayContaining(options))
  })

  test('have the options that the examples of README and docs/deployment.md give them', async () => {
    const known = (await Promise.all(['certificates', 'outer-layer', 'inner-layer', 'demo'].map(helpOf))).flatMap(documentedBy)
    const deployment = readPage('docs/deployment.md')
    const services = [...blocksOf(deployment, 'yaml')]
      .map(block => load(block) as { readonly services?: Readonly<Record<string, { readonly command?: readonly string[] }>> })
      .flatMap(({ services = {} }) => Object.values(services).flatMap(({ command = [] }) => command))
    expect(services.length).toBeGreaterThan(5)
    const lines = [README, deployment]
      .flatMap(page => blocksOf(page, 'sh').concat(blocksOf(page, 'ini')))
      .flatMap(block => block.split('\n'))
    const given = [...services, ...lines.flatMap(line => /socket-gateway (?:[a-z]+-layer|certificates) .*/.exec(line)?.[0] ?? [])]
    expect(known).toEqual(expect.arrayContaining(given.flatMap(optionsIn)))
    const file = load(blockWith(README, 'yaml', '# gateway.yaml')) as object
    expect(known).toEqual(expect.arrayContaining(Object.keys(file).map(name => `--${name}`)))
  })
})

describe('the targets of the README', () => {
  test('are valid, warn of nothing, and are explained as it says', async () => {
    const folder = tempDir()
    writeFileSync(join(folder, 'targets.yaml'), blockWith(README, 'yaml', '# targets.yaml'))
    expect(await run('socket-gateway targets check targets.yaml', folder)).toContain('valid, 3 targets, 0 warnings')
    const [command, ...output] = blockWith(README, '', '$ socket-gateway targets explain').split('\n')
    // Status 1: refused.
    expect(await run(`${command!.slice(2)} || true`, folder)).toBe(output.join('\n'))
  })
})
