import { DescriptorWriter } from './descriptor-writer.ts'
import { LogFile } from './log-file.ts'

/** The receiver of lines: an open file descriptor or a log file, which are written to in the background, or anything with `write`. */
export type LogDestination = number | LogFile | { write(text: string): unknown }

/** Where the lines of a log go. */
export interface Sink {
  write(text: string): void
  /** Writes soon: for lines that come by the thousand. */
  collect(text: string): void
  /** Resolves when everything is written, or cannot be, after 2 s at the latest. */
  flush(): Promise<void>
}

const BATCH_PERIOD_MS = 100
/** Lines of the access log are collected up to this many characters or BATCH_PERIOD_MS, whichever comes first. */
const BATCH_CHARS = 32_768

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
    else this.#timer ??= setTimeout(this.release, BATCH_PERIOD_MS)
  }
}

function batched(writer: LogFile | DescriptorWriter): Sink {
  const batch = new Batch(text => writer.write(text))
  return {
    write: text => {
      batch.release() // lines stay in order
      writer.write(text)
    },
    collect: text => batch.add(text),
    flush: () => {
      batch.release()
      return writer.flush()
    },
  }
}

const streamSink = (stream: { write(text: string): unknown }): Sink => ({
  write: text => void stream.write(text),
  collect: text => void stream.write(text),
  flush: () => Promise.resolve(),
})

/** A sink that writes to `destination`. @param onFault  told when a descriptor takes no more, and when it does again */
export function sinkOf(destination: LogDestination, onFault?: (message: string) => void): Sink {
  if (typeof destination === 'number') return batched(new DescriptorWriter(destination, onFault))
  return destination instanceof LogFile ? batched(destination) : streamSink(destination)
}
