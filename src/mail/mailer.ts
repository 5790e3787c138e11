import { GatewayError, messageOf } from '../errors.ts'
import { checkLetter, checkSender, type Letter } from './letter.ts'
import { createOutbox } from './outbox.ts'
import { createSmtp, messageIdOf, DeliveryFault, SMTP_TIMES, type Deliver, type Delivery, type SmtpTimes } from './smtp.ts'
import { parseSmtpUrl } from './smtp-url.ts'

/** Where letters go. */
export type MailPlace =
  | { readonly kind: 'smtp'; readonly url: string; readonly from: string }
  | { readonly kind: 'outbox'; readonly directory: string; readonly from: string }

export interface MailerOptions {
  readonly place: MailPlace
  /** Of relative files in the URL. */
  readonly directory: string
  /** Of the login at the server, where it does not stand in the URL. */
  readonly password?: string
  /** Shows a letter that has gone to the outbox, as a terminal does. */
  readonly onLetter?: (letter: Letter) => void
  /** A letter is given up. Its text, in which there are links, is not told. */
  readonly onLost?: (why: string) => void
  /** No letter goes at the moment; once for each time. */
  readonly onAway?: (why: string) => void
  readonly onBack?: () => void
  readonly now?: () => number
  readonly times?: SmtpTimes
  /** Milliseconds between two attempts while the server is away, at first; doubled up to a minute. */
  readonly retryMs?: number
}

/** A letter that its sender keeps until it has gone. */
export interface Tracking {
  /** Of the Message-ID field, as `messageIdOf` makes it: the same for the same letter after a restart, by which mail servers, people and the outbox know it. */
  readonly messageId: string
  /** For how long it is of use, milliseconds. */
  readonly maxAgeMs: number
  /** It has gone, or is given up; not called for one that waits when the mailer is closed. */
  readonly onSettled: () => void
}

/** Takes letters, and sees to it that they go. */
export interface Mailer {
  /**
   * Resolves when the letter is taken, not when it has gone: whether a server is there is nothing that the caller should wait for.
   * @throws GatewayError INVALID (it would be more than one letter) or OVERLOADED (1,000 wait already)
   */
  send(letter: Letter, tracking?: Tracking): Promise<void>
  /** Letters that have been taken and are still here. */
  readonly waiting: number
  /** Waits up to two seconds for letters that are on their way; those that wait are lost. */
  close(): Promise<void>
}

const MAX_WAITING = 1_000
/** The time for which a letter is of use: a link to a new password is valid for an hour. */
const MAX_AGE_MS = 3_600_000
const MAX_ATTEMPTS = 10
const RETRY_MS = 2_000
const MAX_RETRY_MS = 60_000
const CLOSE_MS = 2_000

/**
 * A mailer for SMTP or an outbox. Nothing is opened before the first letter.
 * @throws GatewayError CONFIG_INVALID
 */
export async function createMailer(options: MailerOptions): Promise<Mailer> {
  const { place, directory, password, now = Date.now, onLetter, times = SMTP_TIMES } = options
  checkSender(place.from)
  if (place.kind === 'outbox') {
    const write = createOutbox(place.directory, place.from, now)
    const deliver: Deliver = async delivery => {
      await write(delivery)
      onLetter?.(delivery.letter)
    }
    return new QueuedMailer(deliver, () => undefined, options)
  }
  const parsed = parseSmtpUrl(place.url, directory)
  const { deliver, close } = await createSmtp({ ...parsed, password: parsed.password ?? password }, place.from, times)
  return new QueuedMailer(deliver, close, options)
}

interface Waiting extends Delivery {
  readonly takenAt: number
  readonly tracking: Tracking | undefined
  attempts: number
}

/** One letter after the other, so that a server that is away costs one connection at a time, whatever waits. */
class QueuedMailer implements Mailer {
  readonly #deliver: Deliver
  readonly #closeDelivery: () => void
  readonly #options: MailerOptions
  readonly #now: () => number
  /** The first one is on its way. */
  readonly #queue: Waiting[] = []
  /** Tried in this round already. */
  readonly #later: Waiting[] = []
  #work: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #retryMs: number
  #isAway = false
  #isClosed = false

