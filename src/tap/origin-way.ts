import type { RequestHead } from '../http/message.ts'
import type { OriginProfile } from '../payload/origin-profile.ts'
import type { TcpHead } from '../payload/tcp-head.ts'
import type { TapStart } from './tap.ts'

/** The way to an origin: what it takes to send another request there. */
export interface OriginWay {
  readonly protocol: 'http' | 'https'
  readonly hostname: string
  readonly port: number
  readonly profile: OriginProfile | undefined
}

/** A request as whoever looks at it sees it: with the fields that the driver adds. */
export function requestStart(head: RequestHead, profile: OriginProfile | undefined): TapStart {
  const { protocol, hostname, port, method, path, host, body, fields } = head
  const isHttp2 = profile?.http2 === true && head.upgrade === ''
  const all = [isHttp2 ? ':authority' : 'Host', host, ...fields]
  if (body.kind === 'length') all.push('Content-Length', String(body.length))
  else if (body.kind === 'stream' && !isHttp2) all.push('Transfer-Encoding', 'chunked')
  if (head.upgrade !== '') all.push('Connection', 'Upgrade', 'Upgrade', head.upgrade)
  const way: OriginWay = { protocol, hostname, port, profile }
  return {
    kind: 'http',
    scheme: protocol,
    authority: host,
    method,
    path,
    version: isHttp2 ? '2' : '1.1',
    fields: all,
    target: `${hostname}:${port}`,
    way,
  }
}

/** A connection that is carried as it is. */
export const connectionStart = ({ hostname, port }: Pick<TcpHead, 'hostname' | 'port'>): TapStart => ({
  kind: 'tcp',
  scheme: 'tcp',
  authority: `${hostname}:${port}`,
  method: '',
  path: '',
  version: '',
  fields: [],
  target: `${hostname}:${port}`,
})
