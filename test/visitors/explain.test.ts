/** Who would come in, without anybody coming. */
import { writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { run } from '../cli/context.ts'
import { issuerOf, mintAuthority } from '../support/certificates.ts'
import { socketOf } from '../support/directory.ts'
import { writeVisitorsFiles } from '../support/lanes.ts'
import { tempFile } from '../support/temp.ts'

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
