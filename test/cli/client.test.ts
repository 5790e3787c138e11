/** Commands for users of the service against its API, over the rules on SQLite. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { runCli } from '../../src/cli/run-cli.ts'
import type { Actor } from '../../src/service/model.ts'
import { newKeyLine, startApi, type RunningApi } from '../support/api.ts'
import { newJwk } from '../support/service.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import type { Outcome } from './context.ts'

let api: RunningApi
let home: string
let admin: Actor

beforeAll(async () => {
  api = await startApi({ clientVersion: () => 'v1.0-9-g0efd9e3' }, { limits: { http: 10, creationsPerHour: 1_000 } })
  admin = await api.given.actor('admin')
  home = tempDir()
})

const credentials = (): string => join(home, 'socket-gateway', 'credentials.json')

/** Runs a command with this home. @param input  what stands in standard input */
async function run(
  argv: readonly string[],
  { input, env = {} }: { input?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  let [stdout, stderr] = ['', '']
  const status = await runCli({
    argv,
    env: { XDG_CONFIG_HOME: home, ...env },
    ...(input !== undefined && { stdin: Readable.from([input]) }),
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    logDestination: { write: () => true },
    untilStopped: () => Promise.resolve(undefined),
  })
  return { status, stdout, stderr }
}

/** With the API and the token of one of the three. */
const as = (name: 'ada' | 'root'): Readonly<Record<string, string>> => ({ SG_SERVER: api.url, SG_API_TOKEN: api.tokens[name] })
const ada = (argv: readonly string[]): Promise<Outcome> => run(argv, { env: as('ada') })
const root = (argv: readonly string[]): Promise<Outcome> => run(argv, { env: as('root') })

const create = async (...more: readonly string[]): Promise<{ readonly id: string; readonly name: string }> =>
  JSON.parse((await ada(['socket', 'create', '--json', ...more])).stdout) as { id: string; name: string }

/** The second word of the fourth line, which scripts of 2021 take for the id. */
const idIn = (text: string): string => text.split('\n')[3]!.split(/\s+/)[1]!

describe('login', () => {
  test('reads the password of standard input, keeps a token for its owner alone, and says so in the words of 2021', async () => {
    const outcome = await run(['login', '--server', api.url, '--email', 'ada@example.com'], { input: 'right password\n' })
    expect(outcome).toEqual({ status: 0, stdout: 'Login successful\n', stderr: '' })
    expect(statSync(credentials()).mode & 0o777).toBe(0o600)
    expect(readFileSync(credentials(), 'utf8')).not.toContain('right password')
    expect(await run(['account', 'show'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/│ Email +│ ada@example.com/) })
  })

  test('reads address and password from two lines', async () => {
    const outcome = await run(['login', '--server', api.url], { input: 'ada@example.com\r\nright password' })
    expect(outcome).toMatchObject({ status: 0, stdout: 'Login successful\n' })
  })

  test('takes both from the environment', async () => {
    const env = { SG_EMAIL: 'ada@example.com', SG_PASSWORD: 'right password' }
    expect(await run(['login', '--server', api.url, '--json'], { env })).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('"email"'),
    })
  })

  test('that is refused says why, with code and request id, and ends with 1', async () => {
    const outcome = await run(['login', '--server', api.url, '-e', 'ada@example.com', '-p', 'wrong'])
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toMatch(/^socket-gateway: .*password is wrong.*\n {2}code LOGIN_FAILED, request id [\w-]+\n$/)
  })

  test.each([
    [['--email', 'nobody'], 'error: invalid email address: "nobody"', 1],
    [['--email', 'a@b.c'], '--password is missing, and there is no terminal to ask at; give --password, or one line on standard input', 2],
  ])('%j is refused', async (argv, message, status) => {
    expect(await run(['login', '--server', api.url, ...argv], { input: argv[1] === 'nobody' ? 'x' : '' })).toMatchObject({
      status,
      stderr: expect.stringContaining(message),
    })
  })

  test('at a server that is not there says what to look at', async () => {
    const outcome = await run(['login', '--server', 'http://127.0.0.1:1', '-e', 'a@b.c', '-p', 'x'])
    expect(outcome).toMatchObject({ status: 1, stderr: expect.stringContaining('nothing listens there') })
  })

  test('asks for no password before the server has answered', async () => {
    const server = new URL(api.url).host
    const outcome = await run(['login', '--server', server, '-e', 'a@b.c'], { input: '' })
    expect(outcome).toMatchObject({ status: 1, stderr: expect.stringContaining('does not speak TLS: is it http:// ?') })
  })

  test('is forgotten by logout', async () => {
    await run(['login', '--server', api.url, '-e', 'ada@example.com', '-p', 'right password'])
    expect(await run(['logout'])).toMatchObject({ status: 0, stdout: `Logged out of ${api.url}\n` })
    expect(await run(['socket', 'ls'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('log in with: socket-gateway login --server'),
    })
  })
})

