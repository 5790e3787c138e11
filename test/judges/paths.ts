/** Variants of paths at a gateway with policies and routes: what the origin serves decides whether a fence has held. */
import { loggedPath } from '../../src/http/logged-path.ts'
import { canonicalPath } from '../../src/route/path.ts'
import { Chance } from '../support/random.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection, type RawResponse } from '../support/raw-client.ts'
import { until } from '../support/wait.ts'
import { SECRET_TEXT, withoutRepeats, type Judge } from './judge.ts'
import { variants } from './variants.ts'

/** One way to keep clients out of `/secret`. */
interface Fence {
  /** Lines of the target after its origin. */
  readonly lines: readonly string[]
  /** Below which path everything is allowed. */
  readonly open: string
  /** What stands before the path of each variant. */
  readonly prefix?: string
  /** The path of the origin for a canonical path. */
  readonly mapped?: (path: string) => string
  /** Is this documented to be no fence for spellings that differ in their case? */
  readonly foldsCase?: boolean
}

export const FENCES: ReadonlyMap<string, Fence> = new Map<string, Fence>([
  ['policy', { lines: ["policy: { '^/pub(/.*)?': '*' }"], open: '/pub' }],
  ['policy, encodedSlash: keep', { lines: ["policy: { '^/pub(/.*)?': '*' }", 'encodedSlash: keep'], open: '/pub' }],
  ['route', { lines: ['routes: [{ path: /secret, policy: {} }]'], open: '/pub', foldsCase: true }],
  [
    'route, encodedSlash: keep',
    { lines: ['encodedSlash: keep', 'routes: [{ path: /secret, policy: {} }]'], open: '/pub', foldsCase: true },
  ],
  ['route of an expression', { lines: ["routes: [{ path: '^/secret(/.*)?', policy: {} }]"], open: '/pub', foldsCase: true }],
  ['respond', { lines: ['routes: [{ path: /secret, respond: { status: 404, body: none } }]'], open: '/pub', foldsCase: true }],
  [
    'stripPrefix',
    {
      lines: ["routes: [{ path: /app, stripPrefix: true, policy: { '^/app/pub(/.*)?': '*' } }]", 'policy: {}'],
      open: '/pub',
      prefix: '/app',
      mapped: path => path.replace(/^\/app(?=\/)/, ''),
    },
  ],
  ['rewrite', { lines: ['rewrite: /pub'], open: '', mapped: path => `/pub${path}` }],
  [
    'rewrite of a pattern',
    {
      lines: ["rewrite: { pattern: '^/u/(.*)', to: '/pub/$1' }", "policy: { '^/u/.*': '*' }"],
      open: '',
      prefix: '/u',
      mapped: path => path.replace(/^\/u\//, '/pub/'),
    },
  ],
])

/** What became of the variants of one fence. */
export interface Verdict {
  readonly fence: string
  readonly sent: number
  readonly refused: number
  /** That reached the origin. */
  readonly passed: number
  /** Protected and served, in a way that is documented. */
  readonly folded: number
  /** In words. */
  readonly faults: readonly string[]
}

const CONNECTIONS = 8

const isSecret = (answer: RawResponse | undefined): boolean => answer !== undefined && answer.body.includes(SECRET_TEXT)

/** Sends a request on `connections[lane]`, anew when it has been closed. @returns undefined when no answer can be read */
const ask = async (lanes: (RawConnection | undefined)[], lane: number, port: number, text: string): Promise<RawResponse | undefined> => {
  let connection = lanes[lane]
  if (connection === undefined || connection.peerClose !== 'no') {
    connection?.destroy()
    connection = lanes[lane] = await RawConnection.open(port)
  }
  connection.write(text)
  try {
    const answer = await connection.readResponse()
    const closes = answer.fields.some(([name, value]) => name.toLowerCase() === 'connection' && /close/i.test(value))
    if (closes) {
      connection.destroy()
      lanes[lane] = undefined
    }
    return answer
  } catch {
    connection.destroy()
    lanes[lane] = undefined
    return undefined
  }
}

/** Asks for each target, some at a time. */
const askAll = async (
  port: number,
  host: string,
  id: string,
  targets: readonly string[],
  judge: (answer: RawResponse | undefined, target: string, index: number) => void,
): Promise<void> => {
  const lanes: (RawConnection | undefined)[] = []
  let next = 0
  const work = async (lane: number): Promise<void> => {
    for (let index = next++; index < targets.length; index = next++) {
      const target = targets[index]!
      const lines = [`GET ${target} HTTP/1.1`, `Host: ${host}`, `X-Variant: ${id}.${index}`, 'X-Original-URL: /secret/data.txt', '', '']
      judge(await ask(lanes, lane, port, lines.join('\r\n')), target, index)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, lane) => work(lane)))
  for (const each of lanes) each?.destroy()
}

