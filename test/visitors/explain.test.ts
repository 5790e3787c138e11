/** Who would come in, without anybody coming. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { readKeys } from '../../src/visitors/session/key-ring.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { sessionText } from '../../src/visitors/session/session.ts'
import { run } from '../cli/context.ts'
import { issuerOf, mintAuthority } from '../support/certificates.ts'
import { socketOf } from '../support/directory.ts'
import { startLaneLayers, writeVisitorsFiles } from '../support/lanes.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const TARGETS = `
targets:
  wiki.test:
    hostname: wiki.internal
    access: {tokens: true, login: {emails: [ada@example.test], domains: [corp.test]}, public: ['^/open/.*']}
    routes:
      - {path: /admin, access: {login: {domains: [corp.test], groups: [ops]}}}
      - {path: /free, access: false}
`

test('targets explain says which lane decides on somebody, and why', async () => {
  const file = tempFile('targets.yaml', TARGETS)
  const visitors = writeVisitorsFiles()
  const made = await run(['service-token', 'create', '--visitors', visitors, '--name', 'ci', '--target', 'wiki.test', '--methods', 'GET'])
  const token = /sgv_[\w-]{43}/.exec(made.stdout)![0]
  const explain = async (path: string, args: readonly string[], method = 'GET'): Promise<readonly [number, string | undefined]> => {
    const { status, stdout } = await run(['targets', 'explain', file, method, `https://wiki.test${path}`, '--visitors', visitors, ...args])
    expect(stdout).not.toContain('sgv_')
    return [status, /^visitor {2}(.*)$/m.exec(stdout)?.[1]]
  }
  expect(await explain('/x', [])).toEqual([0, undefined])
  expect(await explain('/x', ['--as', 'Ada@example.test'])).toEqual([0, 'login: let in'])
  expect(await explain('/x', ['--as', 'eve@example.test'])).toEqual([1, expect.stringMatching(/^login: refused, .*VISITOR_FORBIDDEN/)])
  expect(await explain('/x', ['--as', 'eve@corp.test.evil.test'])).toEqual([1, expect.stringMatching(/^login: refused/)])
  expect(await explain('/admin', ['--as', 'x@corp.test'])).toEqual([0, expect.stringMatching(/^login: let in, where the provider says/)])
  expect(await explain('/admin', ['--token', token])).toEqual([1, expect.stringMatching(/^none: refused/)])
  expect(await explain('/free', ['--as', 'eve@example.test'])).toEqual([0, 'everybody: the target has no access'])
  expect(await explain('/open/a', ['--as', 'eve@example.test'])).toEqual([0, 'public: the path is for all'])
  expect(await explain('/x', ['--token', token])).toEqual([0, 'token: let in'])
  expect(await explain('/x', ['--token', token], 'POST')).toEqual([1, expect.stringMatching(/^token: refused, .*method/)])
  expect(await explain('/x', ['--token', `sgv_${'A'.repeat(43)}`])).toEqual([1, expect.stringMatching(/^token: refused/)])
})

test('targets explain judges a share link without using or showing it', async () => {
  const file = tempFile('targets.yaml', TARGETS)
  const visitors = writeVisitorsFiles()
  const share = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run(['share', 'https://wiki.test/plan', '--visitors', visitors, ...args])
    return stdout.split('\n')[0]!
  }
  const explain = async (url: string, args: readonly string[] = [], method = 'GET'): Promise<readonly [number, string | undefined]> => {
    const { status, stdout } = await run(['targets', 'explain', file, method, url, '--visitors', visitors, ...args])
    expect(stdout).not.toContain(url.split('sg-share=')[1])
    return [status, /^visitor {2}(.*)$/m.exec(stdout)?.[1]]
  }
  const link = await share('--max-uses', '2')
  for (let i = 0; i < 3; i++)
    expect(await explain(link)).toEqual([0, expect.stringMatching(/^share: let in \(share \w{16}, 2 of 2 uses left\)$/)])
  expect(await explain(link, [], 'POST')).toEqual([1, expect.stringMatching(/^share: refused, the link is not for this method/)])
  expect(await explain(link.replace('/plan', '/other'))).toEqual([1, expect.stringMatching(/not for this path/)])
  expect(await explain(link.slice(0, -5) + 'AAAAA')).toEqual([1, expect.stringMatching(/VISITOR_CREDENTIALS/)])
  const personal = await share('--email', 'bob@else.test')
  expect(await explain(personal)).toEqual([1, expect.stringMatching(/for bob@else\.test alone, who has to be logged in/)])
  expect(await explain(personal, ['--as', 'Bob@else.test'])).toEqual([0, expect.stringMatching(/^share: let in/)])
  // The gateway asks for tokens first, and a wrong one decides, whatever else is good.
  const wrong = ['--token', `sgv_${'A'.repeat(43)}`]
  expect(await explain(link, wrong)).toEqual([1, expect.stringMatching(/^token: refused, .*VISITOR_CREDENTIALS/)])
  const [, id] = /\(share (\w{16})/.exec((await explain(link))[1]!)!
  await run(['share', 'revoke', id!, '--visitors', visitors])
  expect(await explain(link)).toEqual([1, expect.stringMatching(/the link was revoked .*VISITOR_SHARE_OVER/)])
})

test('targets explain judges a client certificate', async () => {
  const authority = await mintAuthority()
  const ca = tempFile('ca.crt', authority.certificatePem)
  const file = tempFile('targets.yaml', `targets:\n  ops.test: {hostname: a, access: {certificates: {ca: "${ca}", names: [alice]}}}\n`)
  const explain = async (commonName: string, issuer?: ReturnType<typeof issuerOf>): Promise<string | undefined> => {
    const mint = { type: 'ec', commonName, validityYears: 1, purpose: 'client', ...(issuer !== undefined && { issuer }) } as const
    const pem = tempFile('a.crt', (await mintKeyPair(mint)).certificatePem)
    const { stdout } = await run(['targets', 'explain', file, 'GET', 'https://ops.test/', '--certificate', pem])
    return /^visitor {2}(.*)$/m.exec(stdout)?.[1]
  }
  expect(await explain('alice', issuerOf(authority))).toBe('certificate: let in')
  expect(await explain('eve', issuerOf(authority))).toMatch(/^certificate: refused, no name of the certificate/)
  expect(await explain('alice')).toMatch(/^certificate: refused, none of the authorities/)
})

test('targets explain explains sockets of the service', async () => {
  const visitors = writeVisitorsFiles()
  const file = tempFile('targets.yaml', TARGETS)
  const socket = socketOf(1, { dnsName: 'calm-lake-100.edge.test', visitors: { emails: ['ada@example.test'], domains: [] } })
  const directory = tempFile('directory.json', JSON.stringify({ type: 'snapshot', seq: 1, sockets: [socket], keys: [] }))
  const explain = async (...args: readonly string[]): Promise<readonly [number, string]> => {
    const url = 'https://calm-lake-100.edge.test/x'
    const { status, stdout } = await run(['targets', 'explain', file, 'GET', url, '--visitors', visitors, ...args])
    return [status, stdout]
  }
  expect((await explain('--as', 'ada@example.test'))[0]).toBe(1)
  const [status, text] = await explain('--as', 'ada@example.test', '--directory', directory)
  expect([status, text]).toEqual([0, expect.stringContaining('"calm-lake-100.edge.test", a socket of the service')])
  expect(text).toContain('login: let in, where they log in by one of the providers for sockets')
  expect(await explain('--as', 'eve@example.test', '--directory', directory)).toEqual([1, expect.stringContaining('VISITOR_FORBIDDEN')])
})

test('targets check finds providers that the file of logins has not, with their lines', async () => {
  const visitors = writeVisitorsFiles()
  writeFileSync(
    visitors,
    'auth: https://auth.test\nproviders: { company: { issuer: https://idp.test, clientId: a, clientSecretFile: nowhere } }\n',
  )
  const text = `targets:
  wiki.test:
    hostname: a
    access: {login: {provider: company, anyone: true}}
    routes:
      - {path: /a, access: {login: {provider: [company, compny], anyone: true}}}
tunnels:
  'db.lan:1': {access: {login: {provider: constructor, anyone: true}}}
`
  const file = tempFile('targets.yaml', text)
  expect((await run(['targets', 'check', file])).status).toBe(0)
  const { status, stderr } = await run(['targets', 'check', file, '--visitors', visitors])
  expect(status).toBe(1)
  expect(stderr).toContain(`${file}:6:1: wiki.test/a: ${visitors} has no provider "compny"; it has company`)
  expect(stderr).toContain(`${file}:8:1: db.lan:1: ${visitors} has no provider "constructor"; it has company`)
})

/** Numbers of a generator that always gives the same ones (Park and Miller). */
function* numbers(seed: number): Generator<number, never> {
  for (let last = seed; ; last = (last * 48_271) % 2_147_483_647) yield last
}