describe('account', () => {
  test('create sends what was given, with the key of a file', async () => {
    const line = `${newKeyLine()} me@lan`
    const key = tempFile('id.pub', `${line}\n`)
    const argv = ['account', 'create', '--server', api.url, '-n', 'Ada', '-e', 'ada@example.com', '-p', 'long enough', '-s', key]
    expect(await run(argv)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Congratulation! your account has been created\./) })
    expect(api.seen.at(-1)).toMatchObject([
      'accounts.signUp',
      { name: 'Ada', email: 'ada@example.com', password: 'long enough', sshKey: line },
      expect.anything(),
    ])
  })

  test('create takes an invitation, whose link names the server', async () => {
    const { link } = await api.given.service.accounts.invite(admin, { email: 'eve@example.com', role: 'user' })
    const argv = ['account', 'create', '--invitation', `${api.url}/invitation#${link.split('#')[1]!}`, '--name', 'Ada']
    expect(await run(argv, { input: 'long enough\n' })).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('login --email eve@example.com'),
    })
    expect(api.seen.at(-1)).toMatchObject(['accounts.acceptInvitation', link.split('#')[1], { name: 'Ada', password: 'long enough' }])
  })

  test('create with an invitation says whose address the account has, where another one was given', async () => {
    const { link } = await api.given.service.accounts.invite(admin, { email: 'kim@example.com', role: 'user' })
    const argv = ['account', 'create', '--server', api.url, '--invitation', link.split('#')[1]!, '-n', 'Kim', '-p', 'long enough']
    expect(await run([...argv, '--email', 'other@example.com'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('login --email kim@example.com'),
      stderr: expect.stringContaining('warning: the account has the address of the invitation, kim@example.com'),
    })
  })

  test('a key that is there already is said to be that', async () => {
    const line = newKeyLine()
    await ada(['account', 'keys', 'add', line])
    const { status, stderr } = await ada(['account', 'keys', 'add', line])
    expect([status, stderr.split('\n')[0]]).toEqual([1, 'socket-gateway: Your account has this SSH key already.'])
    const [id = ''] = /SHA256:[\w+/]+/.exec((await ada(['account', 'keys', 'ls'])).stdout) ?? []
    await ada(['account', 'keys', 'delete', id])
  })

  test('never sends a private key', async () => {
    const key = tempFile('id', '-----BEGIN OPENSSH PRIVATE KEY-----\nx\n')
    const before = api.seen.length
    expect(await ada(['account', 'keys', 'add', key])).toMatchObject({ status: 2, stderr: expect.stringContaining('ends in .pub') })
    expect(api.seen).toHaveLength(before)
  })

  test('keys are listed, added and deleted, also by their fingerprint', async () => {
    expect(await ada(['account', 'keys', 'add', `${newKeyLine()} me@lan`])).toMatchObject({ status: 0 })
    const [fingerprint = ''] = /SHA256:[\w+/]+/.exec((await ada(['account', 'keys', 'ls'])).stdout) ?? []
    expect((await ada(['account', 'keys', 'ls'])).stdout).toMatch(/│ LAST USED +│ COMMENT +│\n[^]*│ never +│ me@lan +│/)
    expect(await ada(['account', 'keys', 'delete', fingerprint])).toMatchObject({ status: 0, stdout: 'Key deleted\n' })
    expect((await ada(['account', 'keys', 'ls'])).stdout).not.toContain('SHA256:')
  })
})

