/** The processes of a benchmark: started at high priority where that is allowed, known by their ids, all ended in the end. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { closeSync, cpSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SERVICE_HEAP } from '../src/service-host/fork-service.ts'
import type { Job, Reply } from './client.ts'

/** The folder that holds package.json. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PRIORITY = -15
const NICE = ['nice', '-n', String(PRIORITY)]
/** The session that we are in, which is all our processes. Linux shares cores among sessions first (sched(7)): beside another one, priorities within ours count for nothing. */
const sessionOf = (pid: number | 'self'): string => `/proc/${pid}/autogroup`
const READY_MS = 60_000
const LOG_TAIL = 2_000
const JOB_MS = 60_000
const ENDED = 'the benchmark was ended'

const tail = (logFile: string): string => readFileSync(logFile, 'utf8').slice(-LOG_TAIL)

/** One process that serves until it is stopped. */
export interface Service {
  readonly pid: number
  /** What it wrote, to standard output and error. */
  readonly logFile: string
  /** Tells a script of this folder something. */
  tell(message: number): void
  stop(): void
}

/** A process of bench/client.ts. */
export class Client {
  #answer: ((reply: Reply) => void) | undefined

  constructor(private readonly child: ChildProcess) {
    child.on('message', (reply: Reply) => this.#answer?.(reply))
    child.on('exit', () => this.#answer?.({ error: 'the client has ended' }))
  }

  /** Does one job; one at a time. @throws Error when it failed or takes longer than a minute */
  async ask<Kind extends Job['kind']>(job: Extract<Job, { kind: Kind }>): Promise<Exclude<Reply, { error: string }>> {
    const timer = new AbortController()
    const late = delay(JOB_MS, { error: `no answer within ${JOB_MS} ms` } satisfies Reply, { signal: timer.signal })
    late.catch(() => undefined) // the abort below
    const answered = new Promise<Reply>(resolve => (this.#answer = resolve))
    this.child.send(job)
    const reply = await Promise.race([answered, late])
    timer.abort()
    if ('error' in reply) throw new Error(`${job.kind}: ${reply.error}`)
    return reply
  }
}

/** Without the permission `nice` still runs the command, and complains. */
const mayBeNice = (): boolean => {
  const { status, stderr } = spawnSync(NICE[0]!, [...NICE.slice(1), 'true'], { encoding: 'utf8' })
  return status === 0 && stderr === ''
}

/** @param pid  of a process in another session, such as a browser, which begins its own @returns sets it back */
export const raiseSession = (pid: number | 'self' = 'self'): (() => void) => {
  const session = sessionOf(pid)
  try {
    const before = / nice (-?\d+)$/m.exec(readFileSync(session, 'utf8'))?.[1] ?? '0'
    writeFileSync(session, String(PRIORITY))
    return () => writeFileSync(session, before)
  } catch {
    return () => undefined // a kernel without such groups
  }
}

/** Everything that was started, and the directory for its files. */
export class Fleet {
  readonly directory: string
  /** What stands before each command. */
  readonly #nice: readonly string[]
  readonly #children = new Set<ChildProcess>()
  readonly #stopped = new WeakSet<ChildProcess>()
  readonly #parts = new Set<Fleet>()
  readonly #lowerSession: () => void
  readonly #logs: { count: number }
  #isClosed = false

  /**
   * @param say  told when a process ends that should not
   * @param whole  the fleet of which this is a part, with its directory
   */
  constructor(
    private readonly say: (text: string) => void,
    private readonly whole?: Fleet,
  ) {
    this.directory = whole?.directory ?? mkdtempSync(join(tmpdir(), 'socket-gateway-bench-'))
    this.#nice = whole === undefined ? (mayBeNice() ? NICE : []) : whole.#nice
    this.#lowerSession = whole === undefined && this.isPrivileged ? raiseSession() : () => undefined
    this.#logs = whole === undefined ? { count: 0 } : whole.#logs
  }

  /** What is started through the part can be ended without the rest; it may start nothing more then. */
  part(): Fleet {
    if (this.#isClosed) throw new Error(ENDED)
    const part = new Fleet(this.say, this)
    this.#parts.add(part)
    return part
  }

  /** True when processes run at high priority. */
  get isPrivileged(): boolean {
    return this.#nice.length > 0
  }

  /** Writes a file into the directory; returns its path. */
  file(name: string, content: string): string {
    const path = join(this.directory, name)
    writeFileSync(path, content)
    return path
  }

  /** Starts a program that serves until it is stopped; what it writes goes to a file. */
  serve(command: readonly string[]): Service {
    return this.#serve(command, [])
  }

  /** Starts a TypeScript file of this folder that ends when we do. */
  serveScript(script: string, ...args: readonly (string | number)[]): Service {
    return this.#serve(this.#script(script, args), ['ipc'])
  }

  /** The same, with the options of Node.js that the service process is given. */
  serveServiceScript(script: string, ...args: readonly (string | number)[]): Service {
    const [node = '', ...rest] = this.#script(script, args)
    return this.#serve([node, ...SERVICE_HEAP, ...rest], ['ipc'])
  }

  /** The built program, as it was when first asked for: a build that somebody starts meanwhile must not change what is measured. */
  program(): string {
    const copy = join(this.directory, 'dist')
    if (!existsSync(copy)) {
      cpSync(join(ROOT, 'dist'), copy, { recursive: true })
      cpSync(join(ROOT, 'package.json'), join(this.directory, 'package.json'))
      symlinkSync(join(ROOT, 'node_modules'), join(this.directory, 'node_modules'))
    }
    return join(copy, 'main.cjs')
  }

  /** Starts a client. */
  client(): Client {
    return new Client(this.#spawn(this.#script('client.ts', []), ['ignore', 'ignore', 'inherit', 'ipc']))
  }

  /** Runs a program to its end; resolves with its standard output. @throws Error when it fails */
  async run(command: readonly string[]): Promise<string> {
    const child = this.#spawn(command, ['ignore', 'pipe', 'pipe'])
    let [output, errors] = ['', '']
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const status = await new Promise<number | null>((resolve, reject) => void child.once('close', resolve).once('error', reject))
    if (status !== 0) throw new Error(`"${command.join(' ')}" ended with status ${status}: ${errors}${output}`)
    return output
  }

  /** Kills every process and, of the whole, removes the directory. Idempotent; does not wait, for it also runs on a signal. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const part of this.#parts) part.close()
    for (const child of this.#children) this.#end(child)
    this.#lowerSession()
    if (this.whole === undefined) rmSync(this.directory, { recursive: true, force: true })
    else this.whole.#parts.delete(this)
  }

  #serve(command: readonly string[], more: readonly 'ipc'[]): Service {
    const logFile = join(this.directory, `${++this.#logs.count}.log`)
    const log = openSync(logFile, 'w')
    const child = this.#spawn(command, ['ignore', log, log, ...more])
    closeSync(log)
    child.once('exit', (status, signal) => {
      if (this.#stopped.has(child)) return
      this.say(`"${command.join(' ')}" has ended by itself (${signal ?? `status ${status}`}): ${tail(logFile)}`)
    })
    return { pid: child.pid!, logFile, tell: message => void child.send(message), stop: () => this.#end(child) }
  }

  #script(script: string, args: readonly (string | number)[]): string[] {
    return [process.execPath, '--import', 'tsx', join(ROOT, 'bench', script), ...args.map(String)]
  }

  #spawn(command: readonly string[], stdio: (number | 'ignore' | 'inherit' | 'pipe' | 'ipc')[]): ChildProcess {
    if (this.#isClosed) throw new Error(ENDED)
    const [file = '', ...args] = [...this.#nice, ...command]
    // Options of whoever runs the benchmark must not change what is measured.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SG_') && name !== 'NODE_OPTIONS'))
    const child = spawn(file, args, { cwd: ROOT, env, stdio })
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }

  #end(child: ChildProcess): void {
    this.#stopped.add(child)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  }
}

/** Ports of 127.0.0.1 that are free at the moment, all different. */
export const freePorts = async (count: number): Promise<number[]> => {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      server =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
        }),
    ),
  )
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}

/** Waits until `probe` holds. @throws Error with the end of the service's log when it does not in time */
export const ready = async (service: Service, what: string, probe: () => boolean | Promise<boolean>): Promise<void> => {
  const end = performance.now() + READY_MS
  for (;;) {
    const holds = await Promise.resolve(probe()).catch(() => false)
    if (holds) return
    if (performance.now() > end) throw new Error(`${what} is not ready after ${READY_MS} ms: ${tail(service.logFile)}`)
    await delay(25)
  }
}
