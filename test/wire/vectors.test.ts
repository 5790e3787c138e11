/** The golden vectors: what stands in docs/protocol.md is what the code writes and reads. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { decodeFields, encodeFields } from '../../src/payload/byte-codec.ts'
import { decodeRequestHead, decodeResponseHead, encodeRequestHead, encodeResponseHead } from '../../src/payload/head-codec.ts'
import type { RequestHead, ResponseHead } from '../../src/http/message.ts'
import {
  decodeAuth,
  decodeCredit,
  decodeGoAway,
  decodeHello,
  decodeReady,
  decodeReset,
  encodeCredit,
  encodeGoAway,
  encodeObject,
  encodeReset,
  type Auth,
  type Hello,
  type Ready,
} from '../../src/wire/control.ts'
import { decodeNote, encodeNote } from '../../src/payload/origin-profile.ts'
import { BatchWriter, decodeBatch, Flag, FrameType } from '../../src/wire/frame.ts'
import { ROOT } from '../support/process.ts'

type TypeName = keyof typeof FrameType

interface DecodedFrame {
  readonly type: TypeName
  readonly flags: readonly (keyof typeof Flag)[]
  readonly stream: number
  readonly payload: unknown
}

interface Vector {
  readonly name: string
  readonly meaning: string
  /** One message, or what is wrong about it. */
  readonly hex: string
  readonly decoded: readonly DecodedFrame[] | 'PROTOCOL'
}

const { vectors } = JSON.parse(readFileSync(join(ROOT, 'test/wire/vectors.json'), 'utf8')) as { readonly vectors: readonly Vector[] }
const page = readFileSync(join(ROOT, 'docs/protocol.md'), 'utf8')

/** How the payload of each type reads and is written, in the words of vectors.json. */
const PAYLOADS: Readonly<Record<TypeName, { readonly decode: (payload: Buffer) => unknown; readonly encode: (value: never) => Buffer }>> = {
  DATA: { decode: payload => payload.toString(), encode: (text: string) => Buffer.from(text) },
  OPEN: { decode: decodeRequestHead, encode: (head: RequestHead) => encodeRequestHead(head) },
  RESPONSE: { decode: decodeResponseHead, encode: (head: ResponseHead) => encodeResponseHead(head) },
  TRAILERS: { decode: decodeFields, encode: (fields: string[]) => encodeFields(fields) },
  RESET: { decode: decodeReset, encode: ({ code, reason }: { code: number; reason: string }) => encodeReset(code, reason) },
  CREDIT: { decode: decodeCredit, encode: (bytes: number) => encodeCredit(bytes) },
  PING: { decode: payload => payload.toString('hex'), encode: (hex: string) => Buffer.from(hex, 'hex') },
  PONG: { decode: payload => payload.toString('hex'), encode: (hex: string) => Buffer.from(hex, 'hex') },
  GOAWAY: {
    decode: decodeGoAway,
    encode: (value: ReturnType<typeof decodeGoAway>) => encodeGoAway(value.lastStream, value.code, value.reason),
  },
  HELLO: { decode: decodeHello, encode: (hello: Hello) => encodeObject(hello) },
  AUTH: { decode: decodeAuth, encode: (auth: Auth) => encodeObject(auth) },
  NOTE: { decode: decodeNote, encode: (note: { note: string }) => encodeNote(note) },
  READY: { decode: decodeReady, encode: (ready: Ready) => encodeObject(ready) },
}

const nameOf = (type: number): TypeName => (Object.keys(FrameType) as TypeName[]).find(name => FrameType[name] === type)!

const decode = (hex: string): DecodedFrame[] => {
  const frames: DecodedFrame[] = []
  decodeBatch(Buffer.from(hex, 'hex'), (number, bits, stream, payload) => {
    const type = nameOf(number)
    const flags = (Object.keys(Flag) as (keyof typeof Flag)[]).filter(flag => (bits & Flag[flag]) !== 0)
    frames.push({ type, flags, stream, payload: PAYLOADS[type].decode(payload) })
  })
  return frames
}

const encode = (frames: readonly DecodedFrame[]): string => {
  const writer = new BatchWriter()
  for (const { type, flags, stream, payload } of frames) {
    const bits = flags.reduce((all, flag) => all | Flag[flag], 0)
    writer.add(FrameType[type], bits, stream, PAYLOADS[type].encode(payload as never))
  }
  return writer.take().toString('hex')
}

describe('the golden vectors', () => {
  test('cover every type of frame', () => {
    const types = new Set(vectors.flatMap(({ decoded }) => (decoded === 'PROTOCOL' ? [] : decoded.map(({ type }) => type))))
    expect([...types].sort()).toEqual(Object.keys(FrameType).sort())
  })

  test.each(vectors.map(vector => [vector.name, vector] as const))(
    '%s: decodes and encodes as written, and stands in docs/protocol.md',
    (_name, vector) => {
      const { name, meaning, hex, decoded } = vector
      if (decoded === 'PROTOCOL') {
        expect(() => decode(hex)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
      } else {
        expect(decode(hex)).toEqual(decoded)
        expect(encode(decoded)).toBe(hex)
      }
      expect(page).toContain(`\`${name}\``)
      expect(page).toContain(meaning)
      // The page groups the digits by field and breaks long ones into lines.
      expect(page.replace(/\s/g, '')).toContain(hex)
    },
  )
})

describe('docs/protocol.md', () => {
  test('has a row for every type and for every code that crosses the link', () => {
    for (const [name, number] of Object.entries(FrameType)) expect(page).toMatch(new RegExp(`^\\| ${number} \\| ${name} \\|`, 'm'))
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const { reset } = ERRORS[code]
      const row = new RegExp(`^\\| ${reset} \\| \`?${code}\\b`, 'm')
      if (reset > 0) expect(page).toMatch(row)
      else expect(page).not.toMatch(new RegExp(`^\\| \\d+ \\| \`?${code}\\b`, 'm'))
    }
  })
})
