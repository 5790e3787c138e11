/** Load of small requests: by wrk, or without it by raw keep-alive sockets of our own. */
import { connect, type Socket } from 'node:net'
import { percentile } from './stats.ts'

/** Where a request goes. */
export interface Target {
  readonly port: number
  /** Decides about the origin behind a proxy. */
  readonly host: string
  readonly path: string
  /** Lines of the head beside Host. */
  readonly fields?: readonly string[]
}

/** How much load. */
export interface LoadOptions {
  readonly connections: number
  readonly seconds: number
}

/** What came of it. */
export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly p50Us: number
  readonly p99Us: number
}

const UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000, m: 60_000_000 }

/** Microseconds from what wrk prints as a time, such as `1.23ms`. */
function microseconds(text: string | undefined): number {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? '') ?? []
  return number === undefined || unit === undefined ? NaN : Number(number) * (UNITS[unit] ?? NaN)
}

/** Reads the output of `wrk --latency`. @throws Error when requests have failed, or when it is not such an output */
export function parseWrk(output: string): LoadResult {
  const failed = /^\s*(Socket errors|Non-2xx).*$/m.exec(output)?.[0]
  if (failed !== undefined) throw new Error(`wrk: ${failed.trim()}`)
  const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(output) ?? []
  const at = (share: string): number => microseconds(new RegExp(`^\\s*${share}%\\s+(\\S+) *$`, 'm').exec(output)?.[1])
  const result = { requests: Number(requests), seconds: Number(seconds), p50Us: at('50'), p99Us: at('99') }
  if (Object.values(result).some(Number.isNaN)) throw new Error(`not the output of wrk --latency: ${output}`)
  return result
}

/** Arguments of wrk. One thread: more would take the CPU from what is measured. */
export const wrkArguments = ({ port, host, path, fields = [] }: Target, { connections, seconds }: LoadOptions): string[] => [
  '-t1',
  `-c${connections}`,
  `-d${seconds}s`,
  '--latency',
  '-H',
  `Host: ${host}`,
  ...fields.flatMap(field => ['-H', field]),
  `http://127.0.0.1:${port}${path}`,
]

/** The bytes of a request. */
export const requestHead = ({ host, path, fields: own = [] }: Target, method = 'GET', fields: readonly string[] = []): string =>
  [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...own, ...fields, '', ''].join('\r\n')

/**
 * Length of the head in `text` and of the body after it; undefined while the head is not complete.
 * @throws Error when the answer is no success, or says no length
 */
export function parseAnswer(text: string): { readonly headBytes: number; readonly bodyBytes: number } | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (!/^HTTP\/1\.1 2/.test(head) || length === undefined) throw new Error(`not the answer that was expected: ${text.slice(0, 500)}`)
  return { headBytes: end + 4, bodyBytes: Number(length) }
}

/** One connection that asks again as soon as it has its answer. */
class Asker {
  #left = 0
  #head = ''
  #askedAt = 0
  #isInBody = false

  constructor(
    private readonly socket: Socket,
    private readonly request: string,
    private readonly answered: (ms: number) => boolean,
    private readonly fail: (error: Error) => void,
  ) {
    socket.setNoDelay(true)
    socket.on('data', bytes => this.#read(bytes))
  }

  ask(): void {
    this.#askedAt = performance.now()
    this.socket.write(this.request, 'latin1')
  }

  #read(bytes: Buffer): void {
    try {
      if (this.#isInBody) this.#left -= bytes.length
      else {
        this.#head += bytes.toString('latin1')
        const answer = parseAnswer(this.#head)
        if (answer === undefined) return
        this.#isInBody = true
        this.#left = answer.bodyBytes - (this.#head.length - answer.headBytes)
      }
    } catch (error) {
      return this.fail(error as Error)
    }
    if (this.#left > 0) return
    this.#isInBody = false
    this.#head = ''
    if (this.answered(performance.now() - this.#askedAt)) this.ask()
  }
}

/** The fallback for wrk: each connection asks again as soon as it has its answer. @throws Error when a request fails */
export const runLoad = (target: Target, { connections, seconds }: LoadOptions): Promise<LoadResult> =>
  new Promise((resolve, reject) => {
    const request = requestHead(target)
    const latencies: number[] = []
    const start = performance.now()
    const sockets: Socket[] = []
    let isOver = false
    const end = (): void => {
      isOver = true
      clearTimeout(timer)
      for (const socket of sockets) socket.destroy()
    }
    const fail = (error: Error): void => {
      if (isOver) return
      end()
      reject(error)
    }
    const answered = (ms: number): boolean => {
      if (!isOver) latencies.push(ms * 1000)
      return !isOver
    }
    const timer = setTimeout(() => {
      const elapsed = (performance.now() - start) / 1000
      end()
      resolve({ requests: latencies.length, seconds: elapsed, p50Us: percentile(latencies, 0.5), p99Us: percentile(latencies, 0.99) })
    }, seconds * 1000)
    for (let i = 0; i < connections; i++) {
      const socket = connect(target.port, '127.0.0.1')
      const asker = new Asker(socket, request, answered, fail)
      socket.on('connect', () => asker.ask())
      socket.on('error', fail)
      socket.on('close', () => fail(new Error('the connection was closed')))
      sockets.push(socket)
    }
  })

/** Sends so many requests, each connection its next one when it has its answer. @throws Error when a request fails */
export const runRequests = (target: Target, { connections, requests }: { connections: number; requests: number }): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = requestHead(target)
    const sockets: Socket[] = []
    let [asked, left] = [0, requests]
    const end = (): void => {
      left = 0
      for (const socket of sockets) socket.destroy()
    }
    const fail = (error: Error): void => {
      if (left === 0) return
      end()
      reject(error)
    }
    const isNextWanted = (): boolean => asked < requests && asked++ >= 0
    const answered = (): boolean => {
      if (--left > 0) return isNextWanted()
      end()
      resolve()
      return false
    }
    for (let i = 0; i < Math.min(connections, requests); i++) {
      const socket = connect(target.port, '127.0.0.1')
      const asker = new Asker(socket, request, answered, fail)
      socket.on('connect', () => isNextWanted() && asker.ask())
      socket.on('error', fail)
      socket.on('close', () => fail(new Error('the connection was closed')))
      sockets.push(socket)
    }
  })
