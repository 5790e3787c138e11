import { asGatewayError, ERRORS, GatewayError, type ErrorCode } from '../../errors.ts'

/** A question of one process to another one, or its answer, as JSON. */
export type CallMessage =
  | { readonly type: 'call'; readonly id: number; readonly name: string; readonly value?: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly value?: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly code: ErrorCode; readonly text: string }

/** Answers a question; a GatewayError that it rejects with goes to whoever has asked. */
export type Answerer = (value: unknown) => unknown

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: GatewayError) => void
  readonly timer: NodeJS.Timeout | undefined
}

/** Options of one end. */
export interface CallBookOptions {
  readonly send: (message: CallMessage) => void
  /** The answerer of questions of a name; undefined: nobody here knows. */
  readonly answererOf: (name: string) => Answerer | undefined
  /** A fault of ours while an answer was made. */
  readonly onFault: (thrown: unknown) => void
}

/** Questions between two processes, of either to the other. */
export class CallBook {
  readonly #waiting = new Map<number, Waiting>()
  #count = 0
  #isGone = false

  constructor(private readonly options: CallBookOptions) {}

  /**
   * Asks the other process.
   * @param withinMs  milliseconds; undefined: for as long as it lives
   * @throws GatewayError with the code of its refusal; ADMIN_FAILED without an answer in time; DRAINING when it has ended, as rejections
   */
  ask(name: string, value?: unknown, withinMs?: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#isGone) return reject(gone())
      const id = ++this.#count
      const late = (): void => {
        this.#waiting.delete(id)
        reject(new GatewayError('ADMIN_FAILED', `a process of this outer layer has not answered within ${withinMs} ms`))
      }
      const timer = withinMs === undefined ? undefined : setTimeout(late, withinMs).unref()
      this.#waiting.set(id, { resolve, reject, timer })
      this.options.send({ type: 'call', id, name, value })
    })
  }

  /** The other process has said this. */
  take(message: CallMessage): void {
    if (message.type === 'call') return void this.#answer(message.id, message.name, message.value)
    const waiting = this.#waiting.get(message.id)
    if (waiting === undefined) return
    this.#waiting.delete(message.id)
    clearTimeout(waiting.timer)
    if (message.type === 'answer') waiting.resolve(message.value)
    else waiting.reject(new GatewayError(Object.hasOwn(ERRORS, message.code) ? message.code : 'INTERNAL', message.text))
  }

  /** The other process has ended: whoever waits hears of it. */
  gone(): void {
    this.#isGone = true
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(gone())
    }
    this.#waiting.clear()
  }

  async #answer(id: number, name: string, value: unknown): Promise<void> {
    const { send, answererOf, onFault } = this.options
    try {
      const answerer = answererOf(name)
      if (answerer === undefined) throw new GatewayError('NOT_FOUND', `nobody answers ${name}`)
      send({ type: 'answer', id, value: await answerer(value) })
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) onFault(thrown)
      const { code, message } = asGatewayError(thrown)
      send({ type: 'refusal', id, code, text: message })
    }
  }
}

const gone = (): GatewayError => new GatewayError('DRAINING', 'a process of this outer layer has ended')
