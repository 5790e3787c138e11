/** Whatever a peer sends: no exception escapes a session, nothing is kept, and the process lives. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { DEFAULT_LIMITS } from '../../src/mux/limits.ts'
import type { Link } from '../../src/mux/link.ts'
import { DEFAULT_TIMING } from '../../src/mux/liveness.ts'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { Session } from '../../src/mux/session.ts'
import { encodeCredit, encodeGoAway, encodeReset } from '../../src/wire/control.ts'
import { encodeFrame, FrameType } from '../../src/wire/frame.ts'
import { Recorder, turns } from './ends.ts'

/** A link that swallows what is sent: the peer is this test. */
class Sink implements Link {
  readonly bufferedBytes = 0
  readonly receivedBytes = 0
  sentBytes = 0
  isClosed = false
  onMessage: (message: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (reason: string) => void = () => undefined
  send(message: Uint8Array): void {
    this.sentBytes += message.length
  }
  close(): void {
    this.isClosed = true
  }
  destroy(): void {
    this.isClosed = true
  }
}

const startVictim = () => {
  const link = new Sink()
  const budget = new GrowthBudget(1_048_576)
  const faults: unknown[] = []
  const closed: string[] = []
  const session = new Session(link, {
    role: 'inner',
    limits: { streams: 8, windowBytes: 4_096 },
    peerLimits: DEFAULT_LIMITS,
    budget,
    clock: () => 0,
    timing: DEFAULT_TIMING,
    accept: (payload, stream) => {
      if (payload[0] === 0xff) throw new GatewayError('ORIGIN_FORBIDDEN', 'no')
      const recorder = new Recorder((payload[0] ?? 0) % 2 === 0)
      recorder.stream = stream
      if (payload[0] === 0xfe) stream.sendHead(Buffer.from('200'))
      return recorder
    },
    onClose: code => closed.push(code),
    onFault: thrown => faults.push(thrown),
  })
  for (let i = 0; i < 2; i++) session.open(Buffer.from('mine'), new Recorder())
  return { link, session, budget, faults, closed }
}

/** What becomes of a frame: most name a stream that is open, carry a payload of their type and tell the truth about its length. */
interface Shot {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly isLawful: boolean
  readonly payload: Uint8Array
  readonly lie: number
}

const often = <T>(weight: number, usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: rare })

const payloadOf = (type: number): fc.Arbitrary<Uint8Array> => {
  if (type === FrameType.RESET) return fc.nat(40).map(code => encodeReset(code, 'bye'))
  if (type === FrameType.CREDIT) return fc.integer({ min: 1, max: 2_000_000 }).map(encodeCredit)
  if (type === FrameType.PING || type === FrameType.PONG) return fc.uint8Array({ minLength: 8, maxLength: 8 })
  if (type === FrameType.GOAWAY) return fc.nat(20).map(last => encodeGoAway(last, 27, 'x'))
  return often(
    4,
    fc.uint8Array({ minLength: 1, maxLength: 40 }),
    fc.nat(5_000).map(length => Buffer.alloc(length)),
  )
}
const { DATA, OPEN, RESPONSE, TRAILERS, RESET, CREDIT, PING, PONG, GOAWAY } = FrameType
const types = often(
  400,
  fc.constantFrom<number>(DATA, DATA, DATA, DATA, OPEN, OPEN, RESPONSE, TRAILERS, RESET, CREDIT, CREDIT, PING, PONG),
  fc.constantFrom<number>(GOAWAY, 9, 10, 11, 12, 255),
)
const shot: fc.Arbitrary<Shot> = types.chain(type =>
  fc.record({
    type: fc.constant(type),
    flags: often(20, fc.constantFrom(0, 0, 0, 0, 1, 2, 0x80), fc.nat(255)),
    id: often(30, fc.nat(20), fc.nat(0xffff_ffff)),
    isLawful: often(300, fc.constant(true), fc.constant(false)),
    payload: often(200, payloadOf(type), fc.uint8Array({ maxLength: 12 })),
    lie: often(400, fc.constant(0), fc.integer({ min: -5, max: 70_000 })),
  }),
)
const volley = fc.record({
  shots: fc.array(shot, { minLength: 1, maxLength: 8 }),
  mutations: often(
    60,
    fc.constant<{ at: number; value: number }[]>([]),
    fc.array(fc.record({ at: fc.nat(), value: fc.nat(255) }), { maxLength: 3 }),
  ),
})
const noise = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
const shots = fc.array(fc.oneof({ weight: 150, arbitrary: volley }, { weight: 1, arbitrary: noise }), {
  minLength: 20,
  maxLength: 40,
  size: 'max',
})

