import cluster from 'node:cluster'
import { guarded } from '../net/guard.ts'
import type { FromWorker, ToWorker } from './messages.ts'

/** A worker process, as the primary sees it. */
export interface WorkerChild {
  readonly pid: number
  /** Nothing happens when it is gone. */
  send(message: ToWorker): void
  onMessage(listener: (message: FromWorker) => void): void
  /** Told once, with its exit status where it had one. */
  onEnd(listener: (how: { readonly status: number | undefined; readonly text: string }) => void): void
  /** Its log lines, as they come. */
  onOutput(listener: (text: string) => void): void
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
}

/** The program of workers. */
export interface WorkerProgram {
  readonly file: string
  readonly args: readonly string[]
  readonly execArgv: readonly string[]
  /** Sockets of this process that each worker has as well, from its number 4 on, in this order. */
  readonly sockets: readonly number[]
}

/**
 * Makes what starts worker processes. Ports that they open are opened here, once, and stay open while any of them has them: all of them accept from the
 * same listening socket, whoever has time first. To accept here and hand connections on in turn (SCHED_RR) is more even by one in twenty, but costs each
 * connection a message, and what was handed to a worker that is killed stays open here for ever, so that its client waits for an answer. With
 * SO_REUSEPORT the kernel resets what waits at a worker that ends.
 */
export function createForker({ file, args, execArgv, sockets }: WorkerProgram): () => WorkerChild {
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({
    exec: file,
    args: [...args],
    execArgv: [...execArgv],
    serialization: 'json',
    stdio: ['ignore', 'pipe', 'inherit', 'ipc', ...sockets],
  })
  return () => {
    const { process: child } = cluster.fork()
    /** A throw that a message or the end of a worker causes here ends that worker, not this process. */
    const fail = (): void => void child.kill('SIGKILL')
    child.on('error', () => undefined) // not started, or a message that could not be sent: `exit` and the next pulse tell
    child.stdout?.setEncoding('utf8')
    return {
      pid: child.pid ?? 0,
      send: message => {
        if (child.connected) child.send(message, () => undefined)
      },
      onMessage: listener =>
        void child.on(
          'message',
          guarded(fail, (message: unknown) => listener(message as FromWorker)),
        ),
      onEnd: listener =>
        void child.once(
          'exit',
          guarded(fail, (code: number | null, signal: string | null) =>
            listener({ status: code ?? undefined, text: signal ?? `exit status ${String(code)}` }),
          ),
        ),
      onOutput: listener =>
        void child.stdout?.on(
          'data',
          guarded(fail, (text: string) => listener(text)),
        ),
      kill: signal => void child.kill(signal),
    }
  }
}
