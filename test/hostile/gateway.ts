/** A gateway of real processes that is fed with hostile input, and what it may not do meanwhile. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultOfHttp2 } from '../../src/outer/http-edge/http2-support.ts'
import { openInWords, openOf, peakOf } from '../chaos/proc.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { heldMiB, HELD_PROBE } from '../support/held.ts'
import { testKeyPair } from '../support/layers.ts'
import { PROGRAM, startProcess, type RunningProcess } from '../support/process.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

/** HTTP/2 is offered by a Node.js that is safe with it alone. */
export const HAS_HTTP2 = faultOfHttp2(process.versions['nghttp2']!) === undefined
/**
 * More than this, held above what was held at the start when nothing is under way, is kept by mistake. What may be kept is bounded by docs/limits.md:
 * addresses, passwords, ends of connections, buffers that go round, and code that was not needed before.
 */
const MOST_KEPT_MIB = 32
/** What must never be left behind. */
const UNDER_WAY = /^socket_gateway_(?:requests_in_flight|link_streams|link_outstanding_bytes|connections_open|connections_unaccounted)\b/
const TIMEOUT_MS = 4_000
/** A request that is not served in that time never will be, also on a machine that has other things to do. */
const PATIENCE_MS = 240_000
/** Whoever needs more objects than this at any time, between two turns of the event loop too, ends. See the bounds of floods in fuzzers.ts. */
const HEAP_MIB = 384
/**
 * What may come to be in memory, garbage included: that heap, three young ones of 16 MiB, and buffers beside it, of which V8 lets 64 MiB gather. What exceeds
 * it are many small pieces, of which V8 sees a few bytes each.
 */
const MOST_PEAK_MIB = HEAP_MIB + 128
const NAMES = ['outer', 'inner'] as const

/** A figure of each of both processes. */
export type Held = Readonly<Record<(typeof NAMES)[number], number>>

export class Gateway {
  readonly faults: string[] = []
  /** What was held while a flood lasted, MiB above the start. */
  readonly most = new Map<string, number>()
  #open = { outer: 0, inner: 0 }
  #atStartMiB = { outer: 0, inner: 0 }
  #residentMiB = { outer: 0, inner: 0 }
  #lines = 0

  private constructor(
    readonly origin: RawOrigin,
    readonly outer: RunningProcess,
    readonly inner: RunningProcess,
    readonly appPort: number,
    readonly socketPort: number,
    private readonly adminPort: number,
  ) {}

  /** @param main  another build of the program */
  static async start(main = PROGRAM): Promise<Gateway> {
    const origin = await startRawOrigin(undefined, { keepBytes: 1 << 20 })
    const folder = tempDir()
    const pair = await testKeyPair()
    writeFileSync(join(folder, 'inner.key'), pair.privateKeyPem, { mode: 0o600 })
    writeFileSync(join(folder, 'inner.crt'), pair.certificatePem)
    const target = `protocol: http, hostname: 127.0.0.1, port: ${origin.port}`
    const targets = `targets:\n  'a.test': {${target}}\n  'strict.test': {${target}, policy: {'^/public(/.*)?': '*'}}\n`
    writeFileSync(join(folder, 'targets.yaml'), targets)
    const node = { program: process.execPath }
    const before = [...HELD_PROBE, `--max-old-space-size=${HEAP_MIB}`]
    const files = ['--public-key', join(folder, 'inner.crt'), '--targets', join(folder, 'targets.yaml')]
    const ports = [
      '--app-port',
      '0',
      '--app-host',
      '127.0.0.1',
      '--socket-port',
      '0',
      '--admin-port',
      '0',
      '--max-connections-per-address',
      '0',
      // Whoever comes from another address of this machine is a stranger.
      '--trust-proxy',
      '127.0.0.1',
    ]
    const more = ['--timeout', String(TIMEOUT_MS), '--header-timeout', '3000', '--log-format', 'json', ...(HAS_HTTP2 ? ['--app-h2c'] : [])]
    const outer = startProcess([...before, main, 'outer-layer', ...files, ...ports, ...more], node)
    const [, appPort, socketPort, adminPort] = await outer.waitForLine(/"appPort":(\d+),"socketPort":(\d+).*"adminPort":(\d+)/)
    const link = ['--outer-layer', `ws://localhost:${socketPort!}`, '--identifier', 'inner-a']
    const key = ['--private-key', join(folder, 'inner.key'), '--allow', '127.0.0.1:*', '--log-format', 'json']
    const inner = startProcess([...before, main, 'inner-layer', ...key, ...link], node)
    await inner.waitForLine(/connected to/)
    const gateway = new Gateway(origin, outer, inner, Number(appPort), Number(socketPort), Number(adminPort))
    for (let i = 0; i < 20; i++) await gateway.serves()
    await gateway.#atRest()
    gateway.#open = gateway.#openNow
    gateway.#atStartMiB = await gateway.#heldMiB()
    gateway.#residentMiB = gateway.peakMiB
    return gateway
  }