type Volley = Buffer | { readonly shots: readonly Shot[]; readonly mutations: readonly { at: number; value: number }[] }

/** Turns volleys into messages: lawful OPENs have rising ids, other lawful frames a stream whose half has not ended. */
const aim = (): ((volley: Volley) => Buffer) => {
  let nextId = 1
  // Two streams of the victim itself.
  let open = [2, 4]
  const lawful = ({ type, flags, id }: Shot): readonly [number, number] => {
    if (type === PING || type === PONG || type === GOAWAY) return [type, 0]
    if (type === OPEN || open.length === 0) {
      const opened = (nextId += 2) - 2
      if ((flags & 1) === 0) open.push(opened)
      return [OPEN, opened]
    }
    const stream = open[id % open.length]!
    if (type === TRAILERS || type === RESET || (flags & 1) !== 0) open = open.filter(other => other !== stream)
    return [type, stream]
  }
  return volley => {
    if (Buffer.isBuffer(volley)) return volley
    const frames = volley.shots.map(shot => {
      const [type, stream] = shot.isLawful ? lawful(shot) : [shot.type, shot.id]
      const bytes = encodeFrame(type, shot.flags, stream, shot.payload)
      if (shot.lie !== 0) bytes.writeUIntBE(Math.max(0, shot.payload.length + shot.lie), 0, 3)
      return bytes
    })
    const bytes = Buffer.concat(frames)
    for (const { at, value } of volley.mutations) bytes[at % bytes.length] = value
    return bytes
  }
}

describe('a session under fire', () => {
  test('survives more than 20,000 random and mutated messages, and keeps nothing of them', async () => {
    let sent = 0
    let taken = 0
    const ends = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(shots, async sequence => {
        const { link, session, budget, faults, closed } = startVictim()
        const toMessage = aim()
        for (const volley of sequence) {
          link.onMessage(toMessage(volley))
          sent++
          if (closed.length === 0) taken++
          if (sent % 10 === 0) await turns(1)
        }
        expect(faults).toEqual([])
        expect(closed.length).toBeLessThanOrEqual(1)
        expect(link.isClosed).toBe(closed.length === 1)
        const end = closed[0] ?? 'alive'
        ends.set(end, (ends.get(end) ?? 0) + 1)
        session.destroy('GOING_AWAY', 'done')
        expect([session.streamCount, session.outstandingBytes, budget.leftBytes]).toEqual([0, 0, budget.totalBytes])
      }),
      { numRuns: 2_000 },
    )
    expect(sent).toBeGreaterThan(20_000)
    // Not all of them bounced off the first check.
    expect(taken).toBeGreaterThan(10_000)
    for (const end of ends.keys()) expect(['alive', 'PROTOCOL', 'CALM', 'GOING_AWAY']).toContain(end)
  })

  test('single frames of every type, flag and length leave a session either working or ended', () => {
    const broken: object[] = []
    for (let type = 0; type <= 255; type++) {
      for (const flags of [0, 1, 0x80]) {
        for (const length of [0, 1, 4, 8, 12]) {
          for (const id of [0, 1, 2, 3]) {
            const { link, session, faults, closed } = startVictim()
            link.onMessage(encodeFrame(FrameType.OPEN, 0, 1, Buffer.from('x')))
            link.onMessage(encodeFrame(type, flags, id, Buffer.alloc(length, 1)))
            const isWell = session.isOpen || closed.length === 1 || type === FrameType.GOAWAY
            if (faults.length > 0 || !isWell) broken.push({ type, flags, length, id, faults })
            session.destroy('GOING_AWAY', 'done')
          }
        }
      }
    }
    expect(broken).toEqual([])
  })
})
