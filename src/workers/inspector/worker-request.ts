import { request as ask, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { GatewayError } from '../../errors.ts'
import { replyError, type Call } from '../../inspector/api/reply.ts'
import { guarded, type Fail } from '../../net/guard.ts'

/** A worker, as far as its records matter. */
export interface InspectedWorker {
  /** The socket at which it answers about itself. */
  readonly adminPath: string
}

/** A worker that does not say within this time whether it has a record has none, milliseconds. */
const LOOK_MS = 5_000

/** Fields of a request that the inspector of a worker reads. */
const REQUEST_FIELDS = ['accept', 'content-type', 'content-length', 'transfer-encoding'] as const
/** Fields of an answer that are of one connection. */
const OF_CONNECTION: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date'])

const fault = (cause?: unknown): GatewayError => new GatewayError('ADMIN_FAILED', 'a worker has not answered', { cause })

const kept = (headers: IncomingHttpHeaders): OutgoingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_CONNECTION.has(name)))

/** Passes a call on to one worker, and its answer back, as they come. */
export function passOn({ adminPath }: InspectedWorker, call: Call): void {
  const { request, response } = call
  const headers: OutgoingHttpHeaders = { host: 'localhost' }
  for (const name of REQUEST_FIELDS) if (request.headers[name] !== undefined) headers[name] = request.headers[name]
  const asked = ask({ socketPath: adminPath, method: request.method, path: request.url, headers, agent: false })
  const fail = (thrown: unknown): void => {
    asked.destroy()
    replyError(call, fault(thrown))
  }
  asked.on('error', guarded(fail, fail))
  asked.on(
    'response',
    guarded(fail, answer => {
      answer.on('error', guarded(fail, fail))
      response.writeHead(answer.statusCode ?? 500, kept(answer.headers))
      answer.pipe(response)
    }),
  )
  response.on(
    'close',
    guarded(fail, () => void asked.destroy()),
  )
  request.pipe(asked)
}

/** Does a worker answer this with 200? Never rejects. @param path  with its query */
export function has({ adminPath }: InspectedWorker, path: string): Promise<boolean> {
  return new Promise(resolve => {
    const no = (): void => resolve(false)
    const asked = ask({ socketPath: adminPath, method: 'HEAD', path, headers: { host: 'localhost' }, agent: false, timeout: LOOK_MS })
    asked.on('error', no)
    asked.on(
      'timeout',
      guarded(no, () => void asked.destroy()),
    )
    asked.on(
      'response',
      guarded(no, answer => {
        answer.on('error', no).resume()
        resolve(answer.statusCode === 200)
      }),
    )
    asked.end()
  })
}

/** Told of a stream of lines. */
export interface LinesListener {
  readonly onLine: (line: string) => void
  /** Nothing comes any more; told once. */
  readonly onEnd: () => void
  readonly fail: Fail
}

/** The longest line, characters: a summary of a request has some thousand. */
const MAX_LINE = 4_194_304

/** Reads lines of a worker for as long as it sends them. @returns ends it */
export function readLines({ adminPath }: InspectedWorker, path: string, { onLine, onEnd, fail }: LinesListener): () => void {
  const headers = { host: 'localhost', accept: 'application/x-ndjson' }
  let isOver = false
  const end = (): void => {
    if (isOver) return
    isOver = true
    asked.destroy()
    onEnd()
  }
  const failed = (thrown: unknown): void => {
    fail(thrown)
    end()
  }
  const asked: ClientRequest = ask({ socketPath: adminPath, path, headers, agent: false })
  const read = (answer: IncomingMessage): void => {
    let rest = ''
    answer.setEncoding('utf8')
    answer.on('error', guarded(failed, end))
    answer.on('close', guarded(failed, end))
    if (answer.statusCode !== 200) return end()
    answer.on(
      'data',
      guarded(failed, (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        if (rest.length > MAX_LINE) return end()
        for (const line of lines) if (line !== '') onLine(line)
      }),
    )
  }
  asked.on('error', guarded(failed, end))
  asked.on('response', guarded(failed, read))
  asked.end()
  return () => {
    isOver = true
    asked.destroy()
  }
}
