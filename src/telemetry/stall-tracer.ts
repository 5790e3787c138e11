import type * as Inspector from 'node:inspector'
import { getEnvironmentData, setEnvironmentData, Worker } from 'node:worker_threads'

/** The time between two looks of the other thread, milliseconds. */
const LOOK_MS = 100
/** The longest wait for the stack of a stall that is over. */
const STACK_MS = 500

/** The arguments of `watch`, which runs in another thread and knows nothing of this file. */
interface WatchContext {
  readonly beats: Int32Array
  readonly stallMs: number
  readonly lookMs: number
  readonly post: (stack: readonly string[]) => void
  readonly inspector: typeof Inspector
}

/** The thread that looks at this one: when the beats stop, it halts this thread for a moment, as a debugger does, and reads its stack. */
function watch({ beats, stallMs, lookMs, post, inspector }: WatchContext): void {
  let last = -1
  let since = 0
  let isTold = false
  setInterval(() => {
    const beat = Atomics.load(beats, 0)
    if (beat !== last) {
      last = beat
      since = performance.now()
      isTold = false
      return
    }
    if (isTold || performance.now() - since < stallMs) return
    isTold = true
    const session = new inspector.Session()
    session.connectToMainThread()
    const urls = new Map<string, string>()
    session.on('Debugger.scriptParsed', ({ params: { scriptId, url } }) => urls.set(scriptId, url))
    let isOpen = true
    let isRead = false
    // Comes more than once where several watch this process: a halt for one of them is told to all, also to those that are done.
    session.on('Debugger.paused', ({ params }) => {
      if (!isOpen) return
      // A stack from after the stall says nothing about it.
      if (!isRead && Atomics.load(beats, 0) === beat) {
        isRead = true
        post(
          params.callFrames
            .slice(0, 20)
            .map(
              ({ functionName, location: { scriptId, lineNumber } }) =>
                `${functionName || '(anonymous)'} (${urls.get(scriptId) ?? ''}:${String(lineNumber + 1)})`,
            ),
        )
      }
      session.post('Debugger.resume', () => {
        isOpen = false
        session.disconnect()
      })
    })
    session.post('Debugger.enable', () => session.post('Debugger.pause'))
  }, lookMs)
}

// A thread from a text, since a file of its own would be TypeScript in tests and would be missing in a bundle.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const __name = fn => fn
;(${watch.toString()})({ ...workerData, post: stack => parentPort.postMessage(stack), inspector: require('node:inspector') })
`

/**
 * Finds out what holds the event loop, by a thread that costs 9 MB: so it is started only where the loop has stood still before.
 * `beat` has to be called several times in `stallMs`.
 */
export class StallTracer {
  readonly #beats = new Int32Array(new SharedArrayBuffer(4))
  readonly #worker: Worker
  #stack: readonly string[] | undefined
  #taker: (() => void) | undefined

  constructor(stallMs: number) {
    this.#worker = new Worker(PROGRAM, {
      eval: true,
      workerData: { beats: this.#beats, stallMs, lookMs: LOOK_MS },
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    })
    this.#worker.unref()
    this.#worker.on('error', () => undefined) // without it, stalls are logged without their stacks
    this.#worker.on('message', (stack: readonly string[]) => {
      this.#stack = stack
      this.#taker?.()
    })
  }

  /** This thread lives. */
  beat(): void {
    Atomics.add(this.#beats, 0, 1)
  }

  /** Calls back once with the stack of the stall that is just over, or with undefined when there is none. */
  take(onStack: (stack: readonly string[] | undefined) => void): void {
    const done = (): void => {
      clearTimeout(timer)
      this.#taker = undefined
      const stack = this.#stack
      this.#stack = undefined
      onStack(stack)
    }
    const timer = setTimeout(done, STACK_MS)
    if (this.#stack === undefined) this.#taker = done
    else done()
  }

  close(): void {
    void this.#worker.terminate()
  }
}

/** Among what Node.js keeps for a process: somebody reads stacks. */
export const STACKS_KEY = 'socket-gateway: reads stacks'

/**
 * Claims the right to halt this process and read its stack. Of many layers in one process only one may: a process that stands still because it gets no
 * processor would stand still for longer with each thread that looks. @returns a function that gives it back; undefined when somebody else has it
 */
export const claimStacks = (): (() => void) | undefined => {
  if (getEnvironmentData(STACKS_KEY) === true) return undefined
  setEnvironmentData(STACKS_KEY, true)
  return () => setEnvironmentData(STACKS_KEY, undefined)
}
