/** The program as its users run it, in a child process. */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onCleanUp } from './cleanup.ts'
import { DEADLINE_MS, until, within } from './wait.ts'

/** The folder that holds package.json. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The program, built: what is shipped. */
export const PROGRAM = fileURLToPath(new URL('../../dist/main.cjs', import.meta.url))

export interface Exit {
  /** Exit status, null when a signal ended the process. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Options of node itself, before the program. */
  readonly nodeArgs?: readonly string[]
  /** Another program instead of ours run by this node. */
  readonly program?: string
}

/** A running child; what it writes is kept as text. */
export class RunningProcess {
  stdout = ''
  stderr = ''
  readonly exit: Promise<Exit>
  #exited: Exit | undefined

  constructor(
    readonly child: ChildProcess,
    private readonly name: string,
  ) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.exit = new Promise((resolve, reject) => {
      child.once('error', reject)
      // 'close' comes after 'exit', when all output has been read.
      child.once('close', (code, signal) => {
        this.#exited = { code, signal }
        resolve(this.#exited)
      })
    })
    this.exit.catch(() => undefined) // whoever awaits `exit` sees it; nobody else has to
  }

  get pid(): number {
    return this.child.pid!
  }

  /** Everything written so far, standard output first. */
  get output(): string {
    return this.stdout + this.stderr
  }

  get exited(): Exit | undefined {
    return this.#exited
  }

  /**
   * Waits for `pattern` in either stream (also in what was written already).
   * @throws Error with the whole output when the deadline passes or the process ends without it
   */
  async waitForLine(pattern: RegExp, deadlineMs = DEADLINE_MS): Promise<RegExpMatchArray> {
    const found = (): RegExpMatchArray | null => pattern.exec(this.stdout) ?? pattern.exec(this.stderr)
    try {
      await until(() => found() !== null || this.#exited !== undefined, { deadlineMs, what: String(pattern) })
    } catch {
      throw new Error(`waited ${deadlineMs} ms for ${String(pattern)} from "${this.name}", which wrote:\n${this.output}`)
    }
    const match = found()
    if (match === null)
      throw new Error(`"${this.name}" ended (${JSON.stringify(this.#exited)}) without ${String(pattern)}:\n${this.output}`)
    return match
  }

  /** Sends `signal` and waits for the end. @throws Error with the output when it is still running after the deadline */
  async stop(signal: NodeJS.Signals = 'SIGTERM', deadlineMs = DEADLINE_MS): Promise<Exit> {
    if (this.#exited === undefined) this.child.kill(signal)
    try {
      return await within(this.exit, `the end of "${this.name}"`, deadlineMs)
    } catch (error) {
      throw new Error(`"${this.name}" did not end after ${signal}; it wrote:\n${this.output}`, { cause: error })
    }
  }
}

/**
 * Starts the program with these arguments; SG_* of the surroundings does not reach it, and outer layers do not fight for the admin port. The child is killed after the test file.
 * `npm test` builds dist/ first; a single file run by hand needs `npm run build` once.
 */
export const startProcess = (
  args: readonly string[],
  { env = {}, cwd = ROOT, nodeArgs = [], program }: ProcessOptions = {},
): RunningProcess => {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('SG_') && key !== 'NODE_OPTIONS'))
  const [file, all] = program === undefined ? [process.execPath, [...nodeArgs, PROGRAM, ...args]] : [program, [...args]]
  const child = spawn(file, all, { cwd, env: { ...inherited, SG_ADMIN_PORT: 'none', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const running = new RunningProcess(child, args.join(' '))
  onCleanUp(async () => {
    if (running.exited !== undefined || child.pid === undefined) return
    child.kill('SIGKILL')
    await running.exit
  })
  return running
}

/** Runs the program to its end. */
export const runProcess = async (
  args: readonly string[],
  options?: ProcessOptions,
  deadlineMs = DEADLINE_MS,
): Promise<Exit & { stdout: string; stderr: string }> => {
  const running = startProcess(args, options)
  const exit = await within(running.exit, `the end of "${args.join(' ')}"`, deadlineMs)
  return { ...exit, stdout: running.stdout, stderr: running.stderr }
}
