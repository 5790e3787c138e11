import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { CLIENT_COMMANDS } from '../../src/cli/client-commands.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { clientOptions } from '../../src/cli/options/client.ts'
import { innerLayerGroups, outerLayerGroups } from '../../src/cli/options/groups.ts'
import { innerLayerOptions, outerLayerOptions } from '../../src/cli/options/layers.ts'
import { SERVICE_COMMANDS } from '../../src/cli/service-commands.ts'
import { VISITOR_COMMANDS } from '../../src/cli/visitor-commands.ts'
import { VERSION } from '../../src/version.ts'
import { ROOT } from '../support/process.ts'
import { tempFile } from '../support/temp.ts'
import { run } from './context.ts'

const lines = (text: string): string[] => text.split('\n').slice(0, -1)

/** Commands that people start. */
const SHOWN = COMMANDS.filter(({ isHidden }) => isHidden !== true)

describe('--help', () => {
  test('lists every command and ends with 0', async () => {
    const { status, stdout, stderr } = await run(['--help'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const listed = [...stdout.matchAll(/^ {2}socket-gateway ([a-z-]+)/gm)].map(([, name]) => name)
    expect(listed).toEqual([
      'http',
      'init',
      'certificates',
      'outer-layer',
      'upgrade',
      'inner-layer',
      'forward',
      'token',
      'sokken',
      'hash-password',
      'targets',
      'cluster',
      'status',
      'events',
      'doctor',
      'demo',
      'docker',
      'kubernetes',
      'requests',
      'login',
      'logout',
      'account',
      'connect',
      'socket',
      'tunnel',
      'logs',
      'join',
      'inner',
      'admin',
      'audit',
      'version',
      'service',
      'visitors',
      'service-token',
      'share',
      'completion',
    ])
  })

  test('comes to a bare call as well, which is a mistake nevertheless', async () => {
    const { status, stdout, stderr } = await run([])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toBe((await run(['--help'])).stdout)
  })

  test('says that the identifier is the host name, and which one that is', async () => {
    expect((await run(['inner-layer', '--help'])).stdout.replace(/\s+/g, ' ')).toContain(`[default: host name, here "${hostname()}"]`)
  })

  test('of demo offers neither the environment nor a file, and demo takes neither', async () => {
    expect((await run(['demo', '--help'])).stdout).not.toMatch(/--config|SG_/)
    expect(await run(['demo', '--config', 'x'])).toMatchObject({ status: 2, stderr: expect.stringMatching(/unknown option --config/) })
  })

  test.each(SHOWN.map(command => [command.words.join(' '), command] as const))('of %s is complete and wrapped', async (_, command) => {
    const { status, stdout } = await run([...command.words, '--help'])
    expect(status).toBe(0)
    const flat = stdout.replace(/\s+/g, ' ')
    expect(flat).toContain(command.describe)
    for (const [name, option] of Object.entries(command.options)) {
      for (const each of [name, ...(option.aliases ?? [])]) expect(stdout).toContain(each.length === 1 ? `-${each}, ` : `--${each}`)
      expect(flat).toContain(option.describe.slice(0, 30))
      if (option.defaultText !== undefined) expect(flat).toContain(`[default: ${option.defaultText}]`)
    }
    for (const line of lines(stdout)) expect(line.length).toBeLessThanOrEqual(110)
  })

  test('shows the default of every duration with its unit', () => {
    const durations = COMMANDS.flatMap(({ options }) =>
      Object.values(options).filter(({ expected, fallback }) => expected.startsWith('milliseconds') && fallback !== undefined),
    )
    expect(durations.length).toBeGreaterThan(0)
    for (const option of durations) expect(option.defaultText).toMatch(/^(?:0|\d+(?:ms|s|m|h|d))$/)
  })

  test('wins over everything else on the line', async () => {
    expect(await run(['outer-layer', '--app-port', 'x', '--help'])).toMatchObject({ status: 0, stderr: '' })
  })
})

test('every command of the service has --json', () => {
  const ofService = [...CLIENT_COMMANDS, ...SERVICE_COMMANDS, ...VISITOR_COMMANDS.filter(({ words }) => words[0] === 'service-token')]
  expect(ofService.length).toBeGreaterThan(40)
  expect(ofService.filter(({ options }) => options['json'] === undefined).map(({ words }) => words.join(' '))).toEqual([])
})

test('--version prints the release', async () => {
  expect(await run(['--version'])).toEqual({ status: 0, stdout: `${VERSION}\n`, stderr: '' })
})

test('completion prints a script that completes this program', async () => {
  const { status, stdout } = await run(['completion'])
  expect(status).toBe(0)
  expect(stdout).toContain('socket-gateway')
  expect(stdout).toContain('--get-yargs-completions')
  const words = await run(['--get-yargs-completions', 'socket-gateway', 'out'])
  expect(words.stdout).toContain('outer-layer')
  expect((await run(['--get-yargs-completions', 'socket-gateway', 'account', ''])).stdout).toMatch(/create[^]*show[^]*keys/)
  expect((await run(['--get-yargs-completions', 'socket-gateway', 'account', 'keys', ''])).stdout).toMatch(/ls[^]*add[^]*delete/)
})

describe('a mistake on the command line ends with 2 and one clear line:', () => {
  test.each<[string[], RegExp]>([
    [['version'], /expected a command: check, upgrade; see socket-gateway version --help/],
    [['account', 'keys'], /expected a command: ls, add, delete; see socket-gateway account keys --help/],
    [['account', 'keys', 'list'], /unknown command "list"; see socket-gateway account keys --help/],
    [['account', 'kes', 'ls'], /unknown command "kes", did you mean "keys"\?; see socket-gateway account --help/],
    [['socket', 'creat'], /unknown command "creat", did you mean "create"\?/],
    [['inner-layer', 'jion'], /unexpected argument "jion"; see socket-gateway inner-layer --help/],
    [['requests', '--admin', '3002'], /unknown option --admin, did you mean --inspector\?/],
    [['socket', 'create', '--nmae', 'x'], /unknown option --nmae, did you mean --name\?/],
    [['inner', 'revoke'], /an argument is missing, expected KEY; see socket-gateway inner revoke --help/],
    [['outer-layr'], /unknown command "outer-layr", did you mean "outer-layer"\?/],
    [['complection'], /did you mean "completion"\?/],
    [['xyzzy'], /unknown command "xyzzy"; see/],
    [['targets'], /expected a command: check, explain; see socket-gateway targets --help/],
    [['targets', 'chekc'], /unknown command "chekc", did you mean "check"\?/],
    [['targets', 'check'], /an argument is missing, expected FILE; see socket-gateway targets check --help/],
    [['targets', 'explain', 'a', 'GET'], /expected FILE METHOD URL/],
    [['targets', 'check', 'a', 'b'], /unexpected argument "b"/],
    [['outer-layer', '--app-prot', '1'], /unknown option --app-prot, did you mean --app-port\?; see socket-gateway outer-layer --help/],
    [['outer-layer', '--appPort', '1'], /unknown option --appPort, did you mean --app-port\?/],
    [['certificates', '-x'], /unknown option -x/],
    [['certificates', '--xyzzy'], /unknown option --xyzzy; see/],
    [['certificates', 'now'], /unexpected argument "now"/],
    [['certificates', '--type'], /--type needs a value/],
    [['certificates', '--type', 'dsa'], /--type "dsa": expected one of rsa, ec/],
    [['certificates', '--type', 'ec', '--type', 'rsa'], /--type "ec", "rsa": given more than once/],
    [['certificates', '--validity', '0'], /--validity "0": expected a whole number from 1 to 1000/],
    [['certificates', '--validity', '1e2'], /--validity "1e2": expected/],
    [['certificates', '--common-name='], /--common-name "": expected a text/],
    [['certificates', '--private-key', 'x', '--certificate', './x'], /both x; expected two files/],
  ])('%j', async (argv, message) => {
    const { status, stdout, stderr } = await run(argv)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(lines(stderr)).toEqual([expect.stringMatching(message)])
    expect(stderr).toMatch(/^socket-gateway: /)
  })

  const outer = ['outer-layer', '--public-key', '/k', '--targets', '/t']
  test.each(['-1', '65536', '80.5', 'http', '0x50', '', ' 80', '1e3', '00000000080'])('port %j', async port => {
    const { status, stderr } = await run([...outer, `--app-port=${port}`])
    expect(status).toBe(2)
    expect(stderr).toContain('expected a port from 0 to 65535')
  })

  test.each(['0', '-5', '1.5', '10 s', '25d', '2147483648', 'NaN'])('duration %j', async duration => {
    const { status, stderr } = await run([...outer, `--drain-timeout=${duration}`])
    expect(status).toBe(2)
    expect(stderr).toContain('expected milliseconds, or a text with a unit such as')
  })

  const inner = ['inner-layer', '--private-key', '/k']
  test.each(['ftp://a', 'localhost:3001', 'a', '', 'ws://', 'ws:localhost', 'wss://u:p@a', 'wss://a/?q', 'wss://a/#f', 'wss://a:99999'])(
    'URL %j',
    async url => {
      const { status, stderr } = await run([...inner, `--outer-layer=${url}`])
      expect(status).toBe(2)
      expect(stderr).toContain('expected the URL of an outer layer')
    },
  )

  test.each(['ws://example.com', 'http://example.com:3001', 'ws://10.0.0.1', 'ws://localhost.example.com', 'ws://127.0.0.1.example.com'])(
    'unencrypted URL %s without --insecure',
    async url => {
      const { status, stderr } = await run([...inner, '--outer-layer', url])
      expect(status).toBe(2)
      expect(lines(stderr)).toEqual([expect.stringMatching(/not encrypted, .*; use wss:\/\/, or pass --insecure/)])
    },
  )

  test.each([
    'ws://localhost:3001',
    'ws://127.0.0.2',
    'http://[::1]:3001',
    'ws://a.localhost',
    'wss://example.com',
    'https://example.com/prefix',
  ])('but the URL %s is none', async url => {
    expect(await run([...inner, '--outer-layer', url])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/: --private-key \/k: no such file \(ENOENT\); expected .*socket-gateway certificates/),
    })
  })

  test('--insecure allows ws:// to other machines', async () => {
    expect(await run([...inner, '--outer-layer', 'ws://example.com', '--insecure'])).toMatchObject({ status: 1 })
  })

  test('an impossible --allow', async () => {
    const { status, stderr } = await run([...inner, '--outer-layer', 'wss://a', '--allow', 'host'])
    expect(status).toBe(2)
    expect(stderr).toMatch(/allowed origin "host": it has no port; expected HOST:PORT/)
  })

  test('all of them are reported together', async () => {
    const { status, stderr } = await run(['outer-layer', '--app-port', 'x', '--validity', '0'])
    expect(status).toBe(2)
    expect(lines(stderr)).toEqual([
      expect.stringMatching(/^socket-gateway: --public-key is missing; give it as flag, as SG_PUBLIC_KEY, or as public-key in/),
      expect.stringMatching(/^ {2}--targets is missing/),
      '  --app-port "x": expected a port from 0 to 65535',
      expect.stringMatching(/^ {2}--validity "0": expected milliseconds, or a text with a unit .* from 1ms to 2147483647ms$/),
    ])
  })
})

