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
