/** Requests of sockets, recorded for their owners: by the real API, the real command line and a real gateway, and the memory that accounts share. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import { createSocketInspection, type SocketInspection } from '../../src/cli/inspect/socket-inspection.ts'
import { layeredTaps } from '../../src/cli/inspect/layered-taps.ts'
import { runCli } from '../../src/cli/run-cli.ts'
import type { Page, SeenRequest, SeenRequestDetail, Socket } from '../../src/client/wire.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { answerRequests } from '../../src/inspector/sockets/answer-requests.ts'
import { SocketInspectors } from '../../src/inspector/sockets/socket-inspectors.ts'
import type { TapStart } from '../../src/tap/tap.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { startApi, type ApiAnswer, type RunningApi } from '../support/api.ts'
import { idOf, ZONE } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { TEST_CONFIG } from '../support/service.ts'
import { until } from '../support/wait.ts'

const MIB = 1_048_576
const codeOf = ({ status, json }: ApiAnswer): string => `${status} ${(json as { error: string }).error}`

describe('requests of a socket', () => {
  let layers: Layers
  let api: RunningApi
  let socket: Socket
  let inspection: SocketInspection
  let stop: () => void
  let ended: Promise<number>
  const operatorSaw: TapStart[] = []

  beforeAll(async () => {
    const directory = new LiveDirectory({ zone: ZONE, ports: { from: 1_024, to: 65_535 } })
    const keeping = { 'inspect-memory': 16 * MIB, 'inspect-body': MIB, 'inspect-redact': [], 'inspect-show': [] }
    inspection = createSocketInspection(keeping, id => directory.isInspected(id), silentLog)
    const operator = { open: (start: TapStart) => void operatorSaw.push(start) }
    const taps = layeredTaps(operator, inspection.taps)!
    layers = await startLayers({ targets: 'targets: {}', inners: 0, outer: { directory, taps } })
    const apply = async (change: unknown): Promise<void> => {
      await directory.apply(change)
    }
    const hosts = { ...TEST_CONFIG.hosts, link: [`ws://127.0.0.1:${layers.socketPort}`] }
    // As they go from one process to the other.
    const requests: SocketInspection['answer'] = question => JSON.parse(JSON.stringify(inspection.answer(question))) as never
    api = await startApi({}, { dataPlane: { apply, requests: async question => requests(question) }, config: { hosts } })
    const origin = await listen(
      createServer((request, response) => {
        request.resume()
        request.on('end', () =>
          response
            .writeHead(request.url === '/bad' ? 500 : 200, { 'content-type': 'application/json', 'set-cookie': 'sid=planted-cookie' })
            .end('{"ok":true,"access_token":"planted-token"}'),
        )
      }),
    )
    const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
    let shown = ''
    ended = runCli({
      argv: ['connect', String(origin), '--name', 'mine'],
      env: { SG_SERVER: api.url, SG_API_TOKEN: api.tokens.ada },
      stdout: { write: text => (shown += text) },
      stderr: { write: text => (shown += text) },
      logDestination: { write: () => true },
      untilStopped: () => stopped,
    })
    await until(() => /connected, \d+ ms/.test(shown), { what: 'the connection' })
    socket = ((await api.v1('GET', '/sockets')).json as { items: Socket[] }).items[0]!
  })
  afterAll(async () => {
    stop()
    await ended
    await inspection.close()
  })

  const pathOf = (rest = ''): string => `/sockets/${socket.id}/requests${rest}`
  const list = async (query = ''): Promise<Page<SeenRequest>> => {
    const { status, json } = await api.v1('GET', pathOf(query))
    expect(status).toBe(200)
    return json as Page<SeenRequest>
  }
  const update = async (...options: readonly string[]): Promise<void> => {
    const argv = ['socket', 'update', socket.id, ...options]
    const env = { SG_SERVER: api.url, SG_API_TOKEN: api.tokens.ada }
    const quiet = { write: () => true }
    const untilStopped = (): Promise<undefined> => Promise.resolve(undefined)
    expect(await runCli({ argv, env, stdout: quiet, stderr: quiet, logDestination: quiet, untilStopped })).toBe(0)
  }
  const visit = (path: string): ReturnType<typeof exchange> =>
    exchange(layers.port, {
      method: 'POST',
      path,
      host: socket.dnsName,
      headers: { authorization: 'Bearer planted-bearer', 'content-type': 'application/json' },
      body: '{"note":"hello","password":"planted-password"}',
    })
  const settled = (count: number): Promise<unknown> =>
    until(async () => (await list()).items.filter(({ isOver }) => isOver).length === count, { what: `${count} requests` })

  test('are not recorded unless its owner wants that', async () => {
    expect(socket.inspect).toBe(false)
    expect((await visit('/before')).status).toBe(200)
    expect(await list()).toEqual({ items: [], next: null })
  })

  test('are shown to its owner, without secrets, by list, filter and cursor, and whole', async () => {
    await update('--inspect', 'yes')
    for (const path of ['/one?token=planted-query', '/bad', '/three']) await visit(path)
    await settled(3)
    const { items } = await list()
    expect(items.map(({ path, status }) => [path, status])).toEqual([
      ['/three', 200],
      ['/bad', 500],
      ['/one?token=***', 200],
    ])
    expect((await list(`?filter=${encodeURIComponent('status:>=500')}`)).items.map(({ path }) => path)).toEqual(['/bad'])
    const first = await list('?limit=2')
    expect(first.items.map(({ id }) => id)).toEqual(items.slice(0, 2).map(({ id }) => id))
    expect(await list(`?limit=2&cursor=${first.next}`)).toEqual({ items: items.slice(2), next: null })
    const { json, text } = await api.v1('GET', pathOf(`/${items[2]!.id}`))
    const { request, response, redacted } = json as SeenRequestDetail
    expect(JSON.parse(request.body.text!)).toEqual({ note: 'hello', password: '***' })
    expect(JSON.parse(response!.body.text!)).toEqual({ ok: true, access_token: '***' })
    expect(redacted).toContain('request field authorization')
    expect(text).not.toContain('planted')
    expect(text).not.toContain('.invalid')
    // Whoever runs the gateway has an inspector of his own, which sees none of it.
    expect(operatorSaw).toEqual([])
  })

  test('are for its owner alone: neither for others, nor admins, nor tokens that only read', async () => {
    const [{ id } = { id: '' }] = (await list()).items
    for (const token of ['bob', 'root'])
      for (const path of [pathOf(), pathOf(`/${id}`)]) expect(codeOf(await api.v1('GET', path, { token }))).toBe('404 NOT_FOUND')
    const { json } = await api.v1('POST', '/account/tokens', { body: { name: 'ci', scopes: ['read'] } })
    expect(codeOf(await api.v1('GET', pathOf(), { token: (json as { token: string }).token }))).toBe('403 FORBIDDEN')
    const other = ((await api.v1('POST', '/sockets', { body: { name: 'other', inspect: true } })).json as Socket).id
    expect(codeOf(await api.v1('GET', `/sockets/${other}/requests/${id}`))).toBe('404 NOT_FOUND')
    expect((await api.v1('GET', `/sockets/${other}/requests`)).json).toEqual({ items: [], next: null })
    expect(codeOf(await api.v1('GET', pathOf('/nonsense')))).toBe('404 NOT_FOUND')
    expect(codeOf(await api.v1('GET', pathOf('?filter=status:often')))).toBe('400 INVALID')
    expect(codeOf(await api.v1('PATCH', `/sockets/${socket.id}`, { body: { inspect: 'yes' } }))).toBe('400 INVALID')
  })

  test('are gone for everybody once the owner wants no more of it', async () => {
    const [{ id } = { id: '' }] = (await list()).items
    await update('--inspect', 'no')
    expect((await visit('/after')).status).toBe(200)
    expect(await list()).toEqual({ items: [], next: null })
    expect(codeOf(await api.v1('GET', pathOf(`/${id}`)))).toBe('404 NOT_FOUND')
  })
})

test('a gateway that records nothing says so', async () => {
  const api = await startApi()
  const { id } = (await api.v1('POST', '/sockets', { body: { name: 'mine', inspect: true } })).json as Socket
  expect(codeOf(await api.v1('GET', `/sockets/${id}/requests`))).toBe('409 CONFLICT')
})

describe('the memory of all accounts', () => {
  const [budgetBytes, accountBytes] = [4 * MIB, 2 * MIB]
  const startOf = (account: number): TapStart => ({
    ...{ kind: 'http', scheme: 'http', authority: 'a', method: 'POST', path: '/', version: '1.1' },
    ...{ fields: ['Content-Type', 'text/plain'], owner: { accountId: idOf(account, 2), socketId: idOf(account) } },
  })
  let now = 1_700_000_000_000
  let isInspected = (_socketId: string): boolean => true
  const faults: unknown[] = []
  const inspectors = new SocketInspectors({
    ...{ budgetBytes, accountBytes, bodyLimitBytes: 65_536, clock: () => now, nowMs: () => now },
    isInspected: socketId => isInspected(socketId),
    onFault: thrown => void faults.push(thrown),
  })
  afterAll(() => inspectors.close())
  const body = Buffer.from('x'.repeat(40_000))
  const record = (account: number): void => {
    const tap = inspectors.open(startOf(account))
    tap?.sent(body)
    tap?.sentEnd([])
    tap?.end({})
  }
  const count = (account: number): number => [...inspectors.newestFirst(idOf(account, 2), idOf(account))].length

  test('is one account’s only up to its part, and who has the most makes room for the others', () => {
    for (let i = 0; i < 20; i++) record(1)
    const quiet = count(1)
    expect(quiet).toBe(20)
    // One that floods stays within its part, two of them within all, and the quiet one loses nothing.
    for (let i = 0; i < 200; i++) for (const account of [2, 3, 4]) record(account)
    expect(inspectors.heldBytes).toBeLessThanOrEqual(budgetBytes)
    expect(count(1)).toBe(quiet)
    for (const account of [2, 3, 4]) expect(count(account)).toBeGreaterThan(quiet)
    for (const account of [2, 3, 4]) expect(count(account) * body.length).toBeLessThanOrEqual(accountBytes)
    expect(faults).toEqual([])
  })

  test('is given back with what nobody wants any more, and after an hour', () => {
    isInspected = socketId => socketId !== idOf(2)
    expect(count(2)).toBe(0)
    const before = inspectors.heldBytes
    inspectors.tidy()
    expect(inspectors.heldBytes).toBeLessThan(before)
    expect(count(1)).toBe(20)
    now += 3_600_001
    record(5)
    expect(count(1)).toBe(0)
    inspectors.tidy()
    expect([count(5), inspectors.heldBytes < 100_000]).toEqual([1, true])
  })

  test('is shown with the bytes as they are where they are no text', () => {
    const tap = inspectors.open({ ...startOf(6), fields: ['Content-Type', 'image/png'] })
    tap?.sent(Buffer.from([137, 80, 78, 71, 0]))
    tap?.sentEnd([])
    tap?.end({})
    const asked = { accountId: idOf(6, 2), socketId: idOf(6) }
    const answer = answerRequests(inspectors, { ...asked, kind: 'one', requestId: tap?.id ?? '' })
    expect(answer).toMatchObject({ request: { request: { body: { text: null, base64: 'iVBORwA=' } } } })
    // That a socket is another account's was asked before; here it has nothing of it.
    expect(answerRequests(inspectors, { ...asked, accountId: idOf(1, 2), kind: 'list', filter: '', before: undefined, limit: 10 })).toEqual(
      {
        ...{ kind: 'list', items: [], next: null },
      },
    )
  })
})
