/** Visitors who came or were refused, and credentials that were made or revoked: in a file beside that of logins. */
import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { stateFileOf } from '../../src/config/visitors/state-file.ts'
import { run } from '../cli/context.ts'
import { startLaneLayers, writeVisitorsFiles } from '../support/lanes.ts'
import { bearer } from '../support/tunnels.ts'
import { until } from '../support/wait.ts'

const TARGETS = 'targets: {wiki.test: {protocol: http, hostname: 127.0.0.1, port: {port}, access: {tokens: true, login: {anyone: true}}}}'

test('has logins that failed, tokens and links that were made, used, refused and revoked, and no secret', async () => {
  const made = await startLaneLayers(TARGETS)
  const visitors = ['--visitors', made.file]
  const path = stateFileOf(made.file, 'audit')
  const lines = (): Record<string, unknown>[] =>
    readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
  const created = await run(['service-token', 'create', '--name', 'ci', '--target', 'wiki.test', ...visitors])
  const token = /sgv_[\w-]{43}/.exec(created.stdout)![0]
  const shared = await run(['share', 'https://wiki.test/plan', '--max-uses', '5', ...visitors])
  const [link = ''] = shared.stdout.split('\n')
  const [, share] = /id: (\w+)/.exec(shared.stdout)!
  await until(async () => (await made.ask('wiki.test', '/', [bearer(token), 'X-Forwarded-For: 203.0.113.9'])).status === 200)
  for (let i = 0; i < 3; i++) await made.ask('wiki.test', '/', [bearer(token), 'X-Forwarded-For: 203.0.113.9'])
  await made.ask('wiki.test', link.slice('https://wiki.test'.length))
  await made.ask('wiki.test', '/', [bearer(`sgv_${'A'.repeat(43)}`), 'X-Forwarded-For: 203.0.113.10'])
  await made.ask('auth.example.test', '/login?wish=none', ['X-Forwarded-For: 203.0.113.11'])
  await run(['service-token', 'revoke', 'ci', ...visitors])
  await run(['share', 'revoke', share!, ...visitors])
  await run(['visitors', 'revoke', '--email', 'ada@example.io', ...visitors])
  await run(['visitors', 'rotate', ...visitors])
  const kinds = [
    ...['keys-rotated', 'login-failed', 'refused', 'sessions-revoked', 'share-created', 'share-revoked'],
    ...['share-used', 'token-created', 'token-revoked', 'token-used'],
  ]
  await until(() => kinds.every(kind => lines().some(line => line['kind'] === kind)), { what: 'every kind of line' })
  const of = (kind: string): Record<string, unknown>[] => lines().filter(line => line['kind'] === kind)
  expect(of('token-created')).toEqual([expect.objectContaining({ who: 'ci', targets: ['wiki.test'], by: expect.any(String) })])
  // Once, however often it is used; what was tried before it was in force was refused.
  expect(of('token-used')).toEqual([expect.objectContaining({ who: 'ci', target: 'wiki.test', address: '203.0.113.9' })])
  expect(of('share-used')).toEqual([expect.objectContaining({ id: share, target: 'wiki.test', address: '127.0.0.1' })])
  expect(of('refused')).toContainEqual(
    expect.objectContaining({ address: '203.0.113.10', reason: 'a token that is none of those in force' }),
  )
  expect(of('login-failed')).toEqual([expect.objectContaining({ address: '203.0.113.11' })])
  expect(of('sessions-revoked')).toEqual([expect.objectContaining({ of: 'ada@example.io' })])
  const text = readFileSync(path, 'utf8')
  for (const secret of [token, link.split('sg-share=')[1]!]) expect(text).not.toContain(secret)
  expect(statSync(path).mode & 0o007).toBe(0)
})

test('that cannot be written is a warning: what a command has done is done', async () => {
  const file = writeVisitorsFiles()
  mkdirSync(stateFileOf(file, 'audit'))
  chmodSync(file, 0o644)
  const created = await run(['service-token', 'create', '--name', 'ci', '--target', 'wiki.test', '--visitors', file])
  expect([created.status, created.stderr]).toEqual([0, expect.stringContaining('done, and not written into')])
})
