/** Very many inner layers in a process of their own: they lose their links and come back. */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onCleanUp } from '../support/cleanup.ts'
import type { Order, Told } from './fleet-process.ts'

const PROGRAM = fileURLToPath(new URL('fleet-process.ts', import.meta.url))

export class Fleet {
  readonly #child: ChildProcess
  readonly #gone: Promise<unknown>
  /** Connected now. */
  up = 0
  /** Links that have come up since the start. */
  made = 0

  constructor(order: Order) {
    const child = fork(PROGRAM, { execArgv: ['--import', 'tsx'] })
    this.#child = child
    this.#gone = new Promise(resolve => child.once('close', resolve))
    child.on('message', ({ up, made }: Told) => ([this.up, this.made] = [up, made]))
    child.send(order)
    onCleanUp(() => this.end())
  }

  /** Kills it. */
  async end(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#gone
  }
}