  constructor(deliver: Deliver, closeDelivery: () => void, options: MailerOptions) {
    this.#deliver = deliver
    this.#closeDelivery = closeDelivery
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#retryMs = options.retryMs ?? RETRY_MS
  }

  get waiting(): number {
    return this.#queue.length + this.#later.length
  }

  async send(letter: Letter, tracking?: Tracking): Promise<void> {
    checkLetter(letter)
    if (this.#isClosed || this.waiting >= MAX_WAITING)
      throw new GatewayError('OVERLOADED', 'the letter is not sent: too many letters wait for the mail server')
    const messageId = tracking?.messageId ?? messageIdOf(this.#options.place.from)
    this.#queue.push({ letter, messageId, takenAt: this.#now(), tracking, attempts: 0 })
    if (this.#timer === undefined) this.#run()
  }

  #run(): void {
    this.#timer = undefined
    if (this.#work !== undefined || this.#isClosed) return
    this.#work = this.#deliverAll().then(pauseMs => {
      this.#work = undefined
      if (pauseMs !== undefined && !this.#isClosed) this.#timer = setTimeout(() => this.#run(), pauseMs).unref()
    })
  }

  /** Each letter that waits has its turn. @returns milliseconds after which those that are left have theirs; undefined: none is left */
  async #deliverAll(): Promise<number | undefined> {
    for (let waiting = this.#queue[0]; waiting !== undefined && !this.#isClosed; waiting = this.#queue[0]) {
      const fault = await this.#deliverOne(waiting)
      this.#queue.shift()
      if (fault === undefined) quietly(() => waiting.tracking?.onSettled())
      // Behind the others, so that one at which the server always breaks off does not hold them up.
      if (fault !== undefined) this.#later.push(waiting)
      if (fault?.again === 'server') {
        this.#away(fault.message)
        break
      }
      this.#back()
    }
    this.#queue.push(...this.#later.splice(0))
    return this.#queue.length > 0 ? this.#nextPause() : undefined
  }

  async #deliverOne(waiting: Waiting): Promise<DeliveryFault | undefined> {
    const maxAgeMs = waiting.tracking?.maxAgeMs ?? MAX_AGE_MS
    if (this.#now() - waiting.takenAt > maxAgeMs) return this.#lose(`it could not be delivered for ${hoursOf(maxAgeMs)}`)
    waiting.attempts += 1
    try {
      await this.#deliver(waiting)
      return undefined
    } catch (thrown) {
      const fault = thrown instanceof DeliveryFault ? thrown : new DeliveryFault('later', messageOf(thrown))
      if (fault.again === 'never') return this.#lose(fault.message)
      if (fault.again === 'later' && waiting.attempts >= MAX_ATTEMPTS) return this.#lose(fault.message)
      return fault
    }
  }

  #lose(why: string): undefined {
    quietly(() => this.#options.onLost?.(why))
    return undefined
  }

  #nextPause(): number {
    const pause = this.#retryMs
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS)
    return pause
  }

  #away(why: string): void {
    if (this.#isAway) return
    this.#isAway = true
    quietly(() => this.#options.onAway?.(why))
  }

  #back(): void {
    this.#retryMs = this.#options.retryMs ?? RETRY_MS
    if (!this.#isAway) return
    this.#isAway = false
    quietly(() => this.#options.onBack?.())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise<void>(resolve => (timer = setTimeout(resolve, CLOSE_MS)))
    await Promise.race([this.#work, limit])
    clearTimeout(timer)
    this.#closeDelivery()
  }
}

const hoursOf = (ms: number): string => (ms === 3_600_000 ? 'an hour' : `${ms / 3_600_000} hours`)

/** Runs a listener of the log, whose faults must not stop letters. */
function quietly(tell: () => void): void {
  try {
    tell()
  } catch {
    // Nothing to be done about it here.
  }
}
