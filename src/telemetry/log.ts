import pino from 'pino'
import { LogFile } from './log-file.ts'
import { createPretty } from './pretty.ts'
import { redact } from './redact.ts'

/** How much is logged; each level includes those after it. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** `json`: one object a line, for machines. `pretty`: a readable line, for people. */
export const LOG_FORMATS = ['pretty', 'json'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

/** What belongs to a message. Never header fields, tokens or keys; what is named like one is printed as `***`. */
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
  /** Resolves when everything has been handed to the operating system, after 2 s at the latest. Never rejects. */
  flush(): Promise<void>
}

/** What receives lines: an open file descriptor or a log file, which are written to in the background, or anything with `write`. */
export type LogDestination = number | LogFile | { write(text: string): unknown }

/** How to log. */
export interface LogOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  readonly destination: LogDestination
  /** Only meant for `pretty`. */
  readonly color?: boolean
  readonly now?: () => Date
}

const FLUSH_PERIOD_MS = 100
const FLUSH_DEADLINE_MS = 2_000
/** Lines of the access log are collected up to this many characters or FLUSH_PERIOD_MS, whichever comes first. */
const BATCH_CHARS = 32_768
/** A single write to the descriptor, bytes. */
const MAX_WRITE_BYTES = 131_072
/** With a reader of the log that is slower than its writers, lines beyond this are dropped rather than kept in memory. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024

interface Sink {
  write(text: string): void
  /** Writes soon: for lines that come by the thousand. */
  collect(text: string): void
  flush(): Promise<void>
}

const streamSink = (stream: { write(text: string): unknown }): Sink => ({
  write: text => void stream.write(text),
  collect: text => void stream.write(text),
  flush: () => Promise.resolve(),
})

/** Holds lines that come by the thousand until there are many of them, or for a moment. */
class Batch {
  #held = ''
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly write: (text: string) => void) {}

  readonly release = (): void => {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const text = this.#held
    this.#held = ''
    if (text !== '') this.write(text)
  }

  add(text: string): void {
    this.#held += text
    if (this.#held.length >= BATCH_CHARS) this.release()
    else this.#timer ??= setTimeout(this.release, FLUSH_PERIOD_MS)
  }
}

function fileSink(file: LogFile): Sink {
  const batch = new Batch(text => file.write(text))
  return {
    write: text => {
      batch.release() // lines stay in order
      file.write(text)
    },
    collect: text => batch.add(text),
    flush: () => {
      batch.release()
      return file.flush()
    },
  }
}

/** Writes in the background; at exit of the process, pino writes the rest synchronously. */
// sonic-boom measures its whole buffer anew for each line (a fifth of the CPU at 15,000 requests/s), so it gets many lines at a time.
function descriptorSink(fd: number): Sink {
  const destination = pino.destination({
    fd,
    sync: false,
    minLength: 1,
    maxWrite: MAX_WRITE_BYTES,
    maxLength: MAX_BUFFERED_BYTES,
  })
  // A closed pipe or a full disk must not end the gateway; there is nowhere left to say it.
  destination.on('error', () => undefined)
  const batch = new Batch(text => destination.write(text))
  return {
    write: text => {
      batch.release() // lines stay in order
      destination.write(text)
    },
    collect: text => batch.add(text),
    flush: () =>
      new Promise(resolve => {
        batch.release()
        const deadline = setTimeout(resolve, FLUSH_DEADLINE_MS)
        const done = (): void => {
          clearTimeout(deadline)
          resolve()
        }
        destination.once('error', done)
        destination.flush(done)
      }),
  }
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

function sinkOf(destination: LogDestination): Sink {
  if (typeof destination === 'number') return descriptorSink(destination)
  return destination instanceof LogFile ? fileSink(destination) : streamSink(destination)
}

/** Makes a log. Creating one changes nothing but its own destination. */
export function createLog({ level, format, destination, color = false, now = () => new Date() }: LogOptions): Log {
  const sink = sinkOf(destination)
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
