import { utf8 } from './multipart.ts'

/** One field of a message in protobuf whose schema nobody knows. */
export interface ProtoField {
  readonly number: number
  readonly kind: 'varint' | 'fixed64' | 'bytes' | 'fixed32'
  /** Possible readings, the likeliest first. */
  readonly readings: readonly string[]
  /** When its bytes are a message themselves. */
  readonly fields?: readonly ProtoField[]
}

const MAX_DEPTH = 20
const MAX_FIELDS = 5_000

/** Reads a message without its schema. @returns undefined: it is none */
export function readProtobuf(bytes: Uint8Array, depth = 0, budget = { left: MAX_FIELDS }): readonly ProtoField[] | undefined {
  const fields: ProtoField[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const varint = (): bigint | undefined => {
    let value = 0n
    for (let shift = 0n; shift < 70n && at < bytes.length; shift += 7n) {
      const byte = bytes[at++]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return undefined
  }
  while (at < bytes.length) {
    const tag = varint()
    if (tag === undefined || tag >> 3n === 0n || tag > 0xffffffffn || budget.left-- <= 0) return undefined
    const number = Number(tag >> 3n)
    const wire = Number(tag & 7n)
    if (wire === 0) {
      const value = varint()
      if (value === undefined) return undefined
      fields.push({ number, kind: 'varint', readings: readingsOfVarint(value) })
    } else if (wire === 1 && at + 8 <= bytes.length) {
      fields.push({ number, kind: 'fixed64', readings: [String(view.getFloat64(at, true)), `${view.getBigInt64(at, true)} as an integer`] })
      at += 8
    } else if (wire === 5 && at + 4 <= bytes.length) {
      fields.push({ number, kind: 'fixed32', readings: [String(view.getFloat32(at, true)), `${view.getInt32(at, true)} as an integer`] })
      at += 4
    } else if (wire === 2) {
      const length = varint()
      if (length === undefined || length > BigInt(bytes.length - at)) return undefined
      const piece = bytes.subarray(at, at + Number(length))
      at += Number(length)
      fields.push({ number, kind: 'bytes', ...readBytes(piece, depth, budget) })
    } else return undefined
  }
  return fields
}

function readBytes(piece: Uint8Array, depth: number, budget: { left: number }): Pick<ProtoField, 'readings' | 'fields'> {
  const text = utf8(piece)
  const isText = !/[\0-\x08\x0e-\x1f\ufffd]/.test(text)
  // A short text can be a message as well; letters are the likelier reading.
  const nested =
    piece.length === 0 || depth >= MAX_DEPTH || (isText && /^[\w .:/@-]+$/.test(text)) ? undefined : readProtobuf(piece, depth + 1, budget)
  if (nested !== undefined) return { readings: [], fields: nested }
  return { readings: isText ? [JSON.stringify(text)] : [Array.from(piece, byte => byte.toString(16).padStart(2, '0')).join(' ')] }
}

function readingsOfVarint(value: bigint): readonly string[] {
  const signed = BigInt.asIntN(64, value)
  const zigzag = (value >> 1n) ^ -(value & 1n)
  return [
    String(value),
    ...(signed < 0n ? [`${signed} signed`] : []),
    ...(value > 1n ? [`${zigzag} as sint`] : []),
    ...(value <= 1n ? [value === 1n ? 'true' : 'false'] : []),
  ]
}

/** A gRPC body: messages, each with a byte for compression and four for the length. @returns undefined: it is none */
export function readGrpc(bytes: Uint8Array): readonly { readonly isCompressed: boolean; readonly bytes: Uint8Array }[] | undefined {
  const messages: { isCompressed: boolean; bytes: Uint8Array }[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  while (at + 5 <= bytes.length) {
    const flag = bytes[at]!
    const length = view.getUint32(at + 1)
    if (flag > 1) return undefined
    messages.push({ isCompressed: flag === 1, bytes: bytes.subarray(at + 5, at + 5 + length) })
    at += 5 + length
  }
  return messages.length === 0 ? undefined : messages
}