describe('socket', () => {
  test('create, ls, show and delete as scripts of 2021 use them', async () => {
    const made = await ada(['socket', 'create', '--name', 'my test service'])
    const id = idIn(made.stdout)
    expect(made.stdout.split('\n')[3]).toMatch(/│ 80, 443 │ http │ false +│ my test service │$/)
    expect((await ada(['socket', 'ls'])).stdout).toContain(id)
    expect((await ada(['socket', 'show', '-s', id])).stdout).toBe(made.stdout)
    expect((await ada(['socket', 'show', 'my test service'])).stdout).toBe(made.stdout)
    expect(await ada(['socket', 'delete', '--socket_id', id])).toEqual({ status: 0, stdout: 'Socket deleted\n', stderr: '' })
    expect(await ada(['socket', 'show', '--socket-id', id])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/next: socket-gateway socket ls\n {2}code NOT_FOUND, request id/),
    })
  })

  test('create takes the flags of 2021', async () => {
    const made = await ada(['socket', 'create', '-n', 'x', '-t', 'HTTP', '-p', '-u', 'john', '--password', 'secret'])
    expect(made.stdout).toContain('\nProtected Socket:\n')
    expect(made.stdout).toContain('│ john     │ secret   │')
    const argv = ['-n', 'y', '-c', '-e', 'a@b.c, nonsense', '--allowed_email_domains', 'mycorp.com,x.org']
    const cloud = await ada(['socket', 'create', ...argv])
    expect(cloud.stderr).toBe('Warning: ignoring invalid email "nonsense"\n')
    expect(cloud.stdout).toContain('\nCloud Authentication, login details:\n')
    expect(api.seen.at(-1)).toMatchObject(['sockets.create', {}, { visitors: { emails: ['a@b.c'], domains: ['mycorp.com', 'x.org'] } }])
    for (const name of ['x', 'y']) await ada(['socket', 'delete', name])
  })

  test('create asks for groups as well, and shows them beside the lists of 2021', async () => {
    const cloud = await ada(['socket', 'create', '-n', 'y', '-c', '-d', 'corp.test', '--allowed-groups', 'ops,dba'])
    expect(cloud.stdout).toMatch(/│ ALLOWED EMAIL DOMAINS │ ALLOWED GROUPS │/)
    expect(api.seen.at(-1)).toMatchObject([
      'sockets.create',
      {},
      { visitors: { emails: [], domains: ['corp.test'], groups: ['ops', 'dba'] } },
    ])
    await ada(['socket', 'delete', 'y'])
  })

  test.each([
    [['--name', ''], 'error: empty name not allowed'],
    [['--name', 'x', '--protected'], 'error: --username required when using --protected'],
    [['--name', 'x', '--protected', '--username', 'john'], 'error: --password required when using --protected'],
    [['--name', 'x', '--username', 'john'], 'for --protected, which is missing'],
    [['--name', 'x', '--type', 'udp'], 'error: --type should be either http, https, tcp or tls'],
    [['--name', 'x', '--cloudauth'], 'No Email or Email Domains were provided.\n  No-one will have access.'],
    [['--name', 'x', '-e', 'a@b.c'], 'for --cloudauth, which is missing'],
    [['--name', 'x', '--allowed-groups', 'ops'], 'for --cloudauth, which is missing'],
    [['--name', 'x', '-c', '-e', 'nonsense', '--allowed-groups', 'ops'], 'everybody of --allowed-groups could come'],
  ])('create %j is refused before it is sent', async (argv, message) => {
    const before = api.seen.length
    expect(await ada(['socket', 'create', ...argv])).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(message) })
    expect(api.seen).toHaveLength(before)
  })

  test('a fault that the API finds is told with its place', async () => {
    const { stderr, status } = await ada(['socket', 'create', '-n', 'x', '-t', 'tcp', '-p', '-u', 'a', '--password', 'b'])
    expect(status).toBe(1)
    expect(stderr).toMatch(
      /^socket-gateway: [^\n]*password: only sockets of type http and https can be protected by a password\n {2}code INVALID, request id/,
    )
  })

  test('update changes what it is told, and refuses to change nothing', async () => {
    const { id } = await create('--name', 'before')
    expect(await ada(['socket', 'update', 'before', '--name', 'after', '--balance', 'address'])).toMatchObject({ status: 0 })
    expect(await api.given.service.sockets.get(admin, id)).toMatchObject({ name: 'after', balance: 'address' })
    expect(await ada(['socket', 'update', id, '--protected', '-u', 'a', '--password', 'b'])).toMatchObject({ status: 0 })
    expect(await ada(['socket', 'update', id, '--open'])).toMatchObject({ status: 0 })
    expect(await api.given.service.sockets.get(admin, id)).toMatchObject({ password: null, visitors: null })
    expect(await ada(['socket', 'update', id])).toMatchObject({ status: 2, stderr: expect.stringContaining('nothing to change') })
    await ada(['socket', 'delete', id])
  })

  test('the PROXY protocol of a socket is chosen when it is made, and changed', async () => {
    const { id } = await create('--name', 'told', '--type', 'tcp', '--proxy-protocol', 'v1')
    const version = async (): Promise<unknown> => (await api.given.service.sockets.get(admin, id)).proxyProtocol
    expect(await version()).toBe(1)
    expect(await ada(['socket', 'update', id, '--proxy-protocol', 'v2'])).toMatchObject({ status: 0 })
    expect(await version()).toBe(2)
    expect(await ada(['socket', 'update', id, '--proxy-protocol', 'off'])).toMatchObject({ status: 0 })
    expect(await version()).toBeNull()
    expect(await ada(['socket', 'create', '-n', 'x', '--proxy-protocol', 'v1'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('proxyProtocol: only services behind sockets of type tcp and tls'),
    })
    await ada(['socket', 'delete', id])
  })

  test('the way in which the service of a socket is asked is chosen when it is made, and changed in parts', async () => {
    const { id } = await create('--name', 'up', '--upstream_type', 'HTTPS', '--upstream_http_hostname', 'app.internal')
    const upstream = async (): Promise<unknown> => (await api.given.service.sockets.get(admin, id)).upstream
    expect(await upstream()).toEqual({ protocol: 'https', hostname: 'app.internal' })
    const shown = await ada(['socket', 'show', id])
    expect(shown.stdout).toContain('HTTP Options:\n')
    expect(shown.stdout).toContain('│ https         │ app.internal      │')
    const update = async (...args: readonly string[]): Promise<unknown> => {
      expect(await ada(['socket', 'update', id, ...args])).toMatchObject({ status: 0 })
      return upstream()
    }
    expect(await update('--upstream-http-hostname', 'b.internal:8443')).toEqual({ protocol: 'https', hostname: 'b.internal:8443' })
    expect(await update('--upstream-type', '')).toEqual({ hostname: 'b.internal:8443' })
    expect(await update('--name', 'kept')).toEqual({ hostname: 'b.internal:8443' })
    expect(await update('--upstream-http-hostname', '')).toBeNull()
    expect(await ada(['socket', 'create', '-n', 'x', '--upstream-type', 'ftp'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('error: --upstream_type should be either http, https'),
    })
    expect(await ada(['socket', 'create', '-n', 'x', '--type', 'tcp', '--upstream-type', 'http'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('upstream: only services behind sockets of type http and https'),
    })
    await ada(['socket', 'delete', id])
  })

  test('a name of two sockets asks for an id', async () => {
    const [first, second] = [await create('--name', 'twin'), await create('--name', 'twin')]
    expect(await ada(['socket', 'delete', 'twin'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('2 sockets; give the id of one'),
    })
    for (const { id } of [first, second]) await ada(['socket', 'delete', id])
  })

  test('at the limit says what helps', async () => {
    const made = []
    for (let i = 0; i < 10; i++) made.push(await create('--name', `n${i}`))
    expect(await ada(['socket', 'create', '--name', 'one more'])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/[^]*\n {2}next: socket-gateway socket ls\n {2}code LIMIT_REACHED/),
    })
    for (const { id } of made) await ada(['socket', 'delete', id])
  })
})

