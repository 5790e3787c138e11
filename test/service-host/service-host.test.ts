import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DirectoryMessage, DirectorySnapshot } from '../../src/directory/directory.ts'
import { GatewayError } from '../../src/errors.ts'
import { forkService } from '../../src/service-host/fork-service.ts'
import type { LogLine } from '../../src/payload/log-note.ts'
import type { Usage } from '../../src/directory/owner.ts'
import type { ApplyFailure } from '../../src/service-host/ipc.ts'
import { ServiceHost, type ServiceHostOptions } from '../../src/service-host/service-host.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { captureLog } from '../support/layers.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

/** A service process of few words: it does what its arguments say, and repeats what it hears. */
const CHILD = `
const [mode] = process.argv.slice(2)
const send = message => process.send(message)
if (mode !== 'mute') process.on('message', message => {
  const isOurs = message.link?.privateKey === 'key' // the log censors it
  if (message.type !== 'ping') send({ type: 'log', level: 'info', fields: { heard: message, isOurs }, message: 'heard ' + message.type })
  if (message.type === 'link') {
    send({ type: 'ready' })
    send({ type: 'watch', socketId: 's', isWatched: true })
    if (mode === 'tells') {
      send({ type: 'health', isHealthy: true })
      send({ type: 'tell', topic: 'counts', message: { taken: 1 } })
      send({ type: 'event', name: 'tunnel.lost', note: { subject: 't', account: 'a', fields: {} }, happening: { atMs: 1, count: 1 } })
    }
    send({ type: 'watch', socketId: 'unknown', isWatched: true })
  }
  if (message.type === 'ping') send({ type: 'pong' })
  if (message.type === 'stop' && mode !== 'deaf') process.disconnect()
})
if (mode === 'fails') { send({ type: 'failed', message: 'no database' }); process.exit(1) }
if (mode === 'well' || mode === 'tells') send({ type: 'directory', id: 1, message: { type: 'snapshot', seq: 1, sockets: [], keys: [] } })
process.on('disconnect', () => process.exit(0))
`

/** A child that lives has a second for each answer, and must not be killed where the machine is busy. */
const WATCHDOG = { askMs: 1_000, silentAsks: 30, hungAsks: 60 }
const START = { askMs: 1_000, hungAsks: 60, lateAsks: 300, workAsks: 3_600 }

class Copy {
  readonly applied: unknown[] = []
  failures: readonly ApplyFailure[] = []

  apply(message: unknown): Promise<readonly ApplyFailure[]> {
    if ((message as DirectoryMessage).type !== 'snapshot') throw new GatewayError('CONFIG_INVALID', 'no snapshot')
    this.applied.push(message)
    return Promise.resolve(this.failures)
  }

  #watcher: ((line: LogLine) => void) | undefined

  visit(count: number): void {
    for (let at = 1; at <= count; at++)
      this.#watcher?.({ kind: 'connection', at, client: '192.0.2.1', status: 200, bytesOut: 1, bytesIn: 1, durationMs: 1 })
  }

  takeUsage(): readonly Usage[] {
    return [{ socketId: 's', accountId: 'a', requests: 1, connections: 2, bytesIn: 3, bytesOut: 4 }]
  }