test('targets explain says of five hundred requests what becomes of them', async () => {
  const origin = 'protocol: http, hostname: 127.0.0.1, port: {port}'
  const text = `
targets:
  wiki.test:
    protocol: http
    hostname: 127.0.0.1
    port: {port}
    policy: { '^/(pub|open|v1|admin|free)(/.*)?$': [GET, POST], /secret: [GET] }
    access: {tokens: true, login: {emails: [ada@example.test], domains: [corp.test]}, public: ['^/open/.*']}
    routes:
      - {path: /admin, access: {login: {domains: [corp.test]}}}
      - {path: /v1, access: {tokens: true}}
      - {path: /free, access: false}
  wide.test: {${origin}, access: {login: {anyone: true}}}
`
  const folder = tempDir()
  writeFileSync(join(folder, 'company.secret'), 'secret', { mode: 0o600 })
  const file = writeVisitorsFiles(
    folder,
    'providers: {company: {issuer: https://idp.test, clientId: a, clientSecretFile: company.secret}}\n',
  )
  const made = await startLaneLayers(text, { file })
  const targets = tempFile('targets.yaml', text.replaceAll('{port}', '80'))
  const create = ['service-token', 'create', '--visitors', file, '--target', 'wiki.test', '--name']
  const tokenOf = async (...args: readonly string[]): Promise<string> => /sgv_[\w-]{43}/.exec((await run([...create, ...args])).stdout)![0]
  const tokens = [await tokenOf('all'), await tokenOf('some', '--methods', 'GET', '--paths', '^/v1/.*'), `sgv_${'A'.repeat(43)}`]
  const lineOf = (token: string): string => `Authorization: Bearer ${token}`
  let asked = 0
  for (const token of tokens.slice(0, 2))
    await until(
      async () => (await made.ask('wiki.test', '/v1/a', [lineOf(token), `X-Forwarded-For: 203.0.113.${asked++ % 256}`])).status === 200,
    )
  const keys = readKeys(readFileSync(file.replace('.yaml', '.key'), 'utf8'))
  const cookieOf = (host: string, email: string): string => {
    const person = { provider: 'company', subject: email, email, name: undefined, groups: [], claims: new Map() }
    const session = { person, loginId: 'l', id: email, loggedInMs: Date.now(), seenMs: Date.now() }
    return `Cookie: __Host-sg-login-visitor=${new Seal(() => keys).seal('session', host, sessionText(session))}`
  }
  const pieces = ['/', '/', '//', '..', '.', ';', '%2e', '%2f', '%5c', '%41', '%', 'a', 'pub', 'open', 'admin', 'v1', 'free', 'secret']
  const people = ['Ada@example.test', 'eve@example.test', 'x@corp.test', 'x@corp.test.evil.test', '\u0430da@example.test']
  const random = numbers(20_261_129)
  const oneOf = <T>(list: readonly T[]): T => list[random.next().value % list.length]!
  const outcomes = new Map<string, number>()
  for (let i = 0; i < 500; i++) {
    const host = oneOf(['wiki.test', 'wiki.test', 'wiki.test', 'wide.test'])
    const path = `/${oneOf(pieces.slice(11))}${Array.from({ length: random.next().value % 5 }, () => oneOf(pieces)).join('')}`
    const method = oneOf(['GET', 'GET', 'POST', 'DELETE'])
    const token = oneOf([undefined, ...tokens])
    const email = token === undefined ? oneOf(people) : undefined
    const from = [`X-Forwarded-For: 198.51.${i >> 8}.${i % 256}`, 'X-Forwarded-Proto: https', `Origin: https://${host}`]
    const live = await made.ask(host, path, [...from, token === undefined ? cookieOf(host, email!) : lineOf(token)], method)
    const who = token === undefined ? ['--as', email!] : ['--token', token]
    const said = await run(['targets', 'explain', targets, method, `https://${host}${path}`, '--visitors', file, ...who])
    const what = [method, host, path, email ?? tokens.indexOf(token!)]
    expect([...what, said.status]).toEqual([...what, live.status === 200 ? 0 : 1])
    const code = live.status === 200 ? 'let in' : /[A-Z]+_[A-Z_]+/.exec(live.body.toString())?.[0]
    if (live.status !== 200) expect([...what, said.stdout]).toEqual([...what, expect.stringContaining(`(${code})`)])
    outcomes.set(String(code), (outcomes.get(String(code)) ?? 0) + 1)
  }
  // Each of them has been there often enough to mean something.
  for (const code of ['let in', 'POLICY_REFUSED', 'VISITOR_FORBIDDEN', 'VISITOR_CREDENTIALS', 'VISITOR_REQUIRED', 'AMBIGUOUS_PATH'])
    expect([code, (outcomes.get(code) ?? 0) >= 10]).toEqual([code, true])
})
