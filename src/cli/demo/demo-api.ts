import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** One request as the sample API saw it. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly forwarded: string
}

/** The private server of the demo: `/hello`, `/upload`, `/events` and an `/admin` that nobody outside should reach. */
export function createDemoApi(seen: SeenRequest[]): Server {
  return createServer((req, res) => {
    seen.push({
      method: req.method ?? '',
      path: req.url ?? '',
      host: req.headers.host ?? '',
      forwarded: req.headers.forwarded ?? '',
    })
    const path = (req.url ?? '').split('?')[0]
    if (path === '/upload') return takeUpload(req, res)
    if (path === '/events') return sendEvents(res)
    res.writeHead(200, { 'Content-Type': 'application/json' })
    res.end(path === '/hello' ? '{"message":"hello from the private API"}\n' : '{"message":"you should not see this"}\n')
  })
}

function takeUpload(req: IncomingMessage, res: ServerResponse): void {
  let bytes = 0
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  req.on('end', () => {
    res.writeHead(201, { 'Content-Type': 'application/json' })
    res.end(`${JSON.stringify({ bytes })}\n`)
  })
}

const EVENTS = 4
const EVENT_EVERY_MS = 200

function sendEvents(res: ServerResponse): void {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' })
  let number = 0
  const send = (): void => {
    res.write(`data: tick ${++number}\n\n`)
    if (number === EVENTS) {
      clearInterval(timer)
      res.end()
    }
  }
  const timer = setInterval(send, EVENT_EVERY_MS)
  res.on('close', () => clearInterval(timer))
  send()
}
