import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import type { RequestHead } from '../../src/http/message.ts'
import { NO_BODY } from '../../src/http/message.ts'
import { RepeatedFieldLists } from '../../src/payload/byte-codec.ts'
import { FIELD_LISTS, KnownLists, listsFor, ToldLists } from '../../src/payload/field-lists.ts'
import { decodeRequestHead, encodeRequestHead } from '../../src/payload/head-codec.ts'
import { decodeNote } from '../../src/payload/origin-profile.ts'

const head: RequestHead = {
  ...{ protocol: 'http', hostname: 'h', port: 1, method: 'GET', path: '/', host: 'h' },
  ...{ body: NO_BODY, expectsContinue: false, upgrade: '', profile: 0, fields: ['A', 'b'] },
}
const listOf = (name: string): readonly string[] => ['X-Auth-Email', `${name}@example.io`, 'X-SG-Identity', name.repeat(40)]

/** Both ends of one session, joined by its bytes. */
const joined = () => {
  const state = { nowMs: 0, notes: 0, bytes: 0 }
  const told = new ToldLists(() => state.nowMs)
  const known = new KnownLists()
  const texts = new RepeatedFieldLists()
  const note = (payload: Uint8Array): void => {
    state.notes++
    known.take(decodeNote(Buffer.from(payload)))
  }
  const send = (fields: readonly string[], of = head): RequestHead => {
    const list = texts.of(fields)
    const payload = encodeRequestHead(of, list, told.referenceOf(list, { note }))
    state.bytes = payload.length
    return decodeRequestHead(payload, known.of)
  }
  return { state, send }
}

const codeOf = (act: () => unknown): string => {
  try {
    act()
    return 'none'
  } catch (thrown) {
    return thrown instanceof GatewayError ? thrown.code : String(thrown)
  }
}

describe('lists of fields', () => {
  test('go with the first head, and are named by a number from the second on', () => {
    const { state, send } = joined()
    const list = listOf('ada')
    expect([send(list).fields, state.notes]).toEqual([[...head.fields, ...list], 0])
    const whole = state.bytes
    for (let i = 0; i < 3; i++) expect([send(list).fields, state.notes]).toEqual([[...head.fields, ...list], 1])
    expect(whole - state.bytes).toBeGreaterThan(list.join('').length - 10)
    expect(send(list, { ...head, profile: 7, upgrade: 'websocket' })).toMatchObject({
      profile: 7,
      upgrade: 'websocket',
      list: { fields: list },
    })
  })

  test('are never those of somebody else, however many there are and whenever they are used', () => {
    const people = Array.from({ length: 700 }, (_, i) => listOf(`p${i}`))
    const step = fc.record({
      who: fc.nat(people.length - 1),
      run: fc.integer({ min: 1, max: 300 }),
      laterMs: fc.constantFrom(0, 1_000, 61_000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), steps => {
        const { state, send } = joined()
        for (const { who, run, laterMs } of steps) {
          state.nowMs += laterMs
          for (let i = 0; i < 2 * run; i++) {
            const list = people[(who + (i >> 1)) % people.length]!
            if (send(list).fields.at(-1) !== list.at(-1)) throw new Error('the list of somebody else')
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  test('that would push out a young one go with their heads', () => {
    const { state, send } = joined()
    const twice = (name: string): void => {
      const list = listOf(name)
      for (let i = 0; i < 2; i++) expect(send(list).fields).toEqual([...head.fields, ...list])
    }
    for (let i = 0; i < 512; i++) twice(`p${i}`)
    expect(state.notes).toBe(512)
    twice('late')
    expect(state.notes).toBe(512)
    state.nowMs = 60_000
    twice('later')
    expect(state.notes).toBe(513)
  })

  test('are told to those alone that take them', () => {
    const takes = [[FIELD_LISTS], ['other', FIELD_LISTS], [], undefined, FIELD_LISTS, { 0: FIELD_LISTS }, null]
    expect(takes.map(features => listsFor(features, () => 0) !== undefined)).toEqual([true, true, false, false, false, false, false])
  })

  test('that are too long are not told', () => {
    const { state, send } = joined()
    const long = ['X-Auth-Groups', 'g'.repeat(8_192)]
    for (let i = 0; i < 4; i++) expect(send(long).fields).toEqual([...head.fields, ...long])
    expect(state.notes).toBe(0)
  })

  test.each<readonly [string, Record<string, unknown>]>([
    ['no number', { fields: [] }],
    ['a number that is none', { number: 1.5, fields: [] }],
    ['the number 0', { number: 0, fields: [] }],
    ['a number that fits into no head', { number: 2 ** 32, fields: [] }],
    ['no fields', { number: 1 }],
    ['a name without a value', { number: 1, fields: ['X-A'] }],
    ['a value that is no text', { number: 1, fields: ['X-A', 1] }],
    ['a field that frames', { number: 1, fields: ['Content-Length', '5'] }],
    ['Host', { number: 1, fields: ['Host', 'other'] }],
    ['more fields than a head has', { number: 1, fields: Array.from({ length: 402 }, () => 'x-') }],
    ['more bytes than a list has', { number: 1, fields: ['X-A', 'x'.repeat(8_192)] }],
  ])('a note with %s is refused', (_what, note) => {
    expect(codeOf(() => new KnownLists().take(note))).toBe('PROTOCOL')
  })

  test('a number is given once, and one that nobody has given names nothing', () => {
    const lists = new KnownLists()
    lists.take({ number: 3, fields: ['X-A', 'a'] })
    for (const number of [1, 3]) expect(codeOf(() => lists.take({ number, fields: ['X-A', 'b'] }))).toBe('PROTOCOL')
    expect(lists.of(3).fields).toEqual(['X-A', 'a'])
    for (const number of [0, 1, 2, 4]) expect(codeOf(() => lists.of(number))).toBe('PROTOCOL')
    const reference = Buffer.from([0, 0, 0, 3]).toString('latin1')
    const payload = encodeRequestHead(head, undefined, reference)
    expect(decodeRequestHead(payload, lists.of).fields).toEqual([...head.fields, 'X-A', 'a'])
    expect(codeOf(() => decodeRequestHead(payload))).toBe('PROTOCOL')
  })
})
