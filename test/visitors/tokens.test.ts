/** Service tokens: programs come with them, and nothing of them goes any further. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { run } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLaneLayers, writeVisitorsFiles, type LaneLayers } from '../support/lanes.ts'
import { testWith } from '../support/needs.ts'
import { valuesOf } from '../support/raw-message.ts'
import { RawConnection, type RawResponse } from '../support/raw-client.ts'
import { rawResponse } from '../support/raw-origin.ts'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const ORIGIN = 'protocol: http, hostname: 127.0.0.1, port: {port}'
const TARGETS = `
targets:
  api.test: {${ORIGIN}, access: {tokens: true}}
  mixed.test:
    protocol: http
    hostname: 127.0.0.1
    port: {port}
    access: {tokens: true, public: ['^/hooks/.*']}
    routes:
      - {path: /admin, access: {tokens: true}}
      - {path: /open, access: false}
  other.test: {${ORIGIN}, access: {tokens: true}}
  jwtonly.test: {${ORIGIN}, access: {jwt: {issuer: 'https://ci.example.test', audience: x}}}
`

let made: LaneLayers

const create = async (args: readonly string[], file = made.file): Promise<string> => {
  const { status, stdout, stderr } = await run(['service-token', 'create', '--visitors', file, ...args])
  expect([status, stderr]).toEqual([0, ''])
  return /^token: (sgv_[\w-]{43})$/m.exec(stdout)![1]!
}
let asked = 0
/** Until a token that was made, or revoked, is known: the file is followed. Each from another address, since wrong ones are counted. */
const answers = (status: number, host: string, target: string, lines: readonly string[]): Promise<unknown> =>
  until(async () => (await made.ask(host, target, [...lines, `X-Forwarded-For: 198.51.100.${asked++ % 256}`])).status === status, {
    what: `${status}`,
  })
