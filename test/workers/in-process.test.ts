/** Workers in this process, joined as the primary joins them: by messages as JSON, and by sockets of their own. */
import { describe, expect, test } from '@jest/globals'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { PresenceBoard } from '../../src/workers/presence-board.ts'
import type { Beginning, FromWorker, ToWorker } from '../../src/workers/messages.ts'
import type { CountsChange } from '../../src/rates/shared-counts.ts'
import { WorkerSide } from '../../src/workers/worker-side.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers, type LayersOptions } from '../support/layers.ts'
import { cheapHash } from '../support/password.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const copy = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value

interface Workers {
  readonly layers: readonly Layers[]
  readonly directory: string
  /** Changes of counts that all others have heard. */
  readonly changes: readonly CountsChange[]
  /** What each of them has told of events. */
  readonly events: readonly FromWorker[]
}

/** Starts workers, of which the first one alone has an inner layer. */
const startWorkers = async (options: LayersOptions, privateKeys: readonly string[] = [keyOf(), '']): Promise<Workers> => {
  const directory = tempDir()
  const secret = randomBytes(32).toString('base64')
  const listeners: ((message: ToWorker) => void)[] = []
  const events: FromWorker[] = []
  const changes: CountsChange[] = []
  const tell = (to: number, message: ToWorker): void => listeners[to]?.(copy(message))
  const board = new PresenceBoard<number>(tell)
  const hear = (from: number, message: FromWorker): void => {
    if (message.type === 'counts') {
      for (const to of listeners.keys()) if (to !== from) tell(to, { type: 'counts', from: String(from), change: message.change })
      changes.push(message.change)
    } else if (message.type === 'news') {
      for (const to of listeners.keys()) if (to !== from) tell(to, message)
    } else if (message.type === 'event') events.push(message)
    else if (message.type === 'facts' || message.type === 'serve' || message.type === 'unserve' || message.type === 'leave')
      board.take(from, message)
  }
  const layers: Layers[] = []
  for (const [index, key] of privateKeys.entries()) {
    const side = new WorkerSide({
      channel: {
        send: message => hear(index, copy(message as FromWorker)),
        onMessage: listener => void listeners.push(listener),
      },
      clock: () => performance.now(),
      sharedClock: () => performance.now(),
      nowMs: Date.now,
      onFault: thrown => {
        throw thrown
      },
    })
    const privateKey = key === '' ? privateKeys[0]! : key
    const beginning: Beginning = {
      number: index + 1,
      directory,
      adminPath: '',
      privateKey,
      secret,
      logFormat: 'json',
      tag: '',
      inherited: {},
    }
    const outer = { ...options.outer, cluster: side.cluster(beginning), shared: side.shared(beginning), events: side.events }
    layers.push(await startLayers({ ...options, inners: index === 0 ? 1 : 0, outer }))
  }
  return { layers, directory, changes, events }
}

const keyOf = (): string => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

const linked = (layers: readonly Layers[]): Promise<unknown> =>
  until(() => layers.every(({ outer }) => outer.cluster!.nodes.every(({ isLinked }) => isLinked)), { what: 'links between all workers' })

const startEcho = (): ReturnType<typeof startRawOrigin> =>
  startRawOrigin(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, request.target))
  })

