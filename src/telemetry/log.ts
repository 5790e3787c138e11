import pino from 'pino'
import type { LogFormat, LogLevel } from './log-levels.ts'
import { createPretty } from './pretty.ts'
import { redact } from './redact.ts'
import { sinkOf, type LogDestination, type Sink } from './sink.ts'

export type { LogFormat, LogLevel } from './log-levels.ts'

/** The fields of a message. Never header fields, tokens or keys; what is named like one is printed as `***`. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where every part says what happened. */
export interface Log {
  readonly format: LogFormat
  /** Colours in the lines that are written by `write`. */
  readonly color: boolean
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  /** An error belongs in the field `err`: its code and message are logged, its stack when it is a fault of the program. */
  error(fields: LogFields, message: string): void
  /** A log that adds `fields` to every message. */
  child(fields: LogFields): Log
  /** Would a message of this level be logged? */
  isEnabled(level: LogLevel): boolean
  /** Appends whole lines that are formatted already. */
  write(lines: string): void
  /** Resolves when everything has been handed to the operating system, or cannot be, after 2 s at the latest. Never rejects. */
  flush(): Promise<void>
}

/** Options of a log. */
export interface LogOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  readonly destination: LogDestination
  /** Only meant for `pretty`. */
  readonly color?: boolean
  readonly now?: () => Date
  /** Told when a descriptor takes no more, and when it does again. */
  readonly onFault?: (message: string) => void
}

/** An error for the log: code, message, causes; the stack of what was not expected, and of everything at level debug. */
const serializeError =
  (level: LogLevel) =>
  (thrown: unknown): unknown => {
    if (typeof thrown !== 'object' || thrown === null || !('message' in thrown)) return thrown
    const { code, message, stack, cause } = thrown as { code?: unknown; message: unknown; stack?: unknown; cause?: unknown }
    const isExpected = 'facts' in thrown && code !== 'INTERNAL'
    return {
      ...(code !== undefined && { code }),
      message,
      ...(cause !== undefined && { cause: serializeError('info')(cause) }),
      ...((!isExpected || level === 'debug') && stack !== undefined && { stack }),
    }
  }

/** Makes a log. Creating one changes nothing but its own destination. */
export function createLog({ level, format, destination, color = false, now = () => new Date(), onFault }: LogOptions): Log {
  const sink = sinkOf(destination, onFault)
  const pretty = createPretty(color)
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${now().toISOString()}"`,
      formatters: { level: label => ({ level: label }), log: redact },
      serializers: { err: serializeError(level) },
    },
    format === 'json' ? sink : { write: line => sink.write(pretty(line)) },
  )
  return new PinoLog(logger, sink, format, color)
}

class PinoLog implements Log {
  constructor(
    private readonly logger: pino.Logger,
    private readonly sink: Sink,
    readonly format: LogFormat,
    readonly color: boolean,
  ) {}

  debug(fields: LogFields, message: string): void {
    this.logger.debug(fields, message)
  }

  info(fields: LogFields, message: string): void {
    this.logger.info(fields, message)
  }

  warn(fields: LogFields, message: string): void {
    this.logger.warn(fields, message)
  }

  error(fields: LogFields, message: string): void {
    this.logger.error(fields, message)
  }

  child(fields: LogFields): Log {
    return new PinoLog(this.logger.child(redact(fields)), this.sink, this.format, this.color)
  }

  isEnabled(level: LogLevel): boolean {
    return this.logger.isLevelEnabled(level)
  }

  write(lines: string): void {
    this.sink.collect(lines)
  }

  flush(): Promise<void> {
    return this.sink.flush()
  }
}

const nothing = (): void => undefined

/** Says nothing: for tests and for programs that use the layers as a library. */
export const silentLog: Log = Object.freeze({
  format: 'json',
  color: false,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLog,
  isEnabled: () => false,
  write: nothing,
  flush: () => Promise.resolve(),
})
