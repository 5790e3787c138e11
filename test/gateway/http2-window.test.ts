/** Uploads that begin while the client has not acknowledged yet that the window is small again: they wait, within bounds. */
import { beforeEach, describe, expect, test } from '@jest/globals'
import { ACK, CODE, codeOf, data, END_STREAM, frame, H2, H2Connection, headers, request, SETTING } from '../support/h2-frames.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const FIRST = 65_535
const LAST = 2_097_152
/** Uploads that are begun with the larger window, whatever the client says. */
const AT_ONCE = 16
/** The bytes beyond the first window of each that may be held of those that wait. */
const SPARE = 8 * (LAST - FIRST)
const POST = request('/', [], { method: 'POST' })
const IDS = Array.from({ length: 99 }, (_, i) => 2 * i + 3)

let origin: RawOrigin
/** Lets the origin answer. */
let answer: () => void
beforeEach(async () => {
  origin = await startRawOrigin()
  const answered = new Promise<void>(resolve => {
    answer = resolve
  })
  origin.handle(async (upload, socket) => {
    await upload.complete
    if (upload.bodyBytes < LAST) await answered
    socket.write(rawResponse(200, String(upload.bodyBytes)))
  })
})

/** The windows of a stream that the gateway has set one after the other. */
const windows = (client: H2Connection): number[] =>
  client.of(H2.SETTINGS).flatMap(({ payload }) => {
    const found: number[] = []
    for (let i = 0; i < payload.length; i += 6)
      if (payload.readUInt16BE(i) === SETTING.INITIAL_WINDOW_SIZE) found.push(payload.readUInt32BE(i + 2))
    return found
  })

/** A client whose window has grown to the last, and which acknowledges nothing from now on. */
const openWide = async ({ port }: Layers): Promise<H2Connection> => {
  const client = await H2Connection.open(port)
  client.write(headers(1, POST))
  let sent = 0
  const isWide = (): boolean => {
    const given = client.of(H2.WINDOW_UPDATE, 1).reduce((sum, { payload }) => sum + payload.readUInt32BE(), windows(client).at(-1) ?? FIRST)
    const piece = Buffer.alloc(16_384)
    for (; sent + piece.length < given; sent += piece.length) client.write(data(1, piece))
    return windows(client).includes(LAST)
  }
  await until(isWide, { what: 'the last window' })
  client.acknowledges = false
  client.write(data(1, 'x', END_STREAM))
  expect(await client.ended(1)).toBe('end')
  return client
}
const acknowledge = (client: H2Connection): H2Connection => client.write(frame(H2.SETTINGS, ACK, 0))
const shrunk = (client: H2Connection): Promise<boolean> => until(() => windows(client).at(-1) === FIRST, { what: 'the first window' })
const resets = (client: H2Connection): number[] => client.of(H2.RST_STREAM).map(({ stream }) => stream)
/** Streams that may be tried again. */
const refusals = (client: H2Connection): number[] =>
  client.of(H2.RST_STREAM).flatMap(one => (codeOf(one) === CODE.REFUSED_STREAM ? [one.stream] : []))

describe('99 uploads at a time', () => {
  test('an acknowledgement that comes late: all are served', async () => {
    const layers = await startLayers({ origin: origin.port, outer: { appH2c: true } })
    const client = await openWide(layers)
    client.write(...IDS.flatMap(id => [headers(id, POST), data(id, `${id}`, END_STREAM)]))
    await shrunk(client)
    await until(() => origin.hits === 1 + AT_ONCE)
    acknowledge(client)
    await until(() => origin.hits === 1 + IDS.length, { what: 'all of them' })
    answer()
    for (const id of IDS) expect([id, await client.ended(id)]).toEqual([id, 'end'])
    expect(resets(client)).toEqual([])
    await until(() => layers.accessLog.length === 1 + IDS.length)
    expect(layers.accessLog.filter(({ status }) => status !== 200)).toEqual([])
  })

  test('no acknowledgement: they are served all the same, one after the other', async () => {
    const layers = await startLayers({ origin: origin.port, outer: { appH2c: true } })
    const client = await openWide(layers)
    answer()
    client.write(...IDS.flatMap(id => [headers(id, POST), data(id, `${id}`, END_STREAM)]))
    for (const id of IDS) expect([id, await client.ended(id)]).toEqual([id, 'end'])
  })

  test('no acknowledgement, and none of them ends: no more is held than the windows had been lent', async () => {
    // None is refused for the time that it waits.
    const layers = await startLayers({ origin: origin.port, outer: { appH2c: true, limits: { headerMs: 600_000 } } })
    const client = await openWide(layers)
    client.write(...IDS.map(id => headers(id, POST)))
    await shrunk(client)
    // As much of each as the larger window allows would be 166 MiB.
    const piece = Buffer.alloc(16_384)
    const waiting = IDS.slice(AT_ONCE)
    for (let sent = 0; sent + piece.length <= LAST; sent += piece.length) {
      const answers = client.of(H2.PING).length
      const more = waiting.filter(id => !resets(client).includes(id)).map(id => data(id, piece))
      client.write(...more, frame(H2.PING, 0, 0, Buffer.alloc(8)))
      await until(() => client.of(H2.PING).length > answers, { what: 'a sign that all has come' })
    }
    const mayBeHeld = Math.ceil((SPARE + waiting.length * FIRST) / LAST)
    expect(resets(client).length).toBeGreaterThanOrEqual(waiting.length - mayBeHeld)
    expect(refusals(client)).toEqual(resets(client))
    // The others are served.
    answer()
    acknowledge(client)
    const left = IDS.filter(id => !resets(client).includes(id))
    client.write(...left.map(id => data(id, '', END_STREAM)))
    for (const id of left) expect([id, await client.ended(id)]).toEqual([id, 'end'])
  })

  test('no acknowledgement, and none of them ends: those that wait are refused after a while, later ones at once', async () => {
    const layers = await startLayers({ origin: origin.port, outer: { appH2c: true, limits: { headerMs: 3_000 } } })
    const client = await openWide(layers)
    client.write(...IDS.map(id => headers(id, POST)))
    const waiting = IDS.slice(AT_ONCE)
    for (const id of waiting) expect(await client.ended(id)).toBe(CODE.REFUSED_STREAM)
    expect(origin.hits).toBe(1 + AT_ONCE)
    const late = IDS.at(-1)! + 2
    client.write(headers(late, POST))
    expect(await client.ended(late)).toBe(CODE.REFUSED_STREAM)
    // Those that were begun go on, and so does whoever acknowledges at last.
    const begun = IDS.slice(0, AT_ONCE)
    acknowledge(client).write(headers(late + 2, POST), data(late + 2, 'x', END_STREAM))
    await until(() => origin.hits === 2 + AT_ONCE)
    client.write(...begun.map(id => data(id, 'x', END_STREAM)))
    answer()
    for (const id of [...begun, late + 2]) expect([id, await client.ended(id)]).toEqual([id, 'end'])
    expect(refusals(client)).toEqual([...waiting, late])
  })
})
