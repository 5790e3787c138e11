import { VERSION } from '../version.ts'
import type { ExitStatus } from './command/command.ts'
import type { CliContext } from './command/context.ts'

const VERSION_FLAGS: readonly string[] = ['--version', '-v']

/**
 * Runs the command that the arguments name, to its end.
 * @returns the exit status; what went wrong has been written to stderr, in one line for each fault
 */
export async function runCli(context: CliContext): Promise<ExitStatus> {
  const { argv, stdout } = context
  const [first = ''] = argv
  // Scripts ask for it again and again, and it takes none of the commands to answer.
  if (argv.length === 1 && VERSION_FLAGS.includes(first)) {
    stdout.write(`${VERSION}\n`)
    return 0
  }
  return (await import('./run-arguments.ts')).runArguments(context)
}
