/** A shell of OpenSSH in which keys are pressed while scp copies a large file. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { programPath } from '../test/support/needs.ts'
import { SSH_PROGRAMS, startSshd, type Sshd } from '../test/support/sshd.ts'
import { cleanUp } from '../test/support/cleanup.ts'
import type { Bench } from './bench.ts'
import { percentile } from './stats.ts'

export { SSH_PROGRAMS }

/** Between two keys of a fast typist. */
const KEY_MS = 40
const ALONE_KEYS = 50
const ECHO_MS = 10_000

/** What one way to the server came to. */
export interface ShellFigures {
  readonly label: string
  /** p99 of a key's echo without the copy, milliseconds. */
  readonly alone: number
  readonly p50: number
  readonly p99: number
  /** Of the copy, megabytes per second. */
  readonly rate: number
}

interface Ways {
  readonly carriers: readonly { readonly label: string; readonly port: number }[]
  stop(): void
}

/** A shell whose terminal echoes what is typed. */
class Shell {
  readonly child: ChildProcess
  #seen = 0
  #onText: (() => void) | undefined

  constructor(sshd: Sshd, port: number) {
    this.child = spawn(programPath('ssh')!, [...sshd.options, '-p', String(port), '-tt', sshd.account, 'stty -echoctl; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.#seen += chunk.length
      this.#onText?.()
    })
  }

  /** Presses a key; resolves with the milliseconds until it was echoed. */
  async press(): Promise<number> {
    const seen = this.#seen
    const start = performance.now()
    const late = delay(ECHO_MS, undefined, { ref: false }).then(() => {
      throw new Error(`no echo within ${ECHO_MS} ms`)
    })
    const echoed = new Promise<void>(resolve => {
      this.#onText = () => {
        if (this.#seen > seen) resolve()
      }
    })
    this.child.stdin?.write('x')
    await Promise.race([echoed, late])
    return performance.now() - start
  }

  end(): void {
    this.child.kill('SIGKILL')
  }
}

const copy = (sshd: Sshd, port: number, source: string, target: string): { readonly child: ChildProcess; readonly done: Promise<void> } => {
  const child = spawn(programPath('scp')!, [...sshd.options, '-P', String(port), source, `${sshd.account}:${target}`], { stdio: 'inherit' })
  const done = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => (code === 0 ? resolve() : reject(new Error(`scp ended with ${String(code)}`))))
  })
  return { child, done }
}

/** Measures every way to the same server; `start` makes the ways. */
export const measureShell = async (bench: Bench, bytes: number, start: (port: number) => Promise<Ways>): Promise<ShellFigures[]> => {
  const sshd = await startSshd()
  const ways = await start(sshd.port)
  const [source, target] = ['scp-source', 'scp-target'].map(name => join(bench.fleet.directory, name)) as [string, string]
  closeSync(openSync(source, 'w'))
  truncateSync(source, bytes) // scp compresses nothing
  const figures: ShellFigures[] = []
  try {
    for (const { label, port } of ways.carriers) {
      bench.say(`  ${label}`)
      const shell = new Shell(sshd, port)
      await delay(500)
      const alone: number[] = []
      for (let i = 0; i < ALONE_KEYS; i++) {
        alone.push(await shell.press())
        await delay(KEY_MS)
      }
      const began = performance.now()
      const { child, done } = copy(sshd, port, source, target)
      const times: number[] = []
      let seconds = 0
      const copied = done.then(() => {
        seconds = (performance.now() - began) / 1000
      })
      copied.catch(() => undefined) // awaited below
      while (seconds === 0 && child.exitCode === null) {
        times.push(await shell.press())
        await delay(KEY_MS)
      }
      await copied
      shell.end()
      rmSync(target, { force: true })
      figures.push({
        label,
        alone: percentile(alone, 0.99),
        p50: percentile(times, 0.5),
        p99: percentile(times, 0.99),
        rate: bytes / 1e6 / seconds,
      })
    }
  } finally {
    ways.stop()
    await cleanUp()
  }
  return figures
}