describe('the environment', () => {
  test('gives options, with a comma between the values of a list', async () => {
    const { status, stderr } = await run(['inner-layer'], { SG_PRIVATE_KEY: '/k', SG_OUTER_LAYER: 'wss://a, ftp://b' })
    expect(status).toBe(2)
    expect(stderr).toContain('SG_OUTER_LAYER "wss://a", "ftp://b": expected the URL')
    expect(await run(['inner-layer'], { SG_PRIVATE_KEY: '/k', SG_OUTER_LAYER: 'wss://a,wss://b' })).toMatchObject({ status: 1 })
  })

  test('takes an empty variable as not set', async () => {
    expect((await run(['certificates', '--type', 'x'], { SG_VALIDITY: '' })).stderr).not.toContain('VALIDITY')
  })

  test('that has a misspelt variable gets a warning, one of another program does not', async () => {
    const env = { SG_PRIVATE_KEYS: 'x', SG_XYZZY_ADDR: 'y', SG_TARGETS: 'of the other layer' }
    const { stderr } = await run(['inner-layer', '--outer-layer', 'wss://a', '--private-key', '/k'], env)
    expect(stderr).toContain('warning: SG_PRIVATE_KEYS is no option and has no effect, did you mean SG_PRIVATE_KEY?')
    expect(stderr).not.toContain('XYZZY')
    expect(stderr).not.toContain('SG_TARGETS')
  })
})

