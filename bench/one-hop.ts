/**
 * What the gateway is compared with: the fastest honest proxy of one hop that Node offers, `node --import tsx bench/one-hop.ts PORT
 * STATIC_PORT NODE_PORT`. It does what no proxy may leave out (hop-by-hop fields go, fields keep order, case and duplicates,
 * back-pressure both ways, a client that leaves cancels the request) and nothing else: no log, no policy, no rewriting.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Pool, type Dispatcher } from 'undici'
import { NODE_HOST } from './hosts.ts'

const [port, staticPort, nodePort] = process.argv.slice(2).map(Number)
const pools = {
  static: new Pool(`http://127.0.0.1:${staticPort}`, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 }),
  node: new Pool(`http://127.0.0.1:${nodePort}`, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 }),
}

/** RFC 9110 §7.6.1; kept apart from the gateway's own table, so that a change there cannot move what it is measured by. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/** The end-to-end fields: name, value, name, value … */
function endToEnd(fields: readonly string[]): string[] {
  let nominated: Set<string> | undefined
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.toLowerCase() !== 'connection') continue
    for (const name of fields[i + 1]!.split(',')) (nominated ??= new Set()).add(name.trim().toLowerCase())
  }
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    if (!HOP_BY_HOP.has(name) && nominated?.has(name) !== true) kept.push(fields[i]!, fields[i + 1]!)
  }
  return kept
}

type RawController = Dispatcher.DispatchController & { readonly rawHeaders?: Buffer[] }

/** Carries one answer back. */
class Answer implements Dispatcher.DispatchHandler {
  #controller: RawController | undefined

  constructor(private readonly response: ServerResponse) {
    response.on('close', () => {
      if (!response.writableFinished) this.#controller?.abort(new Error('the client has left'))
    })
  }

  onRequestStart(controller: RawController): void {
    this.#controller = controller
    if (this.response.destroyed) controller.abort(new Error('the client has left'))
  }

  onResponseStart(controller: RawController, statusCode: number, _headers: unknown, statusMessage?: string): void {
    const fields = endToEnd((controller.rawHeaders ?? []).map(bytes => bytes.toString('latin1')))
    this.response.writeHead(statusCode, statusMessage, fields)
  }

  onResponseData(controller: RawController, chunk: Buffer): void {
    if (this.response.write(chunk)) return
    controller.pause()
    this.response.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    this.response.end()
  }

  onResponseError(): void {
    if (this.response.headersSent) this.response.destroy()
    else this.response.writeHead(502, { 'Content-Length': 0 }).end()
  }
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'

const server = createServer({ requestTimeout: 0 }, (request, response) => {
  const pool = request.headers.host === NODE_HOST ? pools.node : pools.static
  const body = hasBody(request) ? request : null
  const { method = 'GET' } = request
  pool.dispatch({ path: request.url ?? '/', method, headers: endToEnd(request.rawHeaders), body }, new Answer(response))
})
// An upgrade: the head once more, then bytes both ways.
server.on('upgrade', (request, client: Socket, early: Buffer) => {
  const origin = connect({ port: request.headers.host === NODE_HOST ? nodePort! : staticPort!, host: '127.0.0.1', noDelay: true })
  client.setNoDelay(true)
  const fields = [...endToEnd(request.rawHeaders), 'Connection', 'Upgrade', 'Upgrade', request.headers.upgrade ?? '']
  let head = `${request.method ?? ''} ${request.url ?? ''} HTTP/1.1\r\n`
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]!}: ${fields[i + 1]!}\r\n`
  origin.write(`${head}\r\n`, 'latin1')
  origin.write(early)
  client.pipe(origin).pipe(client)
  client.on('error', () => origin.destroy())
  origin.on('error', () => client.destroy())
})
server.listen(port, '127.0.0.1', 4096)
process.on('disconnect', () => process.exit())