describe('tunnel', () => {
  test('create, ls and delete as scripts of 2021 use them', async () => {
    const { id } = await create('--name', 'web')
    const made = await ada(['tunnel', 'create', '--socket_id', id])
    const [, socketId, , tunnelId = ''] = made.stdout.split('\n')[3]!.split(/\s+/)
    expect(socketId).toBe(id)
    expect((await ada(['tunnel', 'ls', '-s', id])).stdout).toBe(made.stdout)
    expect(await ada(['tunnel', 'delete', '-s', id, '-t', tunnelId])).toEqual({ status: 0, stdout: 'Tunnel deleted\n', stderr: '' })
    expect(JSON.parse((await ada(['tunnel', 'ls', 'web', '--json'])).stdout)).toEqual([])
    expect(await ada(['tunnel', 'ls'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('required flag(s) "socket_id" not set'),
    })
    await ada(['socket', 'delete', id])
  })
})

describe('inner-layer join', () => {
  test.each([[['inner-layer', 'join']], [['agent', 'join']], [['join']]])('%j makes a key and the options for it', async words => {
    const folder = tempDir()
    const [key, output] = [join(folder, 'a.key'), join(folder, 'a.yaml')]
    const { token } = await api.given.service.enrolment.createJoinToken(admin, { identifiers: ['lan-a'] })
    const argv = [...words, `${api.url}#${token}`, '--private-key', key, '--output', output]
    const { status, stdout } = await run(argv)
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringContaining(`next: socket-gateway inner-layer --config ${output}`),
    })
    expect(statSync(key).mode & 0o777).toBe(0o600)
    expect(readFileSync(output, 'utf8')).toContain('outer-layer: ["wss://link.example.com"]\nidentifier: "lan-a"\n')
    // The options are good, as far as they go.
    expect((await run(['inner-layer', '--config', output, '--allow', 'host'])).stderr).toContain('allowed origin "host"')
    expect(await run(argv)).toMatchObject({ status: 1, stderr: expect.stringContaining('exists') })
  })

  test('with a token that is not valid says whom to ask, and not to log in', async () => {
    const folder = tempDir()
    const { status, stderr } = await run(['join', `${api.url}#sgj_${'A'.repeat(43)}`, '--private-key', join(folder, 'k')])
    expect([status, stderr]).toEqual([1, expect.stringContaining('ask an admin of the service for another one')])
    expect(stderr).not.toContain('next:')
    expect(existsSync(join(folder, 'k'))).toBe(false)
  })

  test.each(['https://api.example.com', `#sgj_abc`, 'https://api.example.com#a#b', 'http://api.example.com#sgj_abc'])(
    '%s is refused without being shown',
    async place => {
      const { status, stderr } = await run(['join', place, '--private-key', join(tempDir(), 'k')])
      expect(status).toBe(2)
      expect(stderr).not.toContain('sgj_abc')
    },
  )
})