test('a stack is shown with --log-level debug only', async () => {
  const argv = ['outer-layer', '--public-key', '/nowhere', '--targets', '/t']
  expect((await run(argv)).stderr).not.toMatch(/\n\s+at /)
  expect((await run([...argv, '--log-level', 'debug'])).stderr).toMatch(/\n\s+at /)
  expect((await run([...argv, '--log-level=debug'])).stderr).toMatch(/\n\s+at /)
})

test('a fault of --config names file, line and column, and is status 2 as on the command line', async () => {
  const file = tempFile('gateway.yaml', 'targets: t\npublic-key: [k]\nlog-format: xml\n')
  expect(await run(['outer-layer', '--config', file])).toEqual({
    status: 2,
    stdout: '',
    stderr: `socket-gateway: ${file}:3:1: log-format: expected one of pretty, json\n`,
  })
})

test.each(['app-prot: 1\n', 'app-port: [\n', '- app-port\n', 'app-port: {}\n'])('--config with %j is status 2 as well', async text => {
  const file = tempFile('gateway.yaml', text)
  expect(await run(['outer-layer', '--config', file])).toMatchObject({ status: 2, stderr: expect.stringContaining(`${file}:`) })
})

describe('other names', () => {
  test.each([
    ['server', 'outer-layer', '--targets is missing'],
    ['agent', 'inner-layer', '--private-key is missing'],
  ])('%s is %s', async (alias, name, message) => {
    expect(await run([alias])).toMatchObject({ status: 2, stderr: expect.stringContaining(message) })
    expect((await run([alias, '--help'])).stdout).toBe((await run([name, '--help'])).stdout)
    expect((await run([alias, '--xyzzy'])).stderr).toContain(`see socket-gateway ${name} --help`)
    expect((await run(['--help'])).stdout).toContain(`[aliases: ${alias}]`)
  })
})

