/** A gateway of real processes that is fed with hostile input, and what it may not do meanwhile. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultOfHttp2 } from '../../src/outer/http-edge/http2-support.ts'
import { openInWords, openOf, rssOf } from '../chaos/proc.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { testKeyPair } from '../support/layers.ts'
import { PROGRAM, startProcess, type RunningProcess } from '../support/process.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

/** HTTP/2 is offered by a Node.js that is safe with it alone. */
export const HAS_HTTP2 = faultOfHttp2(process.versions['nghttp2']!) === undefined
/** More memory than this, above what there was at the start, follows pieces instead of bytes. */
const MOST_GROWTH_MIB = 256
/** What must never be left behind. */
const UNDER_WAY = /^socket_gateway_(?:requests_in_flight|link_streams|link_outstanding_bytes|connections_open|connections_unaccounted)\b/
const TIMEOUT_MS = 4_000

export class Gateway {
  readonly faults: string[] = []
  #baseline = { outer: { open: 0, rss: 0 }, inner: { open: 0, rss: 0 } }
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
    ]
    const more = ['--timeout', String(TIMEOUT_MS), '--header-timeout', '3000', '--log-format', 'json', ...(HAS_HTTP2 ? ['--app-h2c'] : [])]
    const outer = startProcess([main, 'outer-layer', ...files, ...ports, ...more], node)
    const [, appPort, socketPort, adminPort] = await outer.waitForLine(/"appPort":(\d+),"socketPort":(\d+).*"adminPort":(\d+)/)
    const link = ['--outer-layer', `ws://localhost:${socketPort!}`, '--identifier', 'inner-a']
    const key = ['--private-key', join(folder, 'inner.key'), '--allow', '127.0.0.1:*', '--log-format', 'json']
    const inner = startProcess([main, 'inner-layer', ...key, ...link], node)
    await inner.waitForLine(/connected to/)
    const gateway = new Gateway(origin, outer, inner, Number(appPort), Number(socketPort), Number(adminPort))
    for (let i = 0; i < 20; i++) await gateway.serves()
    await gateway.#atRest()
    gateway.#baseline = gateway.#held
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
    await until(async () => (await exchange(this.appPort, { host: 'a.test', signal: AbortSignal.timeout(20_000) })).status === 200, {
      what: 'an ordinary request to be served',
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
    const before = this.#baseline
    const names = ['outer', 'inner'] as const
    await until(() => names.every(name => this.#held[name].open <= before[name].open)).catch(() => undefined)
    const held = this.#held
    for (const name of names) {
      const grown = Math.round(held[name].rss - before[name].rss)
      if (grown > MOST_GROWTH_MIB) wrong.push(`${name} has ${grown} MiB more than at the start`)
      if (held[name].open > before[name].open)
        wrong.push(`${name} holds ${held[name].open} sockets and files, ${before[name].open} before: ${openInWords(this[name].pid)}`)
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

  /** The most memory that either process has above its beginning, MiB. */
  get grownMiB(): number {
    const [held, before] = [this.#held, this.#baseline]
    return Math.max(held.outer.rss - before.outer.rss, held.inner.rss - before.inner.rss)
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

  get #held() {
    const of = ({ pid }: RunningProcess): { readonly open: number; readonly rss: number } => ({ open: openOf(pid), rss: rssOf(pid) })
    return { outer: of(this.outer), inner: of(this.inner) }
  }
}
