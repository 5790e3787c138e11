/** The wire of WebSocket, direct and through the gateway: what arrives is the same, byte for byte, whether it is valid or not. */
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { pattern } from '../link/pair.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { echoOrigin, upgradeRequest } from '../support/upgrade.ts'
import { until, within } from '../support/wait.ts'
import { startWebSocketOrigin, type WebSocketOrigin } from '../support/websocket.ts'
import { closePayload, frame, Opcode } from '../support/websocket-frames.ts'

const { CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG } = Opcode
const bye = frame(CLOSE, closePayload(1000, 'bye'))

/** Each ends with a close, or with what a server answers with one. */
const CORPUS: readonly (readonly [what: string, parts: readonly Buffer[]])[] = [
  ['an empty text', [frame(TEXT), bye]],
  ['an empty binary', [frame(BINARY), bye]],
  ['one byte', [frame(BINARY, Buffer.from([0])), bye]],
  ...[125, 126, 127, 128, 65_535, 65_536, 65_537].map(
    size => [`a message of ${size} bytes`, [frame(BINARY, pattern(size, size)), bye]] as const,
  ),
  ['a message of 8 MiB', [frame(BINARY, pattern(8_388_608, 8)), bye]],
  ['text of several languages', [frame(TEXT, 'κόσμε, 世界, 🌍 \u0000'), bye]],
  ['two fragments', [frame(TEXT, 'ab', { fin: false }), frame(CONTINUATION, 'cd'), bye]],
  ['a character in two fragments', [frame(TEXT, Buffer.from([0xe4, 0xb8]), { fin: false }), frame(CONTINUATION, Buffer.from([0x96])), bye]],
  [
    'empty fragments',
    [
      frame(BINARY, '', { fin: false }),
      ...Array.from({ length: 20 }, () => frame(CONTINUATION, '', { fin: false })),
      frame(CONTINUATION, 'x'),
      bye,
    ],
  ],
  [
    'control frames between fragments',
    [
      frame(BINARY, pattern(70_000, 1), { fin: false }),
      frame(PING, 'one'),
      frame(CONTINUATION, pattern(100, 2), { fin: false }),
      frame(PONG, 'unasked'),
      frame(PING, pattern(125, 3)),
      frame(CONTINUATION, 'end'),
      bye,
    ],
  ],
  ['a thousand small messages in one piece', [Buffer.concat(Array.from({ length: 1_000 }, (_, i) => frame(TEXT, `message ${i}`))), bye]],
  ['pings with and without payload', [frame(PING), frame(PING, 'x'.repeat(125)), bye]],
  ['a close without a code', [frame(CLOSE)]],
  ...[1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999].map(
    code => [`close code ${code}`, [frame(CLOSE, closePayload(code, 'why'))]] as const,
  ),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map(
    code => [`the forbidden close code ${code}`, [frame(CLOSE, closePayload(code))]] as const,
  ),
  ['half a close code', [frame(CLOSE, Buffer.from([3]))]],
  ['a close whose reason is no UTF-8', [frame(CLOSE, Buffer.concat([closePayload(1000), Buffer.from([0xff])]))]],
  ['text that is no UTF-8', [frame(TEXT, Buffer.from([0xce, 0xba, 0xed, 0xa0, 0x80]))]],
  ['text that ends in the middle of a character', [frame(TEXT, Buffer.from([0xf0, 0x9f, 0x8c]))]],
  ...[1, 2, 4, 7].map(reserved => [`reserved bits ${reserved}`, [frame(TEXT, 'x', { reserved })]] as const),
  ...[3, 7, 11, 15].map(opcode => [`the unknown opcode ${opcode}`, [frame(opcode, 'x')]] as const),
  ['a ping in fragments', [frame(PING, 'x', { fin: false })]],
  ['a ping of 126 bytes', [frame(PING, 'x'.repeat(126))]],
  ['a continuation of nothing', [frame(CONTINUATION, 'x')]],
  ['a message inside another', [frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')]],
  ['a frame without a mask', [frame(TEXT, 'bare', { mask: undefined })]],
  ['a length of 2^63', [Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])]],
  ['no WebSocket at all', [Buffer.from('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')]],
]

/** All that a server says to `parts` after its 101, up to its end. */
const answerOf = async (port: number, parts: readonly Buffer[], sliceBytes = Infinity): Promise<Buffer> => {
  const connection = await RawConnection.open(port)
  connection.write(upgradeRequest())
  await connection.read('\r\n\r\n')
  const all = Buffer.concat(parts)
  for (let at = 0; at < all.length; at += sliceBytes) {
    connection.write(all.subarray(at, at + sliceBytes))
    if (sliceBytes < 100) await new Promise(setImmediate)
  }
  await within(connection.closed, 'the server to close')
  connection.destroy()
  return connection.bytes
}

describe('U6: the wire is the same', () => {
  let server: WebSocketOrigin
  let layers: Layers

  beforeAll(async () => {
    server = await startWebSocketOrigin()
    layers = await startLayers({ origin: server.port })
  })
  afterEach(() => quiet(layers))

  test.each(CORPUS)('U6: %s', async (_what, parts) => {
    const [direct, through] = [await answerOf(server.port, parts), await answerOf(layers.port, parts)]
    expect(through.equals(direct)).toBe(true)
    expect(direct.length).toBeGreaterThan(0)
  })

  test('U6: also when it comes byte by byte', async () => {
    const parts = [frame(TEXT, 'slowly'), frame(PING, 'p'), frame(TEXT, 'a', { fin: false }), frame(CONTINUATION, 'b'), bye]
    expect((await answerOf(layers.port, parts, 1)).equals(await answerOf(server.port, parts))).toBe(true)
  })
})

describe('U6: the origin gets what the client sent', () => {
  let origin: RawOrigin
  let layers: Layers

  beforeAll(async () => {
    origin = await startRawOrigin(echoOrigin, { keepBytes: 16 * 1_048_576 })
    layers = await startLayers({ origin: origin.port })
  })

  test.each(CORPUS)('U6: %s', async (_what, parts) => {
    const connection = await RawConnection.open(layers.port)
    connection.write(upgradeRequest())
    await connection.read('\r\n\r\n')
    const sent = Buffer.concat(parts)
    connection.write(sent)
    await until(() => connection.bytes.length >= sent.length)
    connection.end()
    expect(await connection.closed).toBe('fin')
    expect(connection.bytes.equals(sent)).toBe(true)
    const { bytes } = origin.last.connection
    expect(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4).equals(sent)).toBe(true)
    await quiet(layers)
  })
})
