import { fork } from 'node:child_process'
import { getPriority, setPriority } from 'node:os'
import { guarded } from '../net/guard.ts'
import type { FromService, ServiceChild } from './ipc.ts'

/** The service yields to the data plane: what a flood of logins costs it must not come out of the time of requests. */
const NICER_BY = 5
const NICEST = 19

/**
 * Options of Node.js for the service process. Each login by SSH leaves some 60 KB of garbage, of which V8 would keep up to 48 MiB in a young heap that
 * grows with what comes at once: 20 to 35 KiB for each of 500 tunnels instead of 55 to 84, and no more CPU for logins or requests (docs/ssh.md).
 */
export const SERVICE_HEAP: readonly string[] = ['--max-semi-space-size=4']

/** Before the process has any thread but its first one, of which all others inherit. */
function yieldToParent(pid: number): void {
  try {
    setPriority(pid, Math.min(NICEST, getPriority() + NICER_BY))
  } catch {
    // It runs as it is, where a system does not let it, or it has ended already.
  }
}

/**
 * Starts a program of Node.js as the service process. What it writes by itself goes where the output of this process goes; what it logs comes as
 * messages.
 * @param program  file of the program
 * @param args     its arguments
 * @param execArgv  options of Node.js that this process was given, which count more than ours
 */
export function forkService(program: string, args: readonly string[], execArgv: readonly string[] = []): ServiceChild {
  // JSON, which is what the messages are: a process of the same release that has lost its mind cannot make this one read anything else.
  const child = fork(program, [...args], {
    serialization: 'json',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [...SERVICE_HEAP, ...execArgv],
  })
  if (child.pid !== undefined) yieldToParent(child.pid)
  const endListeners: ((how: string) => void)[] = []
  let ended: string | undefined
  const end = (how: string): void => {
    if (ended !== undefined) return
    ended = how
    for (const listener of endListeners) listener(how)
  }
  /** A throw that a message or an end of the child causes here ends the child, not this process. */
  const fail = (): void => void child.kill('SIGKILL')
  const exited = (code: number | null, signal: string | null): void => end(signal ?? `exit status ${String(code)}`)
  child.once('exit', guarded(fail, exited))
  // Not started at all, or a message that could not be sent; of a child that runs, `exit` tells.
  const failed = (error: Error): void => {
    if (child.pid === undefined) end(error.message)
  }
  child.on('error', guarded(fail, failed))
  return {
    get pid() {
      return child.pid
    },
    send: (message, taken = () => undefined) => {
      if (child.connected)
        child.send(
          message,
          guarded(fail, () => taken()),
        )
      else queueMicrotask(guarded(fail, taken))
    },
    onMessage: listener =>
      void child.on(
        'message',
        guarded(fail, (message: unknown) => listener(message as FromService)),
      ),
    onEnd: listener => {
      if (ended === undefined) endListeners.push(listener)
      else queueMicrotask(() => listener(ended!))
    },
    kill: () => void child.kill('SIGKILL'),
  }
}