  /** Answers that are right, whatever is asked. */
  answerOk(): void {
    this.origin.handle(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.method === 'HEAD' ? '' : 'ok'))
    })
  }

  /** An ordinary request is served. */
  async serves(): Promise<void> {
    this.answerOk()
    let last = 'nothing'
    const isServed = async (): Promise<boolean> => {
      const { status, body } = await exchange(this.appPort, { host: 'a.test', signal: AbortSignal.timeout(20_000) })
      last = `${status} ${body.toString().slice(0, 300)}`
      return status === 200
    }
    await until(isServed, { deadlineMs: PATIENCE_MS, what: 'an ordinary request to be served' }).catch(async (error: unknown) => {
      const status = await ask(this.adminPort, '/status').catch((failure: unknown) => ({ text: String(failure) }))
      throw new Error(`an ordinary request gets ${last}; ${status.text.slice(0, 2_000)}`, { cause: error })
    })
  }

  /** Looks at everything after a batch of inputs. @returns what was wrong with it, in words */
  async check(what: string): Promise<readonly string[]> {
    // What the kernel knows of a process that has ended is gone before its end is told here.
    return this.#check(what).catch(async (error: unknown) => {
      await Promise.race([this.outer.exit, this.inner.exit, new Promise(resolve => setTimeout(resolve, 5_000))])
      return this.outer.exited === undefined && this.inner.exited === undefined ? this.#found(what, [String(error)]) : this.#check(what)
    })
  }

  async #check(what: string): Promise<readonly string[]> {
    const wrong: string[] = []
    for (const [name, { exited, stderr }] of [
      ['outer', this.outer],
      ['inner', this.inner],
    ] as const) {
      if (exited !== undefined) wrong.push(`${name} ended (${exited.code ?? exited.signal}): ${stderr.slice(-600)}`)
    }
    if (wrong.length > 0) return this.#found(what, wrong)
    await this.serves().catch((error: unknown) => wrong.push(String(error)))
    await this.#atRest().catch((error: unknown) => wrong.push((error as Error).message))
    const before = this.#open
    await until(() => NAMES.every(name => this.#openNow[name] <= before[name])).catch(() => undefined)
    const [open, grown] = [this.#openNow, await this.grownMiB()]
    for (const name of NAMES) {
      if (grown[name] > MOST_KEPT_MIB) wrong.push(`${name} holds ${Math.round(grown[name])} MiB more than at the start`)
      const peak = this.peakMiB[name] - this.#residentMiB[name]
      if (peak > MOST_PEAK_MIB) wrong.push(`${name} had ${Math.round(peak)} MiB more than at the start in memory`)
      if (open[name] > before[name])
        wrong.push(`${name} holds ${open[name]} sockets and files, ${before[name]} before: ${openInWords(this[name].pid)}`)
    }
    for (const { stdout } of [this.outer, this.inner]) {
      const line = /^.*internal fault.*$/m.exec(stdout)
      if (line !== null) wrong.push(line[0].slice(0, 1_000))
    }
    if (this.origin.faults.length > 0) wrong.push(`the origin got what is no HTTP: ${String(this.origin.faults[0])}`)
    this.#lines += this.outer.stdout.split('"msg":"request"').length - 1
    this.outer.stdout = ''
    this.inner.stdout = ''
    this.origin.clear()
    return this.#found(what, wrong)
  }

  /** What each process holds above its beginning, MiB; of one that has ended, nothing. */
  async grownMiB(): Promise<Held> {
    const [held, before] = [await this.#heldMiB(), this.#atStartMiB]
    return { outer: held.outer - before.outer, inner: held.inner - before.inner }
  }

  /** Access lines so far. */
  get lines(): number {
    return this.#lines
  }

  async close(): Promise<void> {
    await Promise.all([this.outer.stop('SIGKILL'), this.inner.stop('SIGKILL'), this.origin.close()])
  }

  #found(what: string, wrong: readonly string[]): readonly string[] {
    for (const one of wrong) this.faults.push(`${what}: ${one}`)
    return wrong
  }

  async #atRest(): Promise<void> {
    let left: string[] = []
    const look = async (): Promise<boolean> => {
      for (const { socket } of this.origin.connections) socket.destroy()
      const metrics = parseMetrics((await ask(this.adminPort, '/metrics')).text)
      left = [...metrics].filter(([name, value]) => value !== 0 && UNDER_WAY.test(name)).map(([name, value]) => `${name} ${value}`)
      return left.length === 0
    }
    await until(look).catch(() => {
      throw new Error(`left behind: ${left.join(', ')}`)
    })
  }

  /** The most that was ever in memory, garbage included, as the kernel has it. */
  get peakMiB(): Held {
    return { outer: peakOf(this.outer.pid), inner: peakOf(this.inner.pid) }
  }

  get #openNow(): Held {
    return { outer: openOf(this.outer.pid), inner: openOf(this.inner.pid) }
  }

  async #heldMiB(): Promise<Held> {
    const [outer = 0, inner = 0] = await Promise.all([heldMiB(this.outer), heldMiB(this.inner)])
    return { outer, inner }
  }
}
