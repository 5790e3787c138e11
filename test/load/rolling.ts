/** Restarts one after the other, while clients ask behind a balancer that looks who is ready. */
import { Agent, createServer, request } from 'node:http'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import { percentileOf, type Figure } from './figure.ts'
import { Stand, type Outer } from './stand.ts'

const ROUNDS = 20
const PER_SECOND = 300
const LOOK_MS = 200
const TICK_MS = 5
/** A request that has got no answer so often has failed. */
const MOST_TRIES = 5
/** More are not under way at a time: what waits here would be taken for what waits there. */
const MOST_UNDER_WAY = 100

/** A balancer: asks who is ready, and sends a request that got no answer to another one. */
export class Balancer {
  readonly #ready = new Set<Outer>()
  /** When each last gave no answer. */
  readonly #downMs = new Map<Outer, number>()
  readonly #agents = new Map<Outer, Agent>()
  readonly #timer: NodeJS.Timeout
  readonly failures: string[] = []
  readonly timesMs: number[] = []
  asked = 0
  readonly again: string[] = []
  #turn = 0

  constructor(private readonly outers: readonly Outer[]) {
    for (const outer of outers) {
      this.#ready.add(outer)
      this.#agents.set(outer, new Agent({ keepAlive: true, maxSockets: MOST_UNDER_WAY }))
    }
    this.#timer = setInterval(() => outers.forEach(outer => void this.#look(outer)), LOOK_MS)
  }

  async ask(): Promise<void> {
    this.asked++
    const startedMs = performance.now()
    let outer = await this.#next()
    let outcome = await this.#askAt(outer)
    for (let tries = 1; tries < MOST_TRIES && outcome.startsWith(NO_ANSWER); tries++) {
      this.again.push(outcome)
      this.#ready.delete(outer)
      this.#downMs.set(outer, performance.now())
      outer = await this.#next(outer)
      outcome = await this.#askAt(outer)
    }
    if (outcome !== 'ok') this.failures.push(outcome)
    this.timesMs.push(performance.now() - startedMs)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const agent of this.#agents.values()) agent.destroy()
  }

  /** One that is ready, and if there is a choice another one than that which gave no answer. */
  async #next(last?: Outer): Promise<Outer> {
    await until(() => this.#ready.size > 0, { what: 'an outer layer to be ready' })
    const ready = this.outers.filter(outer => this.#ready.has(outer))
    const others = ready.filter(outer => outer !== last)
    const choice = others.length > 0 ? others : ready
    return choice[this.#turn++ % choice.length]!
  }

  /** The fault, in words. */
  get told(): string {
    return `${this.failures.length} failed (${inWords(this.failures)}), ${this.again.length} sent again (${inWords(this.again)})`
  }

  knows(outer: Outer): boolean {
    return this.#ready.has(outer)
  }

  async #look(outer: Outer): Promise<void> {
    const begunMs = performance.now()
    const isReady = await outer.isReady()
    if (!isReady) this.#ready.delete(outer)
    // Asked before it gave no answer: that is how it was then.
    else if (begunMs > (this.#downMs.get(outer) ?? -Infinity)) this.#ready.add(outer)
  }

  #askAt(outer: Outer): Promise<string> {
    return new Promise(resolve => {
      const options = {
        port: outer.ports.app,
        host: '127.0.0.1',
        agent: this.#agents.get(outer)!,
        headers: { host: 'a.test' },
        timeout: 60_000,
      }
      const asked = request(options, response => {
        let text = ''
        response.setEncoding('latin1').on('data', (piece: string) => (text += piece))
        response.on('error', error => resolve(`${outer.name}: cut, ${error.message}`))
        response.on('end', () =>
          resolve(
            response.statusCode === 200 && text.length === BODY.length
              ? 'ok'
              : `${outer.name}: ${response.statusCode} ${/code: (\w+)/.exec(text)?.[1] ?? ''}`,
          ),
        )
      })
      asked.on('timeout', () => asked.destroy(new Error('timeout')))
      asked.on('error', (error: NodeJS.ErrnoException) => resolve(`${NO_ANSWER} of ${outer.name}: ${error.code ?? error.message}`))
      asked.end()
    })
  }
}

const NO_ANSWER = 'no answer'

/** Times of each. */
export const inWords = (all: readonly (string | number)[]): string => {
  const counts = new Map<string | number, number>()
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1)
  return [...counts].map(([one, count]) => `${count} × ${one}`).join(', ')
}

export const BODY = Buffer.alloc(1_024, 'x')

export const rolling = async (minutes: number, say: (text: string) => void): Promise<readonly Figure[]> => {
  const server = createServer({ keepAliveTimeout: 0 }, (_request, response) => void setTimeout(() => response.end(BODY), 20))
  const stand = await Stand.start({ originPort: await listen(server), outers: 2, inners: 2 })
  const balancer = new Balancer(stand.outers)
  const underWay = new Set<Promise<void>>()
  const startedMs = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - startedMs) / 1_000) * PER_SECOND
    // Whoever stood still for a second does not ask all at once what it has missed.
    for (let left = 3; left > 0 && balancer.asked < due && underWay.size < MOST_UNDER_WAY; left--) {
      const asked = balancer.ask()
      underWay.add(asked)
      void asked.then(() => underWay.delete(asked))
    }
  }, TICK_MS)
  let rounds = 0
  const isOver = (): boolean => rounds >= ROUNDS || (minutes > 0 && performance.now() - startedMs > minutes * 60_000)
  for (; !isOver(); rounds++) {
    const round = rounds
    const outer = stand.outers[round % 2]!
    await outer.stop()
    await outer.start()
    await stand.linked(outer)
    await until(() => outer.isReady(), { what: `${outer.name} to be ready` })
    await until(() => balancer.knows(outer), { what: `the balancer to know that ${outer.name} is ready` })
    const inner = stand.inners[round % 2]!
    await inner.stop()
    await inner.start()
    for (const each of stand.outers) await stand.linked(each)
    say(`${round + 1} rounds, ${balancer.asked} requests, ${balancer.told}`)
  }
  clearInterval(timer)
  await Promise.all(underWay)
  balancer.close()
  const seconds = (performance.now() - startedMs) / 1_000
  return [
    {
      what: `GETs that failed in ${rounds} restarts of an outer and as many of an inner layer`,
      value: balancer.failures.length,
      unit: `of ${balancer.asked}`,
      atMost: 0,
    },
    {
      what: 'those that the balancer had to send again, as they got no answer at all',
      value: balancer.again.length,
      unit: `of ${balancer.asked}`,
    },
    { what: 'requests each second', value: balancer.asked / seconds, unit: '' },
    { what: 'p99, with 20 ms of the origin', value: percentileOf(balancer.timesMs, 0.99), unit: 'ms' },
  ]
}