const bearer = (token: string): string => `Authorization: Bearer ${token}`
const basic = (user: string, password: string): string => `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
const value = (response: RawResponse, name: string): string | undefined => valuesOf(response.fields, name)[0]

let token: string

beforeAll(async () => {
  made = await startLaneLayers(TARGETS)
  token = await create(['--name', 'ci', '--target', 'api.test', '--target', 'mixed.test'])
  await answers(200, 'api.test', '/', [bearer(token)])
})
beforeEach(() => {
  made.origin.clear()
  made.origin.handle((_, socket) => void socket.write(rawResponse(200, 'ok')))
})

describe('a token', () => {
  test.each([
    ['as a bearer', () => [bearer(token)], []],
    ['in another case', () => [`authorization: bearer ${token}`], []],
    ['as the password of Basic', () => [basic('ci', token)], []],
    [
      'in a field of its own, beside that of the application',
      () => ['Authorization: Bearer of-the-app', `X-SG-Token: ${token}`],
      ['Bearer of-the-app'],
    ],
  ])('%s lets in, and reaches neither the origin nor a log', async (_, lines, kept) => {
    const response = await made.ask('api.test', '/a?b=c', lines())
    expect(response.status).toBe(200)
    expect(made.origin.last.values('authorization')).toEqual(kept)
    expect(made.origin.last.values('x-auth-name')).toEqual(['ci'])
    expect(made.origin.last.values('x-sg-identity')).toHaveLength(1)
    const seen = JSON.stringify([made.origin.last.lines, made.layers.accessLog, made.layers.outerLogs, made.logs])
    expect(seen).not.toContain(token.slice(4))
    expect(seen).not.toContain(Buffer.from(`ci:${token}`).toString('base64').slice(6, 40))
    expect((await made.layers.accessLine(1)).visitor).toBe('ci')
  })

  test('is asked for with challenges that programs understand, and never with a redirect', async () => {
    const response = await made.ask('api.test', '/', ['Accept: */*'])
    expect([response.status, valuesOf(response.fields, 'www-authenticate')]).toEqual([
      401,
      ['Bearer realm="api.test"', 'Basic realm="api.test", charset="UTF-8"'],
    ])
    expect(response.body.toString()).toContain('X-SG-Token')
    // A browser would ask its user for a password.
    const fetched = await made.ask('api.test', '/', ['Sec-Fetch-Mode: cors'])
    expect(valuesOf(fetched.fields, 'www-authenticate')).toEqual(['Bearer realm="api.test"'])
    expect(made.origin.hits).toBe(0)
  })

  test('of another form is the business of the application, and lets nobody in', async () => {
    for (const other of [
      'Bearer abc',
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer x${token}`,
      'Bearer ',
      `Digest ${token}`,
    ])
      expect([other, (await made.ask('api.test', '/', [`Authorization: ${other}`])).status]).toEqual([other, 401])
    const code = async (text: string): Promise<unknown> =>
      (JSON.parse((await made.ask('api.test', '/', [bearer(text), 'Accept: application/json'])).body.toString()) as { code: string }).code
    expect(await code('abc')).toBe('VISITOR_REQUIRED')
    expect(await code(`sgv_${'A'.repeat(43)}`)).toBe('VISITOR_CREDENTIALS')
    expect(made.origin.hits).toBe(0)
  })

  test('that comes twice and differs lets nobody in; twice the same is one', async () => {
    const wrong = `sgv_${'A'.repeat(43)}`
    expect((await made.ask('api.test', '/', [bearer(token), bearer(wrong)])).status).toBe(401)
    expect((await made.ask('api.test', '/', [bearer(wrong), `X-SG-Token: ${token}`])).status).toBe(401)
    expect((await made.ask('api.test', '/', [bearer(token), `X-SG-Token: ${token}`])).status).toBe(200)
    expect(made.origin.last.values('authorization')).toEqual([])
  })

  test('is for its targets and their routes alone', async () => {
    expect((await made.ask('other.test', '/', [bearer(token)])).status).toBe(403)
    expect((await made.ask('mixed.test', '/admin/x', [bearer(token)])).status).toBe(200)
    expect((await made.ask('mixed.test', '/x', [bearer(token)])).status).toBe(200)
    expect((await made.ask('jwtonly.test', '/', [bearer(token)])).status).toBe(401)
    const route = await create(['--name', 'route', '--target', 'mixed.test/admin'])
    await answers(200, 'mixed.test', '/admin', [bearer(route)])
    expect((await made.ask('mixed.test', '/x', [bearer(route)])).status).toBe(403)
  })

  test('does not reach the origin behind public paths either, good or bad', async () => {
    const wrong = `sgv_${'A'.repeat(43)}`
    for (const each of [token, wrong]) {
      expect((await made.ask('mixed.test', '/hooks/a', [bearer(each)])).status).toBe(200)
      expect(made.origin.last.values('authorization')).toEqual([])
    }
    expect(made.origin.last.values('x-auth-name')).toEqual([])
    expect((await made.ask('mixed.test', '/hooks/a', ['Authorization: Bearer theirs'])).status).toBe(200)
    expect(made.origin.last.values('authorization')).toEqual(['Bearer theirs'])
  })

  test('is limited to methods and paths, however the origin may read them', async () => {
    const limited = await create([
      '--name',
      'reader',
      '--target',
      'api.test',
      '--methods',
      'GET,HEAD',
      '--paths',
      '^/api/.*',
      '--paths',
      '/v',
    ])
    await answers(200, 'api.test', '/api/x', [bearer(limited)])
    const status = async (target: string, method = 'GET'): Promise<number> =>
      (await made.ask('api.test', target, [bearer(limited)], method)).status
    expect(await status('/api/x?y=/admin')).toBe(200)
    expect(await status('/v')).toBe(200)
    expect(await status('/api/x', 'DELETE')).toBe(403)
    for (const target of [
      '/',
      '/v/',
      '/apis',
      '/api',
      '/api/../admin',
      '//api/x',
      '/api//../../admin',
      '/api/%2e%2e/admin',
      '/x/..;/api/x',
      '/api/..;/admin',
      '/api/..%2fadmin',
      '/api/%5c..%5cadmin',
      '/admin;/api/x',
      '/%61dmin/api/',
    ])
      expect([target, (await status(target)) >= 400]).toEqual([target, true])
    expect(
      (await run(['service-token', 'create', '--visitors', made.file, '--name', 'bad', '--target', 'a', '--paths', '^('])).status,
    ).toBe(1)
  })

  test('ends when its time is over, and when it is revoked, with what is open by it', async () => {
    const short = await create(['--name', 'short', '--target', 'api.test'])
    await answers(200, 'api.test', '/', [bearer(short)])
    // An answer that lasts.
    made.origin.handle((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome'))
    const client = await RawConnection.open(made.layers.port)
    client.write(`GET /slow HTTP/1.1\r\nHost: api.test\r\n${bearer(short)}\r\n\r\n`)
    await until(() => made.origin.hits > 0, { what: 'the origin' })
    const revoked = await run(['service-token', 'revoke', '--visitors', made.file, 'short'])
    expect([revoked.status, revoked.stderr]).toEqual([0, ''])
    await client.closed
    made.origin.handle((_, socket) => void socket.write(rawResponse(200, 'ok')))
    await answers(401, 'api.test', '/', [bearer(short)])
    expect((await run(['service-token', 'revoke', '--visitors', made.file, 'short'])).status).toBe(2)

    const store = join(dirname(made.file), 'visitors.tokens')
    const late = await create(['--name', 'late', '--target', 'api.test'])
    await answers(200, 'api.test', '/', [bearer(late)])
    const changed = JSON.parse(readFileSync(store, 'utf8')) as { tokens: { name: string; expiresAt: string }[] }
    changed.tokens.find(({ name }) => name === 'late')!.expiresAt = new Date(Date.now() - 1).toISOString()
    writeFileSync(store, JSON.stringify(changed))
    await answers(401, 'api.test', '/', [bearer(late)])
  })
})

