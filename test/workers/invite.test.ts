/** Invitations of an outer layer of several processes: whichever an inner layer comes to, the secret counts once for all. */
import { expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import { request } from 'node:https'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { JOIN_PATH, parseJoinText } from '../../src/enrolment/join-text.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { freePort, listen } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

interface Line {
  readonly worker?: number
  readonly msg: string
}

const linesOf = (text: string): readonly Line[] =>
  text
    .split('\n')
    .filter(line => line.endsWith('}'))
    .map(line => JSON.parse(line) as Line)

test('--workers with --invite: any worker takes who was invited, and the secret counts once for all of them', async () => {
  const origin = createServer((_request, response) => response.end('from the private network'))
  const originPort = await listen(origin)
  onCleanUp(() => (origin.closeAllConnections(), void origin.close()))
  const state = tempDir()
  const socketPort = await freePort()
  const outer = startProcess([
    ...['outer-layer', '--workers', '2', '--log-format', 'json', '--admin-port', 'none'],
    ...['--invite', 'lan-a', '--invite', 'lan-b', '--state', state, '--invite-url', `wss://localhost:${socketPort}`],
    ...['--app-port', '0', '--socket-port', String(socketPort), '--target', `any.test=http://127.0.0.1:${originPort}`],
  ])
  await outer.waitForLine(/2 workers are up/)
  const textOf = async (name: string): Promise<string> => (await outer.waitForLine(new RegExp(`--join '([^']+#${name}:[^']+)'`)))[1] ?? ''
  const [first, second] = [await textOf('lan-a'), await textOf('lan-b')]
  expect(outer.stderr.split('--join').length - 1).toBe(2)

  // As its user would.
  const folder = tempDir()
  const inner = startProcess(['inner-layer', '--join', first, '--private-key', join(folder, 'inner.key'), '--log-format', 'json'])
  await inner.waitForLine(/joined as/)
  await until(() => outer.stdout.split('inner layer \\"lan-a\\" connected').length > 2, { what: 'both connections' })
  const [, appPort] = await outer.waitForLine(/"appPort":(\d+)/)
  expect(String((await exchange(Number(appPort), { host: 'any.test' })).body)).toBe('from the private network')

  // Many at once, each by a connection of its own: they come to both workers, and one is taken.
  const { secret } = parseJoinText(second)
  const { certificatePem } = await mintKeyPair({ type: 'ec', commonName: 'lan-b', validityYears: 1 })
  const body = JSON.stringify({ secret, certificate: certificatePem })
  const handIn = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
      const options = {
        port: socketPort,
        host: 'localhost',
        path: JOIN_PATH,
        method: 'POST',
        headers,
        agent: false,
        rejectUnauthorized: false,
      }
      const call = request(options, response => response.resume().on('end', () => resolve(response.statusCode ?? 0)))
      call.on('error', reject).end(body)
    })
  const refusedAt = (): ReadonlySet<number | undefined> =>
    new Set(linesOf(outer.stdout).flatMap(({ msg, worker }) => (msg.startsWith('nobody has joined') ? [worker] : [])))
  const statuses = await Promise.all(Array.from({ length: 8 }, handIn))
  expect(statuses.filter(status => status === 200)).toEqual([200])
  // An address may guess ten times in a minute, so the rest are few.
  await until(
    async () => {
      expect(await handIn()).not.toBe(200)
      return refusedAt().size === 2
    },
    { what: 'a refusal of each worker' },
  )
  const joined = (): readonly unknown[] => linesOf(outer.stdout).filter(({ msg }) => msg.includes('"lan-b" has joined'))
  await until(() => joined().length > 0, { what: 'the line of the one who has joined' })
  expect(joined()).toHaveLength(1)
  expect(readdirSync(join(state, 'inner-layers')).map(name => name.slice(0, 6))).toEqual(['lan-a-', 'lan-b-'])
  for (const text of [outer.stdout, inner.output])
    for (const each of [first, second]) expect(text).not.toContain(parseJoinText(each).secret)
  expect(await outer.stop()).toEqual({ code: 0, signal: null })
})