  watch(socketId: string, watcher: (line: LogLine) => void): (() => void) | undefined {
    if (socketId !== 's') return undefined
    this.#watcher = watcher
    return () => (this.#watcher = undefined)
  }

  snapshot(): DirectorySnapshot {
    return { type: 'snapshot', seq: this.applied.length, sockets: [], keys: [], endedLogins: [] }
  }
}

function setUp(mode: string, options: Partial<ServiceHostOptions> = {}) {
  const dir = tempDir()
  const program = join(dir, 'child.cjs')
  writeFileSync(program, CHILD)
  const copy = new Copy()
  const { log, records } = captureLog()
  const forks: number[] = []
  const silences: number[] = []
  const stateFile = join(dir, 'state', 'directory.json')
  const host = new ServiceHost({
    fork: () => {
      const child = forkService(program, [mode])
      forks.push(child.pid ?? 0)
      return child
    },
    directory: copy,
    tunnels: () => [{ id: 'a', address: '192.0.2.1' }],
    keys: () => [{ id: 'k', address: '192.0.2.2' }],
    onSilent: () => void silences.push(forks.length),
    stateFile,
    log,
    clock: () => performance.now(),
    timing: {
      firstWaitMs: 50,
      longestWaitMs: 200,
      wellAfterMs: 30_000,
      patienceMs: mode === 'silent' ? 100 : 60_000,
      stopMs: 10_000,
      watchdog: WATCHDOG,
      start: START,
    },
    ...options,
  })
  onCleanUp(() => host.close())
  const start = async (): Promise<void> => {
    await host.start()
    host.link({ url: 'ws://127.0.0.1:1', privateKey: 'key' })
    await until(() => host.fault === undefined)
  }
  const heard = (type: string): boolean => records.some(({ msg }) => msg === `heard ${type}`)
  return { host, copy, records, forks, silences, stateFile, heard, start }
}

describe('the service process beside the outer layer', () => {
  test('gets its link and the tunnels, and its directory is in force before it is answered', async () => {
    const { host, copy, records, stateFile, heard, start } = setUp('well')
    await start()
    await until(() => heard('applied') && heard('tunnels') && heard('keys'))
    expect(host.fault).toBeUndefined()
    expect(copy.applied).toEqual([{ type: 'snapshot', seq: 1, sockets: [], keys: [] }])
    const link = records.find(({ msg }) => msg === 'heard link')
    expect(records.find(({ msg }) => msg === 'heard keys')?.['heard']).toEqual({
      type: 'keys',
      up: [{ id: 'k', address: '192.0.2.2' }],
      down: [],
    })
    expect(link).toMatchObject({ heard: { type: 'link', link: { url: 'ws://127.0.0.1:1', privateKey: '***' } }, isOurs: true })
    await host.close()
    expect(JSON.parse(readFileSync(stateFile, 'utf8'))).toEqual(copy.snapshot())
    expect(statSync(stateFile).mode & 0o777).toBe(0o600)
  })

  test('hears who visits a socket that it watches, within bounds, who has logged in at one, and what was used before it ends', async () => {
    const { host, copy, records, heard, start } = setUp('well')
    await start()
    await until(() => {
      copy.visit(1_000)
      return heard('visitors')
    })
    const visitors = records.find(({ msg }) => msg === 'heard visitors')?.['heard'] as { socketId: string; lines: LogLine[] }
    expect(visitors.socketId).toBe('s')
    expect(visitors.lines).toHaveLength(101)
    expect(visitors.lines.at(-1)).toMatchObject({ kind: 'omitted' })
    const login = { socketId: 's', who: 'ada@example.io', provider: 'company', by: 'browser', address: '192.0.2.3' } as const
    host.socketLogin(login)
    await until(() => heard('socket-login'))
    expect(records.find(({ msg }) => msg === 'heard socket-login')?.['heard']).toEqual({ type: 'socket-login', login })
    await host.close()
    const usage = records.find(({ msg }) => msg === 'heard usage')?.['heard']
    expect(usage).toEqual({ type: 'usage', rows: copy.takeUsage() })
  })

  test('tells the services of other outer layers what it has to say, and hears them', async () => {
    const said: unknown[] = []
    let listener: ((message: unknown) => void) | undefined
    const { host, records, heard, start } = setUp('tells')
    host.join({
      tell: (...told) => void said.push(told),
      hear: (topic, hears) => {
        expect(topic).toBe('service')
        listener = hears
      },
    })
    await start()
    await until(() => said.length > 0)
    expect(said).toEqual([['service', { topic: 'counts', message: { taken: 1 } }]])
    for (const odd of [undefined, null, 'x', { topic: 7 }, { topic: 'x'.repeat(65), message: 1 }]) listener!(odd)
    listener!({ topic: 'counts', message: { taken: 2 } })
    await until(() => heard('told'))
    expect(records.filter(({ msg }) => msg === 'heard told').map(({ heard: message }) => message)).toEqual([
      { type: 'told', topic: 'counts', message: { taken: 2 } },
    ])
  })

  test('is started again when it was killed, and until then says that it is not there', async () => {
    const { host, forks, records, start } = setUp('well')
    await start()
    process.kill(forks[0]!, 'SIGKILL')
    await until(() => host.fault !== undefined)
    expect(host.fault).toBe('the service process ended (SIGKILL)')
    await until(() => forks.length === 2 && host.fault === undefined)
    expect(records.some(({ msg }) => msg.includes('next start in 50 ms'))).toBe(true)
    await host.close()
    expect(forks).toHaveLength(2)
  })

  test('is not started again when a signal for all of the group ends it before it is ready, and nothing waits for it', async () => {
    const { host, forks, records } = setUp('mute')
    const starting = host.start(Promise.resolve())
    process.kill(forks[0]!, 'SIGINT')
    await starting
    expect(records.map(({ level, msg }) => [level, msg])).toEqual([
      ['info', 'the service process ended (SIGINT) before it was ready; it is not started again, since the outer layer was asked to end'],
    ])
    await host.close()
    expect(forks).toHaveLength(1)
  })

  test('tells of its end and its return, of its database and of accounts, and nothing of an end that was asked for', async () => {
    const turns: (readonly [string, boolean, string | undefined])[] = []
    const told: unknown[] = []
    const { host, forks, start } = setUp('tells', {
      onTurn: (state, isWell, reason) => turns.push([state, isWell, reason]),
      onEvent: (...event) => told.push(event),
    })
    await start()
    await until(() => told.length === 1)
    process.kill(forks[0]!, 'SIGKILL')
    await until(() => forks.length === 2 && host.fault === undefined)
    await until(() => told.length === 2)
    const happening = { atMs: 1, count: 1 }
    expect(told[0]).toEqual(['tunnel.lost', { subject: 't', account: 'a', fields: {} }, happening])
    await host.close()
    expect(turns.filter(([state]) => state === 'service')).toEqual([
      ['service', true, undefined],
      ['service', false, 'ended (SIGKILL)'],
      ['service', true, undefined],
    ])
    expect(turns.filter(([state]) => state === 'store')[0]).toEqual(['store', true, undefined])
  })

  test('that hangs is noticed, told, ended and started again', async () => {
    const { host, forks, records, silences, start } = setUp('well', {
      timing: {
        firstWaitMs: 50,
        longestWaitMs: 200,
        wellAfterMs: 30_000,
        patienceMs: 60_000,
        stopMs: 10_000,
        watchdog: { askMs: 200, silentAsks: 20, hungAsks: 30 },
        start: START,
      },
    })
    await start()
    process.kill(forks[0]!, 'SIGSTOP')
    await until(() => host.fault === 'the service process does not answer')
    expect(silences).toEqual([1])
    expect(forks).toHaveLength(1)
    await until(() => forks.length === 2 && host.fault === undefined)
    const told = records.map(({ msg }) => msg).filter(msg => msg.startsWith('the service process has not answered'))
    expect(told).toEqual([
      'the service process has not answered for 4 s; what waits for it is refused',
      'the service process has not answered for 6 s; it is ended and started again',
    ])
  })

  test('that hangs for a while goes on as if nothing had been', async () => {
    const { host, forks, records, start } = setUp('well', {
      timing: {
        firstWaitMs: 50,
        longestWaitMs: 200,
        wellAfterMs: 30_000,
        patienceMs: 60_000,
        stopMs: 10_000,
        watchdog: { askMs: 200, silentAsks: 10, hungAsks: 100_000 },
        start: START,
      },
    })
    await start()
    process.kill(forks[0]!, 'SIGSTOP')
    await until(() => host.fault === 'the service process does not answer')
    process.kill(forks[0]!, 'SIGCONT')
    await until(() => host.fault === undefined)
    expect(records.some(({ msg }) => msg === 'the service process answers again')).toBe(true)
    expect(forks).toHaveLength(1)
  })

  test('waits longer after each failure, and says why it cannot start', async () => {
    const { host, forks, records } = setUp('fails')
    const started = host.start()
    await until(() => forks.length === 3)
    expect(host.fault).toBe('no database')
    expect(records.flatMap(({ waitMs }) => waitMs ?? []).slice(0, 2)).toEqual([50, 100])
    await host.close()
    await started
  })

  test('that hangs before it is ready is ended and started again, each time after a longer wait, and the log says so', async () => {
    const { host, forks, records } = setUp('mute', {
      timing: {
        firstWaitMs: 50,
        longestWaitMs: 200,
        // However long it was up, it was not well.
        wellAfterMs: 0,
        patienceMs: 60_000,
        stopMs: 10_000,
        watchdog: WATCHDOG,
        start: { askMs: 50, hungAsks: 2, lateAsks: 1_000, workAsks: 1_000 },
      },
    })
    const started = host.start()
    await until(() => forks.length === 3)
    expect(host.fault).toBe('the service process has given no sign of life for 0.1 s, and was not ready')
    const told = records.map(({ msg }) => msg).filter(msg => msg.includes('no sign of life'))
    expect(told[0]).toBe('the service process has given no sign of life for 0.1 s, and was not ready; it is ended and started again')
    expect(records.flatMap(({ waitMs }) => waitMs ?? []).slice(0, 2)).toEqual([50, 100])
    expect(records.some(({ msg }) => msg.startsWith('the service process ended (SIGKILL); sockets'))).toBe(true)
    await host.close()
    await started
  })

  test('takes the directory of the last run when the service says nothing', async () => {
    const { host, copy, stateFile } = setUp('silent')
    mkdirSync(join(stateFile, '..'))
    writeFileSync(stateFile, JSON.stringify({ type: 'snapshot', seq: 7, sockets: [], keys: [] }))
    await host.start()
    expect(copy.applied).toEqual([{ type: 'snapshot', seq: 7, sockets: [], keys: [] }])
    expect(host.fault).toBe('the service process is starting')
    await host.close()
  })

  test.each(['{', '{"type":"nonsense"}'])('a file of the last run that cannot be used (%s) keeps nothing from starting', async content => {
    const { host, copy, stateFile, records } = setUp('silent')
    mkdirSync(join(stateFile, '..'))
    writeFileSync(stateFile, content)
    await host.start()
    expect(copy.applied).toEqual([])
    expect(records.some(({ level }) => level !== 'info')).toBe(true)
    await host.close()
  })
})
