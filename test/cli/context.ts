import type { CliContext } from '../../src/cli/command/context.ts'
import { runCli } from '../../src/cli/run-cli.ts'

/** What a command wrote and how it ended. */
export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line inside this process: for commands that end by themselves. */
export async function run(argv: readonly string[], env: CliContext['env'] = {}): Promise<Outcome> {
  let [stdout, stderr] = ['', '']
  const status = await runCli({
    argv,
    env,
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    logDestination: { write: text => (stdout += text) },
    untilStopped: () => Promise.resolve(undefined),
  })
  return { status, stdout, stderr }
}

/** A command that runs until it is asked to end. */
export interface Running {
  readonly stdout: () => string
  readonly stderr: () => string
  /** Asks it to end; resolves with its exit status. */
  stop(): Promise<number>
}

/** The same for commands that run until they are asked to end. */
export function begin(argv: readonly string[], env: CliContext['env'] = {}): Running {
  let [stdout, stderr] = ['', '']
  let stop = (): void => undefined
  const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
  const ended = runCli({
    argv,
    env,
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    logDestination: { write: text => (stdout += text) },
    untilStopped: () => stopped,
  })
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    stop: () => {
      stop()
      return ended
    },
  }
}
