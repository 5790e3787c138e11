/** Requests of sockets, recorded for their owners: by the real API, the real command line and a real gateway, and the memory that accounts share. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import { createSocketInspection, type SocketInspection } from '../../src/cli/inspect/socket-inspection.ts'
import { layeredTaps } from '../../src/cli/inspect/layered-taps.ts'
import { runCli } from '../../src/cli/run-cli.ts'
import { parseServerUrl } from '../../src/client/server-url.ts'
import { ServiceClient } from '../../src/client/service-client.ts'
import type { AuditEntry, Har, Page, Replayed, SeenRequest, SeenRequestDetail, Socket } from '../../src/client/wire.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import type { RequestsChange } from '../../src/directory/socket-requests.ts'
import { answerRequests } from '../../src/inspector/sockets/answer-requests.ts'
import { RequestFollower } from '../../src/inspector/sockets/request-follower.ts'
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
    inspection = createSocketInspection(keeping, directory, silentLog)
    const operator = { open: (start: TapStart) => void operatorSaw.push(start) }
    const taps = layeredTaps(operator, inspection.taps)!
    layers = await startLayers({ targets: 'targets: {}', inners: 0, outer: { directory, taps } })
    const apply = async (change: unknown): Promise<void> => {
      await directory.apply(change)
    }
    const hosts = { ...TEST_CONFIG.hosts, link: [`ws://127.0.0.1:${layers.socketPort}`] }
    // As they go from one process to the other.
    const requests: SocketInspection['answer'] = async question => JSON.parse(JSON.stringify(await inspection.answer(question))) as never
    inspection.serves(layers.outer)
    const dataPlane = { apply, requests, followRequests: inspection.follow }
    api = await startApi({}, { dataPlane, config: { hosts } })
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

  test('are told as they come, until the reader leaves, and to nobody else', async () => {
    const ada = new ServiceClient({ server: parseServerUrl(api.url), env: {}, token: () => api.tokens.ada })
    const stop = new AbortController()
    const told: SeenRequest[] = []
    const reading = (async () => {
      for await (const change of ada.liveRequests(socket.id, 'path:/live', stop.signal))
        if (change.type === 'request') told.push(change.request)
    })()
    // Whatever came before the reader was there is not told: so it is asked for until one is.
    await until(async () => (await visit('/live/a'), told.length > 0), { what: 'a change' })
    await visit('/other')
    await visit('/live/b?token=planted-query')
    await until(() => told.some(({ path, isOver }) => path === '/live/b?token=***' && isOver), { what: 'the other change' })
    expect(told.filter(({ path }) => !path.startsWith('/live/'))).toEqual([])
    stop.abort()
    await reading
    expect(codeOf(await api.v1('GET', pathOf('/live'), { token: 'bob' }))).toBe('404 NOT_FOUND')
    expect(codeOf(await api.v1('GET', pathOf('/live'), { token: 'root' }))).toBe('404 NOT_FOUND')
    expect(codeOf(await api.v1('GET', pathOf('/live?filter=status:often')))).toBe('400 INVALID')
  })

  test('are sent again as they were or edited, to their own socket alone, and each call has a line', async () => {
    const replay = (id: string, body: object, token = 'ada'): ReturnType<typeof api.v1> =>
      api.v1('POST', pathOf(`/${id}/replay`), { body, token })
    await visit('/three')
    const bad = (await list(`?filter=${encodeURIComponent('path:/bad')}`)).items[0]!
    // What was taken out has to be given, or to be sent as it is shown.
    const refused = await replay(bad.id, {})
    expect(codeOf(refused)).toBe('409 CONFLICT')
    expect(refused.text).toContain('request field authorization')
    const given = { setFields: { authorization: null }, body: '{"note":"again"}' }
    const { status, json } = await replay(bad.id, { ...given, times: 3, concurrency: 2 })
    expect(status).toBe(200)
    const { results } = json as Replayed
    expect(results.map(result => [result.status, result.error])).toEqual([
      [500, null],
      [500, null],
      [500, null],
    ])
    const again = (await api.v1('GET', pathOf(`/${results[0]!.id}`))).json as SeenRequestDetail
    expect([again.replayOf, again.request.body.text, again.path]).toEqual([bad.id, '{"note":"again"}', '/bad'])
    const edited = (await replay(bad.id, { ...given, method: 'PUT', path: '/fixed' })).json as Replayed
    expect(edited.results.map(result => result.status)).toEqual([200])
    // Neither another host, nor for others, nor with a token that only reads.
    expect(codeOf(await replay(bad.id, { ...given, setFields: { authorization: null, host: 'a.example.com' } }))).toBe('400 INVALID')
    expect(codeOf(await replay(bad.id, { ...given, fields: [['Host', 'other.example.com']] }))).toBe('400 INVALID')
    expect(codeOf(await replay(bad.id, { ...given, path: 'http://a.example.com/' }))).toBe('400 INVALID')
    expect(codeOf(await replay(bad.id, { ...given, more: 1 }))).toBe('400 INVALID')
    for (const token of ['bob', 'root']) expect(codeOf(await replay(bad.id, given, token))).toBe('404 NOT_FOUND')
    const reads = ((await api.v1('POST', '/account/tokens', { body: { name: 'ci', scopes: ['read'] } })).json as { token: string }).token
    expect(codeOf(await replay(bad.id, given, reads))).toBe('403 FORBIDDEN')
    const audit = (await api.v1('GET', '/audit?action=socket.replay')).json as Page<AuditEntry>
    expect(audit.items[0]).toMatchObject({ object: `socket:${socket.id}`, details: { request: bad.id } })
    expect(JSON.stringify(audit)).not.toContain('again')
  })

  test('are listed, shown, sent again, exported and followed in a terminal', async () => {
    const command = async (
      ...argv: readonly string[]
    ): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> => {
      const out = { stdout: '', stderr: '' }
      const status = await runCli({
        argv: ['requests', ...argv, '--socket', 'mine'],
        env: { SG_SERVER: api.url, SG_API_TOKEN: api.tokens.ada },
        stdout: { write: text => (out.stdout += text) },
        stderr: { write: text => (out.stderr += text) },
        logDestination: { write: () => true },
        untilStopped: () => Promise.resolve(undefined),
      })
      return { status, ...out }
    }
    await visit('/terminal?token=planted-query')
    const { id } = await until(async () => (await list('?filter=path:/terminal%20is:over')).items[0], { what: 'the request' })
    expect((await command('--filter', 'path:/terminal')).stdout).toContain(`POST ${socket.dnsName}/terminal?token=***`)
    const { stdout } = await command('show', id)
    for (const text of [`POST http://${socket.dnsName}/terminal`, '"note":"hello"', 'HTTP 200', '"access_token":"***"'])
      expect(stdout).toContain(text)
    expect((await command('show', id, '--body', 'request')).stdout).toBe('{"note":"hello","password":"***"}')
    expect((await command('show', id, '--as', 'curl')).stdout).toMatch(/^curl /)
    expect(JSON.parse((await command('show', id, '--json')).stdout)).toMatchObject({ id, messageList: [] })
    const refused = await command('replay', id)
    expect([refused.status, refused.stderr.includes('request query')]).toEqual([1, true])
    const replay = await command('replay', id, '--path', '/terminal', '--field', 'authorization:', '--allow-redacted', '--json')
    expect(JSON.parse(replay.stdout)).toMatchObject([{ status: 200, error: null }])
    const har = JSON.parse((await command('har', '--filter', 'path:/terminal')).stdout) as Har
    expect(har.log.entries).toHaveLength(2)
    expect((await command('show', 'nothing')).status).toBe(1)
    // Is asked to stop at once, when it has told what there is.
    expect((await command('--follow', '--filter', 'path:/terminal', '--json')).stdout.trim().split('\n')).toHaveLength(2)
  })

  test('go into a HAR file, without secrets and without names of the gateway', async () => {
    const { json, text } = await api.v1('GET', pathOf('/har'))
    const entries = (json as Har).log.entries as readonly { readonly _socketGateway: { readonly id: string } }[]
    const { items } = await list()
    expect(entries.map(entry => entry._socketGateway.id)).toEqual(items.map(({ id }) => id).reverse())
    expect(text).not.toContain('planted')
    expect(text).not.toContain('.invalid')
    const some = (await api.v1('GET', pathOf(`/har?id=${items[0]!.id}&id=${items[1]!.id}`))).json as Har
    expect(some.log.entries).toHaveLength(2)
    expect(codeOf(await api.v1('GET', pathOf('/har'), { token: 'bob' }))).toBe('404 NOT_FOUND')
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

describe('whoever follows', () => {
  let now = 1_700_000_000_000
  let isInspected: boolean | undefined = true
  const inspectors = new SocketInspectors({
    ...{ budgetBytes: 4 * MIB, accountBytes: 2 * MIB, bodyLimitBytes: 65_536, clock: () => now, nowMs: () => now++ },
    isInspected: () => isInspected,
    onFault: thrown => {
      throw thrown
    },
  })
  afterAll(() => inspectors.close())
  const start = (socket: number, path: string): TapStart => ({
    ...{ kind: 'http', scheme: 'http', authority: 'a', method: 'GET', path, version: '1.1', fields: [] },
    owner: { accountId: idOf(1, 2), socketId: idOf(socket) },
  })
  const told: RequestsChange[] = []
  const follower = new RequestFollower(inspectors, { accountId: idOf(1, 2), socketId: idOf(1), filter: '' }, changes =>
    told.push(...changes),
  )
  afterAll(() => follower.end())
  const turn = (): readonly RequestsChange[] => {
    told.length = 0
    follower.turn()
    return [...told]
  }

  test('hears of one socket alone, of each request once in a turn, and of what is gone', () => {
    const tap = inspectors.open(start(1, '/a'))
    tap?.end({})
    inspectors.open(start(2, '/b'))?.end({})
    expect(turn()).toMatchObject([{ type: 'request', request: { path: '/a', isOver: true } }])
    expect(turn()).toEqual([])
    inspectors.inspectorOf(idOf(1, 2))!.delete(inspectors.find({ accountId: idOf(1, 2), socketId: idOf(1), requestId: tap!.id }))
    expect(turn()).toEqual([{ type: 'gone', ids: [tap!.id] }])
  })

  test('is told to ask again when there was too much, and when its owner wants no more of it', () => {
    for (let i = 0; i < 6_000; i++) inspectors.open(start(1, '/many'))?.end({})
    const first = turn()
    expect(first[0]).toEqual({ type: 'reset' })
    expect(first.length).toBeLessThanOrEqual(251)
    isInspected = false
    expect(turn()).toEqual([{ type: 'reset' }])
    inspectors.open(start(1, '/unseen'))?.end({})
    expect(turn()).toEqual([])
  })

  test('is told the end with the socket', () => {
    isInspected = undefined
    expect(turn()).toEqual([{ type: 'end' }])
  })
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
