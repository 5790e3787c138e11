import type { Log } from '../telemetry/log.ts'

/** A standard stream of the process. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  /** Width of the terminal. */
  readonly columns?: number | undefined
}

/** Everything that a command sees of the process it runs in. */
export interface CliContext {
  /** Arguments after the program's name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: Output
  readonly stderr: Output
  /** What log lines are written to: the file descriptor of stdout, or a stream. */
  readonly logDestination: number | Output
  /** Resolves when the process is asked to end. Until it is called, signals end the process as usual; a second one always does. */
  readonly untilStopped: () => Promise<void>
  /** Told of the log of a long-running command, for faults that nobody caught. */
  readonly onLog?: (log: Log) => void
}

/** May colours be written to this stream? https://no-color.org */
export const hasColor = (output: Output, env: CliContext['env']): boolean =>
  output.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