describe('workers', () => {
  test('each serves what any of them is connected to, by sockets that are for this account alone', async () => {
    const origin = await startEcho()
    const { layers, directory } = await startWorkers({ origin: origin.port })
    await linked(layers)
    for (const { port } of layers) expect((await exchange(port, { host: 'any.test', path: '/x' })).body.toString()).toBe('/x')
    expect(layers.map(({ outer }) => outer.cluster!.relays.total)).toEqual([1, 0])
    for (const { outer } of layers) {
      const { mode } = statSync(join(directory, `${outer.cluster!.id}.sock`))
      expect(mode & 0o777).toBe(0o600)
    }
  })

  test('a process without the key is no worker', async () => {
    const origin = await startEcho()
    const { layers } = await startWorkers({ origin: origin.port }, [keyOf(), keyOf()])
    const refused = (at: number): boolean => layers[at]!.outerLogs.some(({ msg }) => msg.startsWith('refused a node'))
    await until(() => refused(0) && refused(1), { what: 'both to refuse each other' })
    expect(layers[0]!.outer.cluster!.nodes.map(({ isLinked }) => isLinked)).toEqual([false])
  })

  test('bytes that are no link end that connection and nothing else', async () => {
    const origin = await startEcho()
    const { layers, directory } = await startWorkers({ origin: origin.port })
    await linked(layers)
    const socket = connect({ path: join(directory, `${layers[0]!.outer.cluster!.id}.sock`) })
    onCleanUp(() => void socket.destroy())
    socket.on('error', () => undefined)
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.resume()
    socket.write('GET /stream-link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    socket.write(Buffer.alloc(64, 0xff))
    await closed
    expect((await exchange(layers[1]!.port, { host: 'any.test' })).status).toBe(200)
  })

  test('a rate, a number at a time and wrong passwords are counted for all', async () => {
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      // Answers when it is told to go on, so that the request is under way meanwhile.
      if (request.target === '/held') await new Promise<void>(resolve => release.push(resolve))
      socket.write(rawResponse(200, request.target))
    })
    const release: (() => void)[] = []
    const of = `protocol: http, hostname: 127.0.0.1, port: {port}`
    const targets = `targets:
  rate.test: {${of}, limits: {rate: {perSecond: 0.001, burst: 2}}}
  few.test: {${of}, limits: {concurrency: 1}}
  login.test: {${of}, basicAuth: {users: {alice: "${cheapHash('right')}"}}}
`
    const { layers, changes } = await startWorkers({ origin: origin.port, targets })
    await linked(layers)
    const [first, second] = layers.map(({ port }) => port) as [number, number]
    const taken = (wanted: string): number =>
      changes
        .flatMap(change => change.taken.filter(({ meter }) => meter === wanted))
        .flatMap(({ counts }) => counts)
        .reduce((sum, [, count]) => sum + count, 0)
    const isHeld = (wanted: string): boolean => changes.flatMap(({ held }) => held).findLast(([, key]) => key === wanted)?.[2] === 1

    for (let i = 0; i < 2; i++) expect((await exchange(first, { host: 'rate.test' })).status).toBe(200)
    await until(() => taken('rate of rate.test') === 2, { what: 'both requests to be told' })
    expect((await exchange(second, { host: 'rate.test' })).status).toBe(429)

    const held = exchange(first, { host: 'few.test', path: '/held' })
    await until(() => release.length === 1 && isHeld('few.test'), { what: 'the request to be told' })
    expect((await exchange(second, { host: 'few.test' })).status).toBe(503)
    release[0]!()
    expect((await held).status).toBe(200)
    await until(async () => (await exchange(second, { host: 'few.test' })).status === 200, { what: 'the place of the request to be free' })

    const withPassword = (password: string): Promise<{ readonly status: number }> =>
      exchange(first, { host: 'login.test', headers: { authorization: `Basic ${Buffer.from(`alice:${password}`).toString('base64')}` } })
    for (const password of ['one guess', 'another']) expect((await withPassword(password)).status).toBe(401)
    expect((await withPassword('right')).status).toBe(200)
    await until(() => taken('wrong passwords') === 2, { what: 'the wrong passwords to be told' })
  })

  test('who has logged in at one has logged in at all', async () => {
    const origin = await startEcho()
    const targets = `targets:
  login.test: {protocol: http, hostname: 127.0.0.1, port: {port}, basicAuth: {users: {alice: "${cheapHash('right')}"}}}
`
    const { layers } = await startWorkers({ origin: origin.port, targets })
    await linked(layers)
    const authorization = `Basic ${Buffer.from('alice:right').toString('base64')}`
    const entered = await exchange(layers[0]!.port, { host: 'login.test', headers: { authorization } })
    const [cookie] = [entered.headers['set-cookie'] ?? []].flat()
    expect(cookie).toBeDefined()
    const again = await exchange(layers[1]!.port, { host: 'login.test', headers: { cookie: cookie!.split(';')[0]! } })
    expect(again.status).toBe(200)
  })

  test('what happens in a worker is told to the primary, and nothing any more once it leaves', async () => {
    const origin = await startEcho()
    const { layers, events } = await startWorkers({ origin: origin.port })
    await until(() =>
      events.some(message => message.type === 'event' && message.event.type === 'turn' && message.event.state === 'inner-layer'),
    )
    await layers[0]!.outer.close()
    expect(layers[0]!.outer.registry.size).toBe(0)
    const turns = events.flatMap(message => (message.type === 'event' && message.event.type === 'turn' ? [message.event] : []))
    expect(turns.filter(({ state }) => state === 'inner-layer').map(({ isWell }) => isWell)).toEqual([true])
  })
})