describe('of admins', () => {
  test('accounts, limits, suspension, roles and invitations', async () => {
    expect((await root(['admin', 'accounts'])).stdout).toMatch(/│ ada@example.com +│ Ada +│ user +│ active │/)
    expect(await root(['admin', 'suspend', 'bob@example.com'])).toMatchObject({ stdout: 'Account suspended\n' })
    expect(await root(['admin', 'resume', 'bob@example.com'])).toMatchObject({ stdout: 'Account resumed\n' })
    expect((await root(['admin', 'limits', 'bob@example.com', '--http', '50', '--vanity', 'yes'])).stdout).toMatch(
      /│ http +│ +50 │ account │[^]*│ tcp +│ +\d+ │ service │[^]*│ vanity +│ +yes │ account │/,
    )
    expect((await root(['admin', 'limits', 'bob@example.com'])).stdout).toMatch(/│ http +│ +50 │ account │/)
    expect((await root(['admin', 'limits', 'root@example.com'])).stdout).toMatch(/│ creationsPerHour +│ +\d+ │ service │/)
    expect((await root(['admin', 'role', 'bob@example.com', 'auditor'])).stdout).toContain('auditor')
    expect(await root(['admin', 'role', 'ada@example.com', 'king'])).toMatchObject({ status: 2 })
    expect((await root(['admin', 'invite', 'new@example.com'])).stdout).toContain('https://api.example.com/invitation#sgo_')
    expect((await root(['admin', 'join-token', '--identifier', 'lan-a'])).stdout).toContain(`inner-layer join '${api.url}#sgj_`)
    const { kid } = await api.given.service.enrolment.join(
      (await api.given.service.enrolment.createJoinToken(admin, { identifiers: ['lan-b'] })).token,
      newJwk(),
      '',
    )
    expect((await root(['inner', 'ls'])).stdout).toMatch(new RegExp(`│ ${kid} +│ lan-b +│`))
    await api.given.service.enrolment.connected(kid, '192.0.2.1')
    expect((await root(['inner', 'ls'])).stdout).toMatch(new RegExp(`│ ${kid} +│ lan-b +│.*│ connected`))
    expect(await root(['inner', 'revoke', kid])).toMatchObject({ stdout: 'Key revoked\n' })
    expect(await ada(['admin', 'accounts'])).toMatchObject({ status: 1, stderr: expect.stringContaining('code FORBIDDEN') })
  })

  test('audit shows who did what', async () => {
    const { id } = await create('--name', 'audited')
    await ada(['socket', 'delete', id])
    expect((await ada(['audit', '--since', '1h'])).stdout).toMatch(/socket\.create +│ socket:[\w-]+ +│ done/)
    expect((JSON.parse((await ada(['audit', '--json'])).stdout) as unknown[]).length).toBeGreaterThan(1)
  })
})
