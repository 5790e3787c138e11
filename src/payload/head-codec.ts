/** Heads as payloads of OPEN and RESPONSE frames. */
import { GatewayError } from '../errors.ts'
import { MAX_FIELDS } from '../http/fields.ts'
import { NO_BODY, STREAM_BODY, type BodyKind, type RepeatedList, type RequestHead, type ResponseHead } from '../http/message.ts'
import { ByteReader, ByteWriter, checkCount, readFields, takeWithFields, type RepeatedFields } from './byte-codec.ts'

const KIND_HTTP = 1
/** Places of the flags and of the number of a profile in the payload of an OPEN frame. */
const FLAGS_AT = 1
const PROFILE_AT = 2
const EXPECTS_CONTINUE = 0x01
const HAS_PROFILE = 0x02
const HAS_UPGRADE = 0x04
const HAS_LIST = 0x08
const BODY_CODES = { none: 0, length: 1, stream: 2 } as const

function writeBody(writer: ByteWriter, body: BodyKind): void {
  writer.u8(BODY_CODES[body.kind])
  if (body.kind === 'length') writer.u53(body.length)
}

function readBody(reader: ByteReader): BodyKind {
  const code = reader.u8()
  if (code === BODY_CODES.none) return NO_BODY
  if (code === BODY_CODES.stream) return STREAM_BODY
  if (code === BODY_CODES.length) return { kind: 'length', length: reader.u53() }
  throw new GatewayError('PROTOCOL', `an unknown body kind ${code}`)
}

/**
 * Payload of an OPEN frame: kind u8 (1: HTTP), flags u8, profile u16, upgrade and number of a list if their flags say so, protocol u8, port u16, hostname,
 * method, path, host, body, fields.
 * @param more       fields behind those of the head
 * @param reference  number of a list that stands for them, as `ToldLists` gives it
 */
export function encodeRequestHead(head: RequestHead, more?: RepeatedFields, reference?: string): Buffer {
  const { expectsContinue, profile, upgrade } = head
  const flags = (expectsContinue ? EXPECTS_CONTINUE : 0) | (profile > 0 ? HAS_PROFILE : 0) | (upgrade !== '' ? HAS_UPGRADE : 0)
  const writer = new ByteWriter().u8(KIND_HTTP).u8(reference === undefined ? flags : flags | HAS_LIST)
  if (profile > 0) writer.u16(profile)
  if (upgrade !== '') writer.latin1(upgrade)
  if (reference !== undefined) writer.raw(reference)
  writer
    .u8(head.protocol === 'https' ? 1 : 0)
    .u16(head.port)
    .latin1(head.hostname)
    .latin1(head.method)
    .latin1(head.path)
    .latin1(head.host)
  writeBody(writer, head.body)
  if (reference === undefined) return takeWithFields(writer, head.fields, more)
  checkCount(head.fields.length / 2 + (more?.count ?? 0))
  return takeWithFields(writer, head.fields)
}

/** The number of the profile in the payload of an OPEN frame of any kind; 0 for none. */
export const profileIn = (payload: Buffer): number =>
  payload[0] === KIND_HTTP && payload.length >= PROFILE_AT + 2 && (payload[FLAGS_AT]! & HAS_PROFILE) !== 0
    ? payload.readUInt16BE(PROFILE_AT)
    : 0

/** Writes another number over that of the profile, which has to be there. */
export const replaceProfile = (payload: Buffer, number: number): void => void payload.writeUInt16BE(number, PROFILE_AT)

/**
 * The inverse of `encodeRequestHead`.
 * @param listOf  the lists that were told; undefined: none is
 * @throws GatewayError PROTOCOL
 */
export function decodeRequestHead(payload: Buffer, listOf?: (number: number) => RepeatedList): RequestHead {
  const reader = new ByteReader(payload)
  const kind = reader.u8()
  if (kind !== KIND_HTTP) throw new GatewayError('PROTOCOL', `a stream of unknown kind ${kind}`)
  const flags = reader.u8()
  const profile = (flags & HAS_PROFILE) === 0 ? 0 : reader.u16()
  const upgrade = (flags & HAS_UPGRADE) === 0 ? '' : reader.latin1()
  const list = (flags & HAS_LIST) === 0 ? undefined : listIn(reader, listOf)
  const protocol = reader.u8() === 1 ? 'https' : 'http'
  const port = reader.u16()
  const [hostname, method, path, host] = [reader.latin1(), reader.latin1(), reader.latin1(), reader.latin1()]
  const body = readBody(reader)
  const fields = readFields(reader)
  reader.end()
  if (list !== undefined) for (const text of list.fields) fields.push(text)
  if (fields.length > 2 * MAX_FIELDS) throw new GatewayError('PROTOCOL', `${fields.length / 2} fields`)
  const expectsContinue = (flags & EXPECTS_CONTINUE) !== 0
  return { protocol, hostname, port, method, path, host, body, expectsContinue, upgrade, profile, fields, list }
}

function listIn(reader: ByteReader, listOf: ((number: number) => RepeatedList) | undefined): RepeatedList {
  const number = reader.u32()
  if (listOf === undefined) throw new GatewayError('PROTOCOL', 'a list of fields where none was asked for')
  return listOf(number)
}

/** Payload of a RESPONSE frame: status u16, reason, body, fields. */
export function encodeResponseHead(head: ResponseHead): Buffer {
  const writer = new ByteWriter().u16(head.status).latin1(head.reason)
  writeBody(writer, head.body)
  return takeWithFields(writer, head.fields)
}

/** The inverse of `encodeResponseHead`. @throws GatewayError PROTOCOL */
export function decodeResponseHead(payload: Buffer): ResponseHead {
  const reader = new ByteReader(payload)
  const status = reader.u16()
  const reason = reader.latin1()
  const body = readBody(reader)
  const fields = readFields(reader)
  reader.end()
  return { status, reason, body, fields }
}
