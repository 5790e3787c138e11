/**
 * What the gateway's HTTPS is compared with: a proxy of one hop that ends TLS and asks by undici, `node --import tsx bench/one-hop-tls.ts
 * PORT STATIC_PORT CERTIFICATE KEY`. HTTP/1.1 or HTTP/2 by ALPN; over HTTP/2 by the core API, as fast as Node has it. Small answers only: it
 * leaves out back-pressure, which they do not need.
 */
import { readFileSync } from 'node:fs'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'
import { Pool, type Dispatcher } from 'undici'

const [port = '', staticPort = '', certificate = '', key = ''] = process.argv.slice(2)
const pool = new Pool(`http://127.0.0.1:${staticPort}`, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

type RawController = Dispatcher.DispatchController & { readonly rawHeaders?: Buffer[] }

/** Fields of an answer, for either version. */
function fieldsOf(controller: RawController): Record<string, string> {
  const fields: Record<string, string> = {}
  const raw = controller.rawHeaders ?? []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toString('latin1').toLowerCase()
    if (!HOP_BY_HOP.has(name)) fields[name] = raw[i + 1]!.toString('latin1')
  }
  return fields
}

interface Answer {
  head(status: number, fields: Record<string, string>): void
  data(chunk: Buffer): void
  end(): void
}

const dispatch = (method: string, path: string, headers: string[], answer: Answer): void => {
  pool.dispatch(
    { path, method: method, headers },
    {
      onRequestStart: () => undefined,
      onResponseStart: (controller: RawController, status: number) => answer.head(status, fieldsOf(controller)),
      onResponseData: (_controller, chunk) => answer.data(chunk),
      onResponseEnd: () => answer.end(),
      onResponseError: () => answer.head(502, {}),
    },
  )
}

const server = createSecureServer({ allowHTTP1: true, cert: readFileSync(certificate), key: readFileSync(key) })
server.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]) => {
  let [method, path] = ['GET', '/']
  const headers: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const [name, value] = [raw[i]!, raw[i + 1]!]
    if (name === ':method') method = value
    else if (name === ':path') path = value
    else if (name === ':authority') headers.push('host', value)
    else if (!name.startsWith(':') && !HOP_BY_HOP.has(name)) headers.push(name, value)
  }
  stream.on('error', () => undefined)
  dispatch(method, path, headers, {
    head: (status, fields) => stream.respond({ ':status': status, ...fields }),
    data: chunk => void stream.write(chunk),
    end: () => void stream.end(),
  })
})
server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
  if (request.httpVersionMajor !== 1) return // answered above
  const headers: string[] = []
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]!
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, request.rawHeaders[i + 1]!)
  }
  dispatch(request.method, request.url, headers, {
    head: (status, fields) => void response.writeHead(status, fields),
    data: chunk => void response.write(chunk),
    end: () => void response.end(),
  })
})
server.listen(Number(port), '127.0.0.1', 4096)
process.on('disconnect', () => process.exit())
