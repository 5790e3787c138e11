/** New workers in the places of old ones, while clients ask, and have WebSockets open. */
import { createServer } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import { ask } from '../support/admin.ts'
import { listen } from '../support/ports.ts'
import { once, until } from '../support/wait.ts'
import type { Figure } from './figure.ts'
import { Balancer, BODY, inWords } from './rolling.ts'
import { Stand, type Outer } from './stand.ts'

const TICK_MS = 5
/** More are not under way at a time: what waits here would be taken for what waits there. */
const MOST_UNDER_WAY = 100
const PATIENCE_MS = 600_000

interface Shown {
  readonly isRestarting: boolean
  readonly workers: readonly { readonly pid: number; readonly state: string }[]
}

const workersOf = async ({ ports }: Outer): Promise<Shown> => JSON.parse((await ask(ports.admin, '/api/workers')).text) as Shown

/** WebSockets that are opened again when they end. */
class Sockets {
  /** Codes by which they have ended. */
  readonly codes: number[] = []
  readonly #open = new Set<WebSocket>()
  #isOver = false
  #echoes = 0

  constructor(private readonly port: number) {}

  get echoes(): number {
    return this.#echoes
  }

  get count(): number {
    return this.#open.size
  }

  open(): void {
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}/`, { headers: { host: 'a.test' } })
    const timer = setInterval(() => {
      if (socket.readyState === WebSocket.OPEN) socket.send('x')
    }, 100)
    socket.on('open', () => this.#open.add(socket))
    socket.on('message', () => this.#echoes++)
    // One that was not taken is tried again; `close` follows.
    socket.on('error', () => undefined)
    socket.on('close', code => {
      clearInterval(timer)
      if (this.#open.delete(socket) && !this.#isOver) this.codes.push(code)
      if (!this.#isOver) setTimeout(() => this.open(), 50)
    })
  }

  close(): void {
    this.#isOver = true
    for (const socket of this.#open) socket.terminate()
  }
}

export interface WorkerRestarts {
  readonly rounds: number
  readonly asked: number
  /** Requests that had no good answer, in words. */
  readonly failures: readonly string[]
  /** Those that were sent again, since they got no answer at all. */
  readonly again: number
  /** Codes by which WebSockets have ended. */
  readonly codes: readonly number[]
  readonly echoes: number
  readonly seconds: number
}

/** Restarts two workers `rounds` times, every other one by SIGHUP. */
export const restartWorkers = async (
  {
    rounds,
    perSecond,
    sockets: count,
    drainTimeout,
  }: {
    readonly rounds: number
    readonly perSecond: number
    readonly sockets: number
    /** For so long WebSockets stay at an old worker; a request that takes longer is cut. */
    readonly drainTimeout: string
  },
  say: (text: string) => void,
): Promise<WorkerRestarts> => {
  const server = createServer({ keepAliveTimeout: 0 }, (_request, response) => void setTimeout(() => response.end(BODY), 20))
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', socket => socket.on('message', data => socket.send(data)).on('error', () => undefined))
  const stand = await Stand.start({
    originPort: await listen(server),
    outer: ['--workers', '2', '--drain-delay', '0', '--drain-timeout', drainTimeout],
  })
  const outer = stand.outers[0]!
  await until(async () => (await workersOf(outer)).workers.filter(({ state }) => state === 'up').length === 2, { what: 'two workers' })
  const balancer = new Balancer(stand.outers)
  const clients = new Sockets(outer.ports.app)
  for (let i = 0; i < count; i++) clients.open()
  await until(() => clients.count === count, { what: 'the WebSockets', deadlineMs: PATIENCE_MS })
  const underWay = new Set<Promise<void>>()
  const startedMs = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - startedMs) / 1_000) * perSecond
    // Whoever stood still for a second does not ask all at once what it has missed.
    for (let left = 3; left > 0 && balancer.asked < due && underWay.size < MOST_UNDER_WAY; left--) {
      const asked = balancer.ask()
      underWay.add(asked)
      void asked.then(() => underWay.delete(asked))
    }
  }, TICK_MS)
  for (let round = 0; round < rounds; round++) {
    const before = new Set((await workersOf(outer)).workers.map(({ pid }) => pid))
    if (round % 2 === 0) {
      const answer = await fetch(`http://127.0.0.1:${outer.ports.admin}/api/workers/restart`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      })
      if (!answer.ok) throw new Error(`upgrade: ${await answer.text()}`)
    } else outer.process.child.kill('SIGHUP')
    await until(
      async () => {
        const { isRestarting, workers } = await workersOf(outer)
        return !isRestarting && workers.length === 2 && workers.every(({ pid, state }) => state === 'up' && !before.has(pid))
      },
      { what: 'two new workers', deadlineMs: PATIENCE_MS },
    )
    await until(() => clients.count === count, { what: 'the WebSockets again', deadlineMs: PATIENCE_MS })
    say(
      `${round + 1} restarts, ${balancer.asked} requests, ${balancer.told}, ${clients.codes.length} WebSockets ended (${inWords(clients.codes)})`,
    )
  }
  clearInterval(timer)
  await Promise.all(underWay)
  const seconds = (performance.now() - startedMs) / 1_000
  balancer.close()
  clients.close()
  server.closeAllConnections()
  const closed = once(server, 'close')
  server.close()
  await closed
  const { asked, failures, again } = balancer
  return { rounds, asked, failures, again: again.length, codes: clients.codes, echoes: clients.echoes, seconds }
}

export const workers = async (_minutes: number, say: (text: string) => void): Promise<readonly Figure[]> => {
  const { rounds, asked, failures, again, codes, seconds } = await restartWorkers(
    { rounds: 20, perSecond: 100, sockets: 50, drainTimeout: '5s' },
    say,
  )
  return [
    { what: `GETs that failed in ${rounds} restarts of two workers`, value: failures.length, unit: `of ${asked}`, atMost: 0 },
    { what: 'those that had to be sent again, as they got no answer at all', value: again, unit: `of ${asked}` },
    {
      what: 'WebSockets that ended by another code than 1012',
      value: codes.filter(code => code !== 1012).length,
      unit: `of ${codes.length}`,
      atMost: 0,
    },
    { what: 'requests each second', value: asked / seconds, unit: '' },
  ]
}
