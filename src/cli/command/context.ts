import type { Log } from '../../telemetry/log.ts'

/** A standard stream of the process. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  /** Width of the terminal. */
  readonly columns?: number | undefined
}

/** Standard input: bytes or text, in pieces. */
export interface Input extends AsyncIterable<Uint8Array | string> {
  readonly isTTY?: boolean | undefined
  /** Of a terminal: keys come as they are typed, and are not shown. */
  setRawMode?(mode: boolean): unknown
}

/** A signal that asks a process to end. */
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP'

/** The process that has started this one as a part of itself, at the other end of a channel. */
export interface ParentProcess {
  /** Nothing happens when it is gone. @param message  JSON */
  send(message: unknown): void
  onMessage(listener: (message: unknown) => void): void
  /** Told once, when it is gone. */
  onEnd(listener: () => void): void
}

/** Everything that a command sees of the process it runs in. */
export interface CliContext {
  /** Arguments after the program's name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Number of this process; absent where it is part of another one. */
  readonly pid?: number
  /** Absent where there is none. */
  readonly stdin?: Input
  readonly stdout: Output
  readonly stderr: Output
  /** The destination of log lines: the file descriptor of stdout, or a stream. */
  readonly logDestination: number | Output
  /**
   * Resolves when the process is asked to end, with the signal if there was one. Until it is called, signals end the process as usual; a
   * second one always does.
   * @param options.hangup  takes SIGHUP as well, which else ends the process at once
   */
  readonly untilStopped: (options?: { readonly hangup?: boolean }) => Promise<StopSignal | undefined>
  /**
   * Calls `listener` each time that the process gets SIGUSR2, which else ends it, and where it has no terminal, which says by it that it is closed, at SIGHUP.
   * @returns whether SIGHUP is among them
   */
  readonly onUpgrade?: (listener: () => void) => boolean
  /** The nghttp2 of this Node.js; absent: whatever it is will do. */
  readonly nghttp2?: string | undefined
  /** Told of bytes that links have moved, and whether many streams were open, so that the process can keep its garbage small. */
  readonly onMoved?: (bytes: number, isMany: boolean) => void
  /** The text of `/proc/self/limits`, where there is one. */
  readonly processLimits?: string | undefined
  /** File of the running program, for a process beside this one. */
  readonly program?: string
  /** Options of Node.js that it was started with, such as a loader. */
  readonly execArgv?: readonly string[]
  readonly parent?: ParentProcess | undefined
  /** Told of the log of a long-running command, for faults that nobody caught. */
  readonly onLog?: (log: Log) => void
}

/** May colours be written to this stream? https://no-color.org */
export const hasColor = (output: Output, env: CliContext['env']): boolean =>
  output.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