test.each([
  ['outer-layer', outerLayerGroups, outerLayerOptions],
  ['inner-layer', innerLayerGroups, innerLayerOptions],
] as const)('--help of %s has its options in groups', async (name, groups, options) => {
  const { stdout } = await run([name, '--help'])
  const grouped = Object.values<readonly string[]>(groups).flat()
  for (const heading of Object.keys(groups)) expect(stdout).toContain(`\n${heading}:\n`)
  expect([...new Set(grouped)].sort()).toEqual([...Object.keys(options), 'config'].sort())
})

describe('what cannot work is said with its remedy:', () => {
  const outer = ['outer-layer', '--targets', '/t', '--public-key']

  test.each([
    [
      [...outer, '/k', '--app-port', '3999', '--socket-port', '3999'],
      2,
      '--app-port and --socket-port are both 3999; give each a port of its own',
    ],
    [[...outer, '/k', '--socket-port', '3002'], 2, '--socket-port and --admin-port are both 3002'],
    [[...outer, 'nosuch.crt'], 1, 'nosuch.crt: no such file (ENOENT); expected the certificate or public key of an inner layer'],
    [['inner-layer', '--private-key', '/k', '--outer-layer', 'wss://a', '--allow', 'http://x:80'], 2, 'it is a URL, give x:80 instead'],
    [['inner-layer', '--private-key', '/k', '--outer-layer', 'wss://a', '--allow', 'https://x/p'], 2, 'it is a URL, give x:443 instead'],
  ])('%j', async (argv, status, message) => {
    const outcome = await run(argv)
    expect(outcome).toMatchObject({ status, stdout: '', stderr: expect.stringContaining(message) })
    expect(lines(outcome.stderr)).toHaveLength(1)
  })
})

test('docs/commands.md describes every command and option with its default', () => {
  const page = readFileSync(join(ROOT, 'docs', 'commands.md'), 'utf8')
  const sections = page.split(/^## /m)
  // The page does not repeat them for doctor.
  const common = sections.find(each => each.startsWith('Options of commands of the service\n')) ?? ''
  for (const name of Object.keys(clientOptions)) expect(common).toContain(`| \`--${name}\``)
  const ofLayers = new Set(Object.keys({ ...innerLayerOptions, ...outerLayerOptions }))
  for (const { words, options } of SHOWN) {
    const section = sections.find(each => each.startsWith(`${words.join(' ')}\n`)) ?? ''
    expect([words, section === '']).toEqual([words, false])
    for (const [name, option] of Object.entries(options)) {
      if (words[0] === 'doctor' && ofLayers.has(name)) continue
      if ((clientOptions as Readonly<Record<string, unknown>>)[name] === option) continue
      const row = section.split('\n').find(line => line.startsWith(`| \`--${name}\``)) ?? ''
      expect([name, row === '']).toEqual([name, false])
      for (const alias of option.aliases ?? []) expect(row).toContain(alias.length === 1 ? `\`-${alias}\`` : `\`--${alias}\``)
      if (option.isRequired) expect(row).toContain('required')
      else if (typeof option.fallback === 'number') expect(row).toContain(` ${option.fallback} `)
    }
  }
})
