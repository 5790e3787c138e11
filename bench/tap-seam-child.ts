/** Many requests through the inner layer's part of the path, without sockets: see tap-seam.ts. */
import { Inspector } from '../src/inspector/inspector.ts'
import type { MuxStream } from '../src/mux/stream.ts'
import { OriginExchange, type OriginDrivers, type OriginEvents } from '../src/origin/origin-exchange.ts'

const WARM_UP = 20_000
const ROUNDS = 10
const REQUESTS = 5_000
const BODY = Buffer.alloc(1_024, 'a')
const FIELDS = ['Content-Type', 'text/plain', 'Content-Length', '1024', 'Date', 'Sat, 28 Nov 2026 12:00:00 GMT']

const isOn = process.argv[2] === 'on'
const taps = isOn
  ? new Inspector({
      layer: 'inner',
      budgetBytes: 16_777_216,
      bodyLimitBytes: 1_048_576,
      clock: () => performance.now(),
      nowMs: Date.now,
      onFault: thrown => {
        throw thrown
      },
    })
  : undefined

let events: OriginEvents | undefined
const send: OriginDrivers['http1'] = (_request, to) => {
  events = to
  return { resume: () => undefined, abort: () => undefined }
}
const stream = {
  handler: undefined,
  isRemoteOpen: false,
  needsPause: false,
  sentBytes: 0,
  sendHead: () => undefined,
  write: () => true,
  end: () => undefined,
  reset: (code: string, reason: string) => {
    throw new Error(`${code}: ${reason}`)
  },
  consumed: () => undefined,
} as unknown as MuxStream
const context = { drivers: { http1: send, http2: send }, onFailure: () => undefined, taps, clock: () => performance.now() }
const head = {
  protocol: 'http',
  hostname: '127.0.0.1',
  port: 80,
  method: 'GET',
  path: '/1k',
  host: 'a.test',
  body: { kind: 'none' },
  expectsContinue: false,
  upgrade: '',
  profile: 0,
  fields: ['User-Agent', 'bench', 'Accept', '*/*', 'X-Forwarded-For', '127.0.0.1'],
} as const

function request(): void {
  new OriginExchange(stream, { head, profile: undefined }, context).start()
  events!.connected?.()
  events!.head(200, 'OK', FIELDS)
  events!.data(BODY)
  events!.end([])
}

for (let i = 0; i < WARM_UP; i++) request()
const bytes: number[] = []
const cpu: number[] = []
for (let round = 0; round < ROUNDS; round++) {
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  const begun = process.cpuUsage()
  for (let i = 0; i < REQUESTS; i++) request()
  const { user, system } = process.cpuUsage(begun)
  bytes.push((process.memoryUsage().heapUsed - before) / REQUESTS)
  cpu.push((user + system) / REQUESTS)
}
process.stdout.write(`${JSON.stringify({ bytesPerRequest: Math.min(...bytes), cpuUs: Math.min(...cpu) })}\n`)
