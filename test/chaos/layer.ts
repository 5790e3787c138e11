/** One process of the gateway in a world: it is ended, frozen and started again, and whatever it writes is read. */
import { startProcess, type ProcessOptions, type RunningProcess } from '../support/process.ts'
import { heldMiB, HELD_PROBE } from '../support/held.ts'
import { openOf } from './proc.ts'

/** How it is started, each time anew. */
export interface Start {
  readonly name: string
  readonly args: () => readonly string[]
  readonly options?: ProcessOptions
  /** The line that says that it runs; its groups are kept. Undefined: nothing says so. */
  readonly ready?: RegExp
  readonly onLine: (line: string, layer: Layer) => void
  /** A signal that nobody sent has ended it, such as that of a heap that is full. */
  readonly onKilled?: () => void
}

/** A start or an end that takes longer than this never comes, also on a machine that has other things to do. */
const PATIENCE_MS = 600_000

/** Text that only an error nobody caught leaves behind. */
const UNCAUGHT = /\n {4}at |Uncaught|UnhandledPromise|FATAL ERROR|Assertion|node:internal/

export class Layer {
  #process: RunningProcess | undefined
  #match: RegExpMatchArray | undefined
  #rest = ''
  #isExpectedToEnd = false
  /** Ends that nobody asked for, and errors that nobody caught. */
  readonly faults: string[] = []

  constructor(readonly start: Start) {}

  get name(): string {
    return this.start.name
  }

  get isRunning(): boolean {
    return this.#process !== undefined && this.#process.exited === undefined
  }

  /** The groups of the line that said that it runs. */
  get facts(): readonly string[] {
    return this.#match ?? []
  }

  get pid(): number {
    return this.#process!.pid
  }

  /** Starts it, and waits until it says that it runs. */
  async run(): Promise<this> {
    this.#isExpectedToEnd = false
    this.#rest = ''
    const { options = {} } = this.start
    const running = startProcess(this.start.args(), { ...options, nodeArgs: [...HELD_PROBE, ...(options.nodeArgs ?? [])] })
    this.#process = running
    running.child.stdout!.on('data', (text: string) => this.#read(text, running))
    running.exit.then(({ code, signal }) => this.#ended(running, code, signal)).catch((error: unknown) => this.faults.push(String(error)))
    if (this.start.ready !== undefined) this.#match = await running.waitForLine(this.start.ready, PATIENCE_MS)
    return this
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#process!.child.kill(signal)
  }

  /** Ends it; resolves when it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return
    this.#isExpectedToEnd = true
    if (signal === 'SIGTERM') this.signal('SIGCONT')
    await this.#process!.stop(signal, PATIENCE_MS)
  }

  /** It may end by itself from now on. */
  mayEnd(): void {
    this.#isExpectedToEnd = true
  }

  /** Sockets and files, as the kernel has them. */
  get open(): number {
    return openOf(this.pid)
  }

  /** Objects and buffers that are not garbage; undefined once it has ended. */
  heldMiB(): Promise<number | undefined> {
    return heldMiB(this.#process!)
  }

  #read(text: string, running: RunningProcess): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) if (line !== '') this.start.onLine(line, this)
    // A run of an hour writes more than anybody wants to keep.
    if (running.stdout.length > 1 << 20 && this.#match !== undefined) running.stdout = running.stdout.slice(-4_096)
  }

  #ended(running: RunningProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (signal !== null) this.start.onKilled?.()
    if (UNCAUGHT.test(running.stderr)) this.faults.push(`${this.name} wrote: ${running.stderr.slice(0, 2_000)}`)
    if (!this.#isExpectedToEnd) this.faults.push(`${this.name} ended by itself (${code ?? signal}): ${running.output.slice(-2_000)}`)
  }
}
