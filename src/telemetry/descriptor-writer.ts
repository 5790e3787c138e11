import { constants, fstatSync, openSync, write } from 'node:fs'
import { messageOf } from '../errors.ts'

/** A single write to the descriptor, characters. */
const MAX_WRITE_CHARS = 131_072
/** With a reader that is slower than the log, lines beyond this are dropped rather than kept in memory. */
const MAX_QUEUED_CHARS = 16 * 1024 * 1024
/** The reader of a pipe or a terminal is slow. */
const BUSY_MS = 20
/** A disk is full: somebody has to clear it. */
const FAULT_MS = 1_000
const FLUSH_MS = 2_000

const BUSY: ReadonlySet<unknown> = new Set(['EAGAIN', 'EBUSY'])
/** Codes that mean that the reader is gone: a closed pipe, a terminal that was closed. */
const GONE: ReadonlySet<unknown> = new Set(['EPIPE', 'EIO', 'EBADF', 'ENXIO', 'ECONNRESET'])

/**
 * The same file, so that a write to it never waits for its reader. A terminal that is stopped (Ctrl-S) would hold one of the four threads of
 * libuv for as long, and a process that exits waits for its threads. What is no terminal and no pipe stays as it is: a file opened anew
 * has another offset, and sockets cannot be opened. Linux only; elsewhere there is no such path.
 */
function unblocked(fd: number): number {
  try {
    const stat = fstatSync(fd)
    if (!stat.isCharacterDevice() && !stat.isFIFO()) return fd
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return fd
  }
}

/**
 * Appends lines to an open file descriptor, in the background and in order. A reader that is slow, a disk that is full and a terminal that
 * was closed never end the process and never keep it: lines wait up to 16 MiB, and those for a reader that is gone are dropped.
 * (sonic-boom, which pino writes with, tries for ever when the process exits, whatever the error is.)
 */
export class DescriptorWriter {
  readonly #fd: number
  #queue: string[] = []
  #queuedChars = 0
  /** Bytes that are being written, or wait to be tried again. */
  #bytes = Buffer.alloc(0)
  #isWriting = false
  #retry: NodeJS.Timeout | undefined
  #waiting: (() => void)[] = []
  #isFaulty = false

  /** @param onFault  told when lines begin to wait for more than their reader, as on a full disk, and when they can be written again */
  constructor(
    fd: number,
    private readonly onFault: (message: string) => void = () => undefined,
  ) {
    this.#fd = unblocked(fd)
  }

  /** Appends whole lines. Never throws. */
  write(lines: string): void {
    if (this.#queuedChars + lines.length > MAX_QUEUED_CHARS) return
    this.#queue.push(lines)
    this.#queuedChars += lines.length
    if (this.#retry === undefined) this.#pump()
  }

  /** Resolves when everything is written, or cannot be, after two seconds at the latest. */
  flush(): Promise<void> {
    return new Promise(resolve => {
      const deadline = setTimeout(resolve, FLUSH_MS)
      this.#waiting.push(() => {
        clearTimeout(deadline)
        resolve()
      })
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#isWriting) return
    clearTimeout(this.#retry)
    this.#retry = undefined
    if (this.#bytes.length === 0) this.#bytes = Buffer.from(this.#take())
    if (this.#bytes.length === 0) return this.#settled()
    this.#isWriting = true
    write(this.#fd, this.#bytes, 0, this.#bytes.length, null, (error, count) => {
      this.#isWriting = false
      if (error === null) this.#written(count)
      else if (GONE.has(error.code)) this.#drop()
      else return this.#later(error)
      this.#pump()
    })
  }

  #take(): string {
    let chars = 0
    let count = 0
    while (count < this.#queue.length && (count === 0 || chars + this.#queue[count]!.length <= MAX_WRITE_CHARS))
      chars += this.#queue[count++]!.length
    this.#queuedChars -= chars
    return this.#queue.splice(0, count).join('')
  }

  #written(bytes: number): void {
    this.#bytes = this.#bytes.subarray(bytes)
    if (this.#isFaulty) this.onFault('the log can be written again')
    this.#isFaulty = false
  }

  #later(error: NodeJS.ErrnoException): void {
    const isBusy = BUSY.has(error.code)
    if (!isBusy) {
      if (!this.#isFaulty) this.onFault(`the log cannot be written: ${messageOf(error)}; up to 16 MiB of it wait, and the rest is lost`)
      this.#isFaulty = true
      this.#settled() // nobody waits until a disk has room again
    }
    this.#retry = setTimeout(() => this.#pump(), isBusy ? BUSY_MS : FAULT_MS)
    this.#retry.unref()
  }

  /** Drops everything that was meant for a reader that is gone; the next line finds out whether there is one again. */
  #drop(): void {
    this.#bytes = Buffer.alloc(0)
    this.#queue = []
    this.#queuedChars = 0
  }

  #settled(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