describe('the file of tokens', () => {
  test('holds hashes alone, for its owner alone, and loses nothing to commands that run at once', async () => {
    const file = writeVisitorsFiles()
    const names = Array.from({ length: 8 }, (_, i) => `t${i}`)
    const tokens = await Promise.all(names.map(name => create(['--name', name, '--target', 'api.test'], file)))
    const store = join(dirname(file), 'visitors.tokens')
    const text = readFileSync(store, 'utf8')
    for (const each of tokens) expect(text).not.toContain(each.slice(4))
    expect(statSync(store).mode & 0o777).toBe(0o600)
    const listed = await run(['service-token', 'ls', '--visitors', file, '--json'])
    expect((JSON.parse(listed.stdout) as { name: string }[]).map(({ name }) => name).sort()).toEqual([...names].sort())
    expect(listed.stdout).not.toContain('hash')
    expect((await run(['service-token', 'ls', '--visitors', file])).stdout).toContain('t7')
    await Promise.all(names.map(async name => expect((await run(['service-token', 'revoke', '--visitors', file, name])).status).toBe(0)))
    expect((await run(['service-token', 'ls', '--visitors', file])).stdout).toBe('no service tokens\n')
    expect(readdirSync(dirname(file)).filter(name => /lock|new/.test(name))).toEqual([])
    expect((await run(['service-token', 'create', '--visitors', file, '--name', 'a', '--target', 'x'])).status).toBe(0)
    expect((await run(['service-token', 'create', '--visitors', file, '--name', 'a', '--target', 'x'])).status).toBe(2)
  })

  test('is changed by programs as well, which are told in JSON', async () => {
    const file = writeVisitorsFiles()
    const ask = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
      const { status, stdout, stderr } = await run(['service-token', ...args, '--visitors', file, '--json'])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      return JSON.parse(stdout) as Record<string, unknown>
    }
    const made = await ask('create', '--name', 'a', '--target', 'api.test', '--methods', 'GET,HEAD')
    const time = expect.stringMatching(/^\d{4}-.*Z$/)
    const id = expect.stringMatching(/^[\da-f]{8}$/)
    const facts = { id, targets: ['api.test'], methods: ['GET', 'HEAD'], paths: [], createdAt: time, expiresAt: time }
    expect(made).toEqual({ ...facts, name: 'a', token: expect.stringMatching(/^sgv_[\w-]{43}$/) })
    const output = join(dirname(file), 'b.token')
    const kept = await ask('create', '--name', 'b', '--target', 'api.test', '--methods', 'GET,HEAD', '--file', output)
    expect(kept).toEqual({ ...facts, name: 'b', file: output })
    expect(readFileSync(output, 'utf8')).toMatch(/^sgv_[\w-]{43}\n$/)
    expect(await ask('revoke', 'a')).toEqual({ id: made['id'], name: 'a' })
  })

  test('that cannot be read any more leaves what is in force', async () => {
    const own = await startLaneLayers(TARGETS)
    const mine = await create(['--name', 'a', '--target', 'api.test'], own.file)
    await until(async () => (await own.ask('api.test', '/', [bearer(mine)])).status === 200, { what: 'the token' })
    writeFileSync(join(dirname(own.file), 'visitors.tokens'), '{"tokens": [{}]}')
    await until(() => own.logs.some(({ msg }) => msg.includes('token 1 of the list is none')), { what: 'the fault' })
    expect((await own.ask('api.test', '/', [bearer(mine)])).status).toBe(200)
    expect((await run(['service-token', 'ls', '--visitors', own.file])).status).toBe(1)
  })
})

