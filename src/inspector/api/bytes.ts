import { GatewayError } from '../../errors.ts'
import { mediaType } from '../exchange-record.ts'
import { replyHead, type Call } from './reply.ts'

/** Bytes of a stranger, and what they are said to be. */
export interface RecordedBytes {
  readonly bytes: Buffer
  readonly type: string | null
  readonly isCut: boolean
  /** Without its ending. */
  readonly name: string
}

/** Images that run nothing, whatever is in them. */
const IMAGES: ReadonlySet<string> = new Set([
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
  'image/bmp',
  'image/x-icon',
])

/** The media type under which a browser may get recorded bytes: never one that runs anything. */
export function harmlessType(recorded: string | null): string {
  const type = mediaType(recorded ?? undefined)
  if (type === null) return 'application/octet-stream'
  if (IMAGES.has(type)) return type
  if (type === 'application/json' || type.endsWith('+json')) return 'application/json; charset=utf-8'
  if (type.startsWith('text/') || type.endsWith('+xml') || TEXTS.has(type)) return 'text/plain; charset=utf-8'
  return 'application/octet-stream'
}

const TEXTS: ReadonlySet<string> = new Set([
  'application/xml',
  'application/javascript',
  'application/x-www-form-urlencoded',
  'application/x-ndjson',
  'application/yaml',
])

/** Returns the part of a media type that may stand in a header field. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)

/** Answers with recorded bytes. @throws GatewayError NOT_FOUND for none */
export function replyBytes(call: Call, recorded: RecordedBytes | undefined): void {
  if (recorded === undefined) throw new GatewayError('NOT_FOUND', 'nothing of it is kept')
  const { bytes, type, isCut, name } = recorded
  const disposition = call.query.has('download') ? 'attachment' : 'inline'
  replyHead(call, 200, {
    'Content-Type': harmlessType(type),
    'Content-Length': String(bytes.length),
    'Content-Disposition': `${disposition}; filename="${name}"`,
    ...(type !== null && { 'X-Recorded-Type': printable(type) }),
    ...(isCut && { 'X-Body-Cut': '1' }),
  })
  call.response.end(call.request.method === 'HEAD' ? undefined : bytes)
}
