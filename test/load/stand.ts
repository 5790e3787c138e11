/** A gateway of real processes of the built program, with figures of each, and an origin that a scenario brings. */
import { writeFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { cpuSeconds, rssBytes } from '../../bench/proc.ts'
import { openOf } from '../chaos/proc.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { mintServer, writePair, type PairFiles } from '../support/certificates.ts'
import { heldMiB, HELD_PROBE } from '../support/held.ts'
import { testKeyPair } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'
import { PROGRAM, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

/** Longer than the start of a layer takes on a machine that is busy. */
const START_MS = 600_000

/** A process that can be ended and started again at the same place. */
export class Layer {
  #process: RunningProcess | undefined

  constructor(
    readonly name: string,
    private readonly args: readonly string[],
    private readonly ready: RegExp,
  ) {}

  get process(): RunningProcess {
    return this.#process!
  }

  async start(): Promise<this> {
    this.#process = startProcess([...HELD_PROBE, PROGRAM, ...this.args], { program: process.execPath })
    await this.#process.waitForLine(this.ready, START_MS)
    // Hours of lines are nobody's.
    this.#process.child.stdout!.on('data', () => (this.process.stdout = ''))
    return this
  }

  /** Ends it as an operator does. @throws Error when it does not end well */
  async stop(): Promise<void> {
    const { code, signal } = await this.process.stop('SIGTERM', START_MS)
    if (code !== 0) throw new Error(`${this.name} ended with ${code ?? signal}: ${this.process.stderr.slice(-1_000)}`)
  }

  /** Objects and buffers that are not garbage, MiB. */
  async held(): Promise<number> {
    const held = await heldMiB(this.process)
    if (held === undefined) throw new Error(`${this.name} has ended: ${this.process.output.slice(-2_000)}`)
    return held
  }

  get rssMiB(): number {
    return rssBytes(this.process.pid) / 2 ** 20
  }

  get open(): number {
    return openOf(this.process.pid)
  }

  get cpuSeconds(): number {
    return cpuSeconds([this.process.pid])
  }
}

/** An outer layer at ports that it keeps. */
export class Outer extends Layer {
  constructor(
    name: string,
    args: readonly string[],
    readonly ports: { readonly app: number; readonly socket: number; readonly admin: number },
  ) {
    super(name, args, /"appPort":\d+/)
  }

  async metrics(): Promise<ReadonlyMap<string, number>> {
    return parseMetrics((await ask(this.ports.admin, '/metrics')).text)
  }

  async isReady(): Promise<boolean> {
    return (await ask(this.ports.admin, '/readyz').catch(() => ({ status: 0 }))).status === 200
  }

  /** Sessions of one inner layer. */
  async sessionsOf(name: string): Promise<number> {
    return (await this.metrics()).get(`socket_gateway_link_sessions{peer="${name}"}`) ?? 0
  }
}

export interface StandOptions {
  readonly outers?: number
  readonly inners?: number
  /** Of each inner layer to each outer layer. */
  readonly connections?: number
  readonly originPort: number
  /** More arguments of each outer layer. */
  readonly outer?: readonly string[]
  /** `wss:` between the layers. */
  readonly isTls?: boolean
}

export class Stand {
  readonly outers: Outer[] = []
  readonly inners: Layer[] = []

  private constructor(
    private readonly folder: string,
    private readonly originPort: number,
    readonly link: PairFiles,
  ) {}

  /** Starts everything; the target of every host but those in `more` of `writeTargets` is the origin. */
  static async start({ outers = 1, inners = 1, connections = 2, originPort, outer = [], isTls = false }: StandOptions): Promise<Stand> {
    const folder = tempDir()
    const pair = await testKeyPair()
    writeFileSync(join(folder, 'inner.key'), pair.privateKeyPem, { mode: 0o600 })
    writeFileSync(join(folder, 'inner.crt'), pair.certificatePem)
    const stand = new Stand(folder, originPort, writePair(await mintServer(['localhost', '127.0.0.1']), 'link', folder))
    stand.writeTargets('')
    const [key, crt, targets] = ['inner.key', 'inner.crt', 'targets.yaml'].map(name => join(folder, name)) as [string, string, string]
    const tls = isTls ? ['--socket-tls-certificate', stand.link.certificate, '--socket-tls-key', stand.link.key] : []
    for (let i = 0; i < outers; i++) {
      const ports = { app: await freePort(), socket: await freePort(), admin: await freePort() }
      const listen = ['--app-host', '127.0.0.1', ...Object.entries(ports).flatMap(([name, port]) => [`--${name}-port`, String(port)])]
      const files = ['--public-key', crt, '--targets', targets, '--max-connections-per-address', '0', '--log-format', 'json']
      stand.outers.push(await new Outer(`outer-${i}`, ['outer-layer', ...files, ...listen, ...tls, ...outer], ports).start())
    }
    const urls = stand.outers.flatMap(({ ports }) => ['--outer-layer', `${isTls ? 'wss' : 'ws'}://localhost:${ports.socket}`])
    const ca = isTls ? ['--outer-layer-ca', stand.link.certificate] : []
    for (let i = 0; i < inners; i++) {
      const name = `inner-${i}`
      const link = [...urls, ...ca, '--identifier', name, '--connections', String(connections), '--private-key', key]
      const more = ['--allow', '127.0.0.1:*', '--log-format', 'json', '--admin-port', '0']
      stand.inners.push(await new Layer(name, ['inner-layer', ...link, ...more], /connected to/).start())
    }
    for (const each of stand.outers) await stand.linked(each, connections)
    return stand
  }

  /** Waits until every inner layer has its sessions at an outer layer. */
  async linked(outer: Outer, connections = 2): Promise<void> {
    await until(
      async () => (await Promise.all(this.inners.map(({ name }) => outer.sessionsOf(name)))).every(count => count >= connections),
      {
        deadlineMs: START_MS,
        what: `the links of ${outer.name}`,
      },
    )
  }

  /** Puts a targets file in the place of the one before. */
  writeTargets(more: string): void {
    const file = join(this.folder, 'targets.yaml')
    writeFileSync(`${file}.new`, `targets:\n  'a.test': { protocol: http, hostname: 127.0.0.1, port: ${this.originPort} }\n${more}`)
    renameSync(`${file}.new`, file)
  }

  /** Waits until no stream is under way. */
  async quiet(): Promise<void> {
    const isQuiet = async (outer: Outer): Promise<boolean> =>
      [...(await outer.metrics())].every(
        ([name, value]) => value === 0 || !/^socket_gateway_(?:requests_in_flight|link_streams|link_outstanding_bytes)\b/.test(name),
      )
    for (const outer of this.outers)
      await until(() => isQuiet(outer), { deadlineMs: START_MS, what: `${outer.name} to have nothing under way` })
  }
}