const show = (text: string): string => JSON.stringify(text.slice(0, 120))

const withoutQuery = (target: string): string => target.replace(/[?#].*/s, '')

/** The gateway with one host for each fence, all with the judge as their origin. */
export const startFences = (judge: Judge): Promise<Layers> => {
  const targets = [...FENCES.values()].map(({ lines }, index) =>
    [`  fence${index}.test:`, 'protocol: http', 'hostname: 127.0.0.1', `port: ${judge.port}`, ...lines].join('\n    '),
  )
  return startLayers({ targets: `targets:\n${targets.join('\n')}\n`, logLevel: 'info' })
}

/**
 * How what an origin has logged differs from what the gateway has.
 * @param seen    `-` at the end stands for a target that the origin has refused to read
 * @param wanted  what the gateway has passed on and got an answer for
 * @param broken  what it has given up: that may have come to the origin's log or not
 */
export const differences = (name: string, seen: readonly string[], wanted: readonly string[], broken: readonly string[] = []): string[] => {
  const count = (all: readonly string[]): Map<string, number> => {
    const counts = new Map<string, number>()
    for (const each of all) counts.set(each, (counts.get(each) ?? 0) + 1)
    return counts
  }
  const [must, may] = [count(wanted), count(broken)]
  const faults: string[] = []
  let unread = 0
  for (const each of seen) {
    const from = (must.get(each) ?? 0) > 0 ? must : may
    const left = from.get(each) ?? 0
    if (left > 0) from.set(each, left - 1)
    else if (each.endsWith('-')) unread++
    else faults.push(`${name} has seen ${show(each)}, and the gateway has no line of it`)
  }
  const missing = [...must].filter(([, left]) => left > 0)
  if (missing.reduce((sum, [, left]) => sum + left, 0) > unread)
    faults.push(
      `${name} has not seen what the gateway has lines of: ${missing
        .slice(0, 3)
        .map(([each]) => show(each))
        .join(', ')}`,
    )
  return faults
}

/** What `read` gives as soon as it is enough; logs are written after the answer. */
const settled = async <T>(
  read: () => readonly T[],
  isEnough: (all: readonly T[]) => boolean,
  what: string,
  faults: string[],
): Promise<readonly T[]> => {
  await until(() => isEnough(read()), { what }).catch((error: unknown) => faults.push((error as Error).message))
  return read()
}

/** How many of `count` variants the origin answers with what is protected when no gateway is there. */
export const judgeDirectly = async (judge: Judge, count: number, seed: number): Promise<number> => {
  let served = 0
  await askAll(judge.port, '127.0.0.1', 'direct', [...variants(new Chance(seed), count, '/pub', '127.0.0.1')], answer => {
    if (isSecret(answer)) served++
  })
  return served
}

/** Sends `count` variants to each fence. @param layers  of `startFences` */
export async function* judgePaths(judge: Judge, layers: Layers, count: number, seed: number): AsyncGenerator<Verdict> {
  let index = -1
  for (const [fence, { open, prefix = '', mapped = (path: string) => path, foldsCase = false }] of FENCES) {
    index++
    const host = `fence${index}.test`
    const inner = [...variants(new Chance(seed + index), count, open, host)]
    const targets = inner.map(each => (each.startsWith('/') ? prefix + each : each))
    const faults: string[] = []
    let folded = 0
    const before = layers.accessLog.length
    const executedBefore = judge.executed().length
    await askAll(layers.port, host, `fence${index}`, targets, (answer, target) => {
      if (answer === undefined) return void faults.push(`${show(target)}: no answer that can be read`)
      if (!isSecret(answer)) return
      const { path } = canonicalPath(loggedPath(target), true)
      if (foldsCase && /^\/secret(?:\/|$|;)/i.test(path) && !/^\/secret(?:\/|$|;)/.test(path)) folded++
      else faults.push(`${show(target)} is answered with what is protected`)
    })
    const lines = await settled(
      () => layers.accessLog.slice(before),
      all => all.length >= count,
      `${count} lines in the access log`,
      faults,
    )
    const reached = lines.filter(line => line.identifier !== undefined)
    if (lines.length !== count) faults.push(`${count} requests, and ${lines.length} lines in the access log`)
    const wanted = reached.map(line => mapped(canonicalPath(line.path, true, true).path))
    const executed = await settled(
      () => withoutRepeats(judge.executed().slice(executedBefore)),
      all => all.length >= reached.length,
      `${reached.length} requests in the log of ${judge.name}`,
      faults,
    )
    const seen = executed.map(({ line }) => withoutQuery(line.split(' ')[1] ?? ''))
    faults.push(...differences(judge.name, seen, wanted))
    yield { fence, sent: count, refused: lines.length - reached.length, passed: reached.length, folded, faults }
  }
}