test('wrong tokens are limited by address, and a good one comes in from the same address all the same', async () => {
  const from = 'X-Forwarded-For: 203.0.113.77'
  let limited: RawResponse | undefined
  for (let i = 0; i < 40 && limited === undefined; i++) {
    const response = await made.ask('api.test', '/', [from, bearer(`sgv_${String(i).padStart(43, '0')}`)])
    if (response.status === 429) limited = response
  }
  expect(Number(value(limited!, 'retry-after'))).toBeGreaterThan(0)
  expect((await made.ask('api.test', '/', [from, bearer(token)])).status).toBe(200)
  expect((await made.ask('api.test', '/', ['X-Forwarded-For: 203.0.113.78', bearer(`sgv_${'0'.repeat(43)}`)])).status).toBe(401)
})

testWith(['git'], 'git clones and pushes over HTTPS with the token as its password', async () => {
  const directory = tempDir()
  const authority = await mintAuthority()
  const appCertificates = await startStore([writePair(await mintServer(['localhost'], authority))])
  const ca = tempFile('ca.crt', authority.certificatePem)
  const git = (
    args: readonly string[],
    input?: { readonly env: Record<string, string> },
  ): Promise<{ readonly code: number | null; readonly output: string }> =>
    new Promise((resolve, reject) => {
      const child = spawn('git', args, {
        cwd: directory,
        env: { ...process.env, GIT_TERMINAL_PROMPT: '0', HOME: directory, GIT_CONFIG_NOSYSTEM: '1', GIT_SSL_CAINFO: ca, ...input?.env },
      })
      let output = ''
      child.stdout.on('data', chunk => (output += String(chunk)))
      child.stderr.on('data', chunk => (output += String(chunk)))
      child.once('error', reject)
      child.once('close', code => resolve({ code, output }))
    })
  mkdirSync(join(directory, 'repos'))
  expect((await git(['init', '-q', '--bare', 'repos/app.git'])).code).toBe(0)
  await git(['-C', 'repos/app.git', 'config', 'http.receivepack', 'true'])
  const seen: (string | undefined)[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization)
    const [path = '', query = ''] = (request.url ?? '').split('?')
    const cgi = spawn('git', ['http-backend'], {
      env: {
        ...process.env,
        GIT_PROJECT_ROOT: join(directory, 'repos'),
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: path,
        QUERY_STRING: query,
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        REMOTE_USER: String(request.headers['x-auth-name'] ?? ''),
      },
    })
    request.pipe(cgi.stdin)
    const chunks: Buffer[] = []
    cgi.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    cgi.once('close', () => {
      const output = Buffer.concat(chunks)
      const end = output.indexOf('\r\n\r\n')
      for (const line of output.subarray(0, end).toString().split('\r\n')) {
        const [name = '', ...rest] = line.split(': ')
        if (name === 'Status') response.statusCode = Number.parseInt(rest.join(''), 10)
        else response.setHeader(name, rest.join(': '))
      }
      response.end(output.subarray(end + 4))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onCleanUp(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const own = await startLaneLayers(`targets: {localhost: {protocol: http, hostname: 127.0.0.1, port: ${port}, access: {tokens: true}}}`, {
    outer: { appCertificates },
  })
  const mine = await create(['--name', 'dev', '--target', 'localhost'], own.file)
  const url = (password: string): string => `https://dev:${password}@localhost:${own.layers.port}/app.git`
  // What was made is in force within a second.
  await until(async () => (await git(['ls-remote', url(mine)])).code === 0, { what: 'the token' })
  seen.length = 0
  expect((await git(['clone', '-q', url(mine), 'work'])).code).toBe(0)
  writeFileSync(join(directory, 'work', 'a.txt'), 'a')
  const commit = ['-C', 'work', '-c', 'user.name=dev', '-c', 'user.email=dev@example.test']
  await git([...commit, 'add', 'a.txt'])
  expect((await git([...commit, 'commit', '-q', '-m', 'one'])).code).toBe(0)
  const pushed = await git(['-C', 'work', 'push', '-q', 'origin', 'HEAD:refs/heads/main'])
  expect([pushed.code, pushed.output.replaceAll(mine, '')]).toEqual([0, ''])
  expect((await git(['-C', 'repos/app.git', 'log', '--oneline', 'main'])).output).toContain('one')
  expect(new Set(seen)).toEqual(new Set([undefined]))
  const refused = await git(['clone', '-q', url(`sgv_${'A'.repeat(43)}`), 'wrong'])
  expect([refused.code, refused.output]).toEqual([128, expect.stringMatching(/401|Authentication failed/)])
})
