/** Requests of sockets that are sent again through a real gateway to an origin that does not answer. */
import { createServer, type ServerResponse } from 'node:http'
import { afterEach, expect, test } from '@jest/globals'
import type { RequestsAnswer } from '../../src/directory/socket-requests.ts'
import { SocketInspectors } from '../../src/inspector/sockets/socket-inspectors.ts'
import { SocketReplays } from '../../src/inspector/sockets/socket-replays.ts'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'
import { idOf } from '../support/directory.ts'
import { startLayers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

afterEach(cleanUp)

const LONG_MS = 600_000

async function start(maxMs: number) {
  const held: ServerResponse[] = []
  let closed = 0
  const server = createServer((_request, response) => {
    response.on('close', () => closed++)
    held.push(response)
  })
  onCleanUp(() => {
    server.closeAllConnections()
    server.close()
  })
  const targets = 'targets:\n  "localhost": {protocol: http, hostname: 127.0.0.1, port: {port}}\n'
  const layers = await startLayers({ origin: await listen(server), targets })
  const faults: unknown[] = []
  const inspectors = new SocketInspectors({
    ...{ budgetBytes: 4_194_304, accountBytes: 2_097_152, bodyLimitBytes: 65_536, clock: () => performance.now(), nowMs: Date.now },
    isInspected: () => true,
    onFault: thrown => void faults.push(thrown),
  })
  onCleanUp(async () => {
    await inspectors.close()
    expect(faults).toEqual([])
  })
  const replays = new SocketReplays(inspectors, () => idOf(1), layers.outer.replay, maxMs)
  const replay = (account: number, edits: object): Promise<RequestsAnswer> => {
    const owner = { accountId: idOf(account, 2), socketId: idOf(1) }
    const fields = ['Host', 'localhost']
    const way = { protocol: 'http', hostname: '127.0.0.1', port: 1 } as const
    const tap = inspectors.open({
      ...{ kind: 'http', scheme: 'http', authority: 'localhost', method: 'GET', path: '/', version: '1.1', fields, way, owner },
    })!
    tap.sentEnd([])
    tap.end({})
    return replays.answer({ ...owner, kind: 'replay', requestId: tap.id, edits, address: '127.0.0.1' })
  }
  const streams = (): number => layers.outer.registry.connections[0]!.session.streamCount
  return { held, closed: () => closed, replay, streams }
}

test('what has not answered in time is given up at its origin, and what was not begun is not sent', async () => {
  const { held, closed, replay, streams } = await start(2_000)
  const late = { id: null, durationMs: expect.any(Number), error: 'ORIGIN_TIMEOUT' }
  expect(await replay(1, { times: 3 })).toEqual({
    kind: 'replayed',
    results: [1, 2, 3].map(() => expect.objectContaining(late)),
  })
  // Long before the two minutes that a replay may take at most.
  await until(() => closed() === held.length && streams() === 0, { what: 'the origin to be left' })
  expect(held.length).toBeLessThanOrEqual(1)
})

test('an account has two under way and all have sixteen; others are refused until these are over', async () => {
  const { held, replay } = await start(LONG_MS)
  const refused = { kind: 'refused', code: 'OVERLOADED', why: 'other replays are under way; wait until they are over' }
  const running = [replay(1, {}), replay(1, {})]
  expect(await replay(1, {})).toEqual(refused)
  for (let account = 2; account <= 8; account++) running.push(replay(account, {}), replay(account, {}))
  expect(await replay(9, {})).toEqual(refused)
  await until(() => held.length === 16, { what: 'all of them to be sent' })
  for (const response of held.splice(0)) response.end('ok')
  for (const answer of await Promise.all(running))
    expect(answer).toMatchObject({ kind: 'replayed', results: [{ status: 200, error: null }] })
  const next = replay(9, {})
  await until(() => held.length === 1, { what: 'the next' })
  held[0]!.end('ok')
  expect(await next).toMatchObject({ kind: 'replayed', results: [{ status: 200 }] })
})
