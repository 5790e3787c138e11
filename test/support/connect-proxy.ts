/** An HTTP proxy that knows CONNECT and nothing else, with one name and password. */
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { onCleanUp } from './cleanup.ts'
import { listen } from './ports.ts'

export interface ConnectProxy {
  readonly port: number
  /** Of each CONNECT: where to, and the credentials that came with it. */
  readonly seen: readonly { readonly authority: string; readonly authorization: string | undefined }[]
}

/** @param pair    NAME:PASSWORD that it wants @param hosts  names that it resolves to this machine */
export const startConnectProxy = async (pair: string, hosts: readonly string[] = []): Promise<ConnectProxy> => {
  const seen: { authority: string; authorization: string | undefined }[] = []
  const server = createServer((_request, response) => response.writeHead(405).end())
  server.on('connect', (request, socket) => {
    const authority = request.url ?? ''
    const authorization = request.headers['proxy-authorization']
    seen.push({ authority, authorization })
    socket.on('error', () => undefined)
    const [host = '', port = ''] = authority.split(':')
    if (authorization !== `Basic ${Buffer.from(pair).toString('base64')}`)
      return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n')
    if (host !== '127.0.0.1' && !hosts.includes(host)) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const onward = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => socket.destroy())
    onCleanUp(() => {
      socket.destroy()
      onward.destroy()
    })
  })
  return { port: await listen(server), seen }
}
