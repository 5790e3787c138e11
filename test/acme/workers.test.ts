/** Several processes with the same ports: one of them orders, and an authority may ask any. */
import { createServer } from 'node:http'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { PendingChallenges } from '../../src/acme/pending-challenges.ts'
import { SharedAnswers } from '../../src/acme/shared-answers.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { testKeyPair } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { PEBBLE_PROGRAMS, startPebble } from '../support/pebble.ts'
import { listen } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { shownTo } from './keeping.ts'

test('what one has published the others answer, until it is withdrawn', async () => {
  const folder = tempDir()
  const [first, second] = [new PendingChallenges(new SharedAnswers(folder)), new PendingChallenges(new SharedAnswers(folder))]
  const http = { kind: 'http-01', name: 'a.example.com', token: '../../token', keyAuthorization: 'token.thumb' } as const
  const take = await first.add(http)
  expect([await second.textOf('../../token'), await second.textOf('other')]).toEqual(['token.thumb', undefined])
  const files = readdirSync(join(folder, 'answers'))
  expect(files).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
  expect(statSync(join(folder, 'answers', files[0]!)).mode & 0o777).toBe(0o600)
  const takeTls = await first.add({ ...http, kind: 'tls-alpn-01' })
  expect(second.isAskedByTls).toBe(true)
  expect(await second.contextOf('a.example.com')).toBeDefined()
  expect(await second.contextOf('b.example.com')).toBeUndefined()
  await Promise.all([take(), takeTls()])
  expect([await second.textOf('../../token'), await second.contextOf('a.example.com')]).toEqual([undefined, undefined])
})

testWith(PEBBLE_PROGRAMS, 'two workers: a certificate is ordered once, and shown by both', async () => {
  const origin = await listen(createServer((req, res) => res.end(req.url)))
  const pebble = await startPebble()
  const folder = join(tempDir(), 'acme')
  const targets = tempFile(
    'targets.yaml',
    `targets:\n  a.example.com: http://127.0.0.1:${origin}\n  b.example.com: http://127.0.0.1:${origin}\n`,
  )
  const outer = startProcess([
    ...[
      'outer-layer',
      '--public-key',
      tempFile('inner.crt', (await testKeyPair()).certificatePem),
      '--targets',
      targets,
      '--log-format',
      'json',
    ],
    ...['--workers', '2', '--app-port', String(pebble.tlsPort), '--socket-port', '0', '--admin-port', 'none'],
    ...['--acme', 'ops@example.com', '--acme-path', folder, '--acme-directory', pebble.directory, '--acme-directory-ca', pebble.caFile],
  ])
  onCleanUp(() => outer.stop())
  await outer.waitForLine(/2 workers are up/)
  for (const name of ['a', 'b']) await outer.waitForLine(new RegExp(`the certificate for ${name}\\.example\\.com has come from 127`))
  const root = await pebble.root()
  // Connections go to them in turn; the one that has not ordered looks at the folder once a second.
  let inTurn = 0
  await until(
    async () => {
      for (const name of ['a.example.com', 'b.example.com'])
        inTurn = await shownTo(pebble.tlsPort, name, root).then(
          () => inTurn + 1,
          () => 0,
        )
      return inTurn >= 8
    },
    { what: 'both workers to show both' },
  )
  expect(outer.stdout.match(/"msg":"ordering/g)).toHaveLength(2)
})
