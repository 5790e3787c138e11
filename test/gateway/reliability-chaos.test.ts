/** Random requests over links that break at random to an origin that misbehaves at random, judged by one oracle. The seed is printed. */
import type { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { exchange, type Outcome } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { quiet } from '../support/quiet.ts'
import { bytesOf, hashOf, randomOf } from '../support/random.ts'
import { rawResponse, startRawOrigin, type RawRequest } from '../support/raw-origin.ts'
import { SEED } from '../support/seed.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { DEADLINE_MS, until } from '../support/wait.ts'

const RUN_MS = 8_000
const CLIENTS = 12

/** What the origin does, as the path says: the test decides it, so that its oracle knows. */
const MOODS = ['length', 'chunked', 'slow', 'die-before', 'die-in-head', 'die-in-body', 'early', 'never'] as const
type Mood = (typeof MOODS)[number]

interface Plan {
  readonly id: string
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly mood: Mood
  readonly upload: number
  readonly download: number
  readonly seed: number
  readonly leavesAfterMs: number | undefined
}

test(`whatever breaks, what looks complete is right, and nothing is executed twice (SEED=${SEED})`, async () => {
  const random = randomOf(SEED)
  const below = (limit: number): number => Math.floor(random() * limit)
  const one = <T>(values: readonly T[]): T => values[below(values.length)]!
  const executions = new Map<string, number>()
  const wrongUploads: string[] = []

  const answer = (request: RawRequest, socket: Socket): void => {
    const [, id = '', mood = '', upload = '0', download = '0', own = '0'] = request.target.split('/')
    const body = bytesOf(Number(own) + 1, Number(download))
    if (mood !== 'early' && hashOf(request.body) !== hashOf(bytesOf(Number(own), Number(upload)))) wrongUploads.push(id)
    const head = `HTTP/1.1 200 OK\r\nX-Id: ${id}\r\n`
    const chunk = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
    if (mood === 'length' || mood === 'early') socket.write(rawResponse(200, body, [`X-Id: ${id}`]))
    else if (mood === 'die-before') socket.destroy()
    else if (mood === 'die-in-head') socket.write(head, () => socket.destroy())
    else if (mood === 'die-in-body') {
      socket.write(`${head}Content-Length: ${body.length + 1}\r\n\r\n`)
      socket.write(body, () => socket.resetAndDestroy())
    } else if (mood !== 'never') {
      socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`)
      const pieces = mood === 'slow' ? 8 : 1
      const size = Math.max(1, Math.ceil(body.length / pieces))
      let at = 0
      const next = (): void => {
        if (socket.destroyed) return
        if (at >= body.length) return void socket.write('0\r\n\r\n')
        socket.write(chunk(body.subarray(at, (at += size))))
        if (mood === 'slow') setTimeout(next, 5)
        else setImmediate(next)
      }
      next()
    }
  }
  const origin = await startRawOrigin(
    async (request, socket) => {
      const [, id = '', mood = ''] = request.target.split('/')
      executions.set(id, (executions.get(id) ?? 0) + 1)
      if (mood !== 'early') await request.complete
      answer(request, socket)
    },
    { keepBytes: 1 << 20 },
  )

  const timing = { pingAfterMs: 200, deadAfterMs: 1_000 }
  const layers = await startLayers({ origin: origin.port, inners: 0, logLevel: 'info', outer: { timeoutMs: 1_000, timing } })
  const relays: Relay[] = []
  const addInner = async (): Promise<void> => {
    const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.socketPort } })
    await layers.addInner({ outerLayers: [`ws://127.0.0.1:${relay.port}`] })
    relays.push(relay)
  }
  await addInner()
  await addInner()

  const outcomes: { plan: Plan; outcome: Outcome }[] = []
  let isOver = false
  let served = 0
  /** Long enough for much to break, and on a busy machine as long as it takes to serve something as well. */
  const isEnough = (): boolean => performance.now() >= endMs && served > 20
  let count = 0
  const client = async (): Promise<void> => {
    while (!isOver) {
      const method = one(['GET', 'GET', 'PUT', 'POST', 'POST', 'DELETE'] as const)
      const plan: Plan = {
        id: String(++count),
        method,
        mood: below(4) === 0 ? one(MOODS) : one(MOODS.slice(0, 3)),
        upload: method === 'PUT' || method === 'POST' ? below(one([10, 1_000, 60_000, 400_000])) : 0,
        download: below(one([10, 1_000, 100_000, 1_000_000])),
        seed: below(2 ** 30),
        leavesAfterMs: below(10) === 0 ? below(40) : undefined,
      }
      const abort = new AbortController()
      const timer = plan.leavesAfterMs === undefined ? undefined : setTimeout(() => abort.abort(), plan.leavesAfterMs)
      const path = `/${plan.id}/${plan.mood}/${plan.upload}/${plan.download}/${plan.seed}`
      const body = plan.upload > 0 ? { body: bytesOf(plan.seed, plan.upload) } : {}
      const outcome = await exchange(layers.port, { method, path, signal: abort.signal, ...body })
      if (outcome.status === 200 && outcome.isComplete) served++
      outcomes.push({ plan, outcome })
      clearTimeout(timer)
    }
  }
  const running = Array.from({ length: CLIENTS }, client)
  const endMs = performance.now() + RUN_MS
  let nextMs = performance.now()
  await until(
    async () => {
      const now = performance.now()
      if (now < nextMs) return isEnough()
      nextMs = now + 200 + below(600)
      const index = below(relays.length)
      const what = below(5)
      if (what === 0) relays[index]!.cut()
      else if (what === 1) relays[index]!.pause()
      else if (what === 2) relays[index]!.resume()
      else if (what === 3) layers.inners[below(layers.inners.length)]!.destroy()
      // Those that lost their link pause longer and longer before they come back: fresh ones keep the test going.
      if (layers.outer.registry.connections.length < 2) await addInner()
      return isEnough()
    },
    { deadlineMs: RUN_MS + DEADLINE_MS, what: '21 whole answers' },
  )
  isOver = true
  for (const relay of relays) relay.resume()
  await Promise.all(running)

  const faults: string[] = []
  const tally: Record<string, number> = {}
  for (const { plan, outcome } of outcomes) {
    const { id, method, mood, download } = plan
    const { status, isComplete, body, headers } = outcome
    const say = (what: string): void =>
      void faults.push(`${what}: ${JSON.stringify(plan)} → ${status} ${String(isComplete)} ${body.length}`)
    const executed = executions.get(id) ?? 0
    tally[`${isComplete ? status : 'cut'}`] = (tally[`${isComplete ? status : 'cut'}`] ?? 0) + 1
    if (status === 200 && isComplete) {
      if (headers['x-id'] !== id) say('the answer of another request')
      if (body.length !== download || hashOf(body) !== hashOf(bytesOf(plan.seed + 1, download))) say('complete and wrong')
      if (mood.startsWith('die') || mood === 'never') say('complete though its origin never completed it')
      if (executed === 0) say('answered though never executed')
    } else if (isComplete && status !== 0 && ![502, 503, 504, 400, 408].includes(status)) say('an unexpected status')
    if (method === 'POST' && executed > 1) say(`executed ${executed} times`)
    if (executed > 6) say(`executed ${executed} times`)
  }
  process.stdout.write(`chaos: ${JSON.stringify(tally)}\n`)
  expect(faults).toEqual([])
  expect(wrongUploads).toEqual([])
  expect(origin.faults).toEqual([])
  await quiet(layers)
  expect([...layers.outerLogs, ...layers.innerLogs].filter(({ level }) => level === 'error')).toEqual([])
  // Whatever happened, it serves.
  await addInner()
  expect((await exchange(layers.port, { path: '/last/length/0/4/1' })).status).toBe(200)
  await Promise.all(layers.inners.map(inner => inner.close()))
  await until(() => origin.open === 0)
})
