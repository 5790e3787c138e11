/** The few messages of the DNS that an update needs (RFC 1035, RFC 2136), as bytes. */
import { GatewayError } from '../../errors.ts'

/** Types and classes. */
export const Type = { SOA: 6, TXT: 16, TSIG: 250 } as const
export const Class = { IN: 1, NONE: 254, ANY: 255 } as const

const HEADER_BYTES = 12
const UPDATE = 5
const MAX_LABEL = 63
const MAX_TEXT = 255
const TTL_S = 60
/** Names in an answer may point into it; so many times, and no name has more labels. */
const MAX_STEPS = 128

const ANSWERS: ReadonlyMap<number, string> = new Map([
  [1, 'FORMERR'],
  [2, 'SERVFAIL'],
  [3, 'NXDOMAIN'],
  [4, 'NOTIMP'],
  [5, 'REFUSED'],
  [9, 'NOTAUTH'],
  [10, 'NOTZONE'],
])

/** An answer, as far as it is read. */
export interface DnsAnswer {
  readonly id: number
  /** Such as `REFUSED`; undefined: all is well. */
  readonly fault: string | undefined
  /** Names of the zones whose first record is in it. */
  readonly zones: readonly string[]
}

const bytesOf = (...numbers: (readonly [value: number, bytes: number])[]): Buffer =>
  Buffer.concat(
    numbers.map(([value, bytes]) => {
      const buffer = Buffer.alloc(bytes)
      buffer.writeUIntBE(value, 0, bytes)
      return buffer
    }),
  )

/** A name in lower case, as RFC 1035 §3.1 writes it. @throws GatewayError CERTIFICATE_REFUSED for one that has no such form */
export function nameBytes(name: string): Buffer {
  const labels = name.toLowerCase().replace(/\.$/, '').split('.')
  if (labels.some(label => label === '' || label.length > MAX_LABEL))
    throw new GatewayError('CERTIFICATE_REFUSED', `${name} is no name of the DNS`)
  return Buffer.concat([...labels.flatMap(label => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]), Buffer.from([0])])
}

const header = (id: number, flags: number, counts: readonly [number, number, number, number]): Buffer =>
  bytesOf([id, 2], [flags, 2], ...counts.map(count => [count, 2] as const))

/** Asks in which zone a name is. */
export const soaQuery = (id: number, name: string): Buffer =>
  Buffer.concat([header(id, 0, [1, 0, 0, 0]), nameBytes(name), bytesOf([Type.SOA, 2], [Class.IN, 2])])

/** Adds or removes one TXT record; RFC 2136 §2.5.1 and §2.5.4. */
export function txtUpdate(
  id: number,
  zone: string,
  action: 'add' | 'remove',
  { name, text }: { readonly name: string; readonly text: string },
): Buffer {
  const value = Buffer.from(text, 'latin1')
  if (value.length > MAX_TEXT) throw new GatewayError('CERTIFICATE_REFUSED', 'the text of a record is too long')
  const [kind, ttl] = action === 'add' ? ([Class.IN, TTL_S] as const) : ([Class.NONE, 0] as const)
  return Buffer.concat([
    ...[header(id, UPDATE << 11, [1, 0, 1, 0]), nameBytes(zone), bytesOf([Type.SOA, 2], [Class.IN, 2])],
    ...[nameBytes(name), bytesOf([Type.TXT, 2], [kind, 2], [ttl, 4], [value.length + 1, 2], [value.length, 1]), value],
  ])
}

/** Adds a record to the end of a message. */
export function withAdditional(message: Buffer, record: Buffer): Buffer {
  const whole = Buffer.concat([message, record])
  whole.writeUInt16BE(whole.readUInt16BE(10) + 1, 10)
  return whole
}

/** Reads an answer. @throws RangeError where it is cut or no answer at all */
export function readAnswer(bytes: Buffer): DnsAnswer {
  const [id, flags] = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)]
  if ((flags & 0x8000) === 0) throw new RangeError('this is no answer')
  const counts = [4, 6, 8].map(at => bytes.readUInt16BE(at)) as [number, number, number]
  const code = flags & 0xf
  const fault = code === 0 ? undefined : (ANSWERS.get(code) ?? `code ${code}`)
  const zones: string[] = []
  let at = HEADER_BYTES
  for (let i = 0; i < counts[0]; i++) at = readName(bytes, at).next + 4
  for (let i = 0; i < counts[1] + counts[2]; i++) {
    const { name, next } = readName(bytes, at)
    if (bytes.readUInt16BE(next) === Type.SOA) zones.push(name)
    at = next + 10 + bytes.readUInt16BE(next + 8)
  }
  return { id, fault, zones }
}

function readName(bytes: Buffer, from: number): { readonly name: string; readonly next: number } {
  const labels: string[] = []
  let [at, next] = [from, -1]
  for (let step = 0; step < MAX_STEPS; step++) {
    const length = bytes.readUInt8(at)
    if (length >= 0xc0) {
      if (next < 0) next = at + 2
      at = bytes.readUInt16BE(at) & 0x3fff
    } else if (length === 0) return { name: labels.join('.').toLowerCase(), next: next < 0 ? at + 1 : next }
    else {
      if (at + 1 + length > bytes.length) break
      labels.push(bytes.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
  }
  throw new RangeError('a name that is cut, or has no end')
}
