/** Inner layers that are broken or taken, and sessions that are lost at the worst moment: clients of TCP ports see a reset, nothing else happens. */
import { connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { decodeTcpHead } from '../../src/payload/tcp-head.ts'
import { Flag, FrameType } from '../../src/wire/frame.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { playInner, type HandPlayed } from '../support/evil-inner.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startTcpLayers, toOrigin, type TcpLayers } from '../support/tcp-layers.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { until } from '../support/wait.ts'

/** Answers every OPEN of a TCP stream by `script`. */
const play = async (layers: TcpLayers, script: (stream: number, self: HandPlayed) => void): Promise<HandPlayed> => {
  const played = await playInner({
    port: layers.outer.ports.socket,
    privateKey: layers.privateKey,
    onFrame: (frame, self) => {
      if (frame.type === FrameType.OPEN) script(frame.stream, self)
    },
  })
  await layers.connected(1)
  return played
}

describe('an evil inner layer', () => {
  test.each<[string, (stream: number, self: HandPlayed) => void, string]>([
    [
      'sends data before it says that the origin is connected',
      (id, self) => self.send(FrameType.DATA, 0, id, Buffer.from('x')),
      'PROTOCOL',
    ],
    ['ends before it says so', (id, self) => self.send(FrameType.DATA, Flag.END, id), 'PROTOCOL'],
    ['sends trailers', (id, self) => self.send(FrameType.TRAILERS, Flag.END, id, Buffer.from([0, 0])), 'PROTOCOL'],
    [
      'says so twice',
      (id, self) => {
        self.send(FrameType.RESPONSE, 0, id)
        self.send(FrameType.RESPONSE, 0, id)
      },
      'PROTOCOL',
    ],
    ['resets with a number that nobody knows', (id, self) => self.reset(id, 4_711), 'INTERNAL'],
  ])('that %s resets that client alone', async (_what, script, error) => {
    const layers = await startTcpLayers(toOrigin(1), { inners: 0 })
    await play(layers, script)
    const client = await RawConnection.open(layers.tcpPort)
    client.write('hello')
    const line = await layers.connectionLine()
    expect(await client.closed).toBe('rst')
    expect(line.error).toBe(error)
    expect(layers.outer.tcpConnections).toBe(0)
    expect(layers.outerLogs.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('that sends more than it has credit for, to a client that does not read, loses that stream alone', async () => {
    const layers = await startTcpLayers(toOrigin(1), { inners: 0 })
    const played = await play(layers, (id, self) => {
      self.send(FrameType.RESPONSE, 0, id)
      for (let i = 0; i < 400; i++) self.send(FrameType.DATA, 0, id, Buffer.alloc(65_000))
    })
    const client = connect({ port: layers.tcpPort, host: '127.0.0.1' }) // nobody takes what comes
    client.on('error', () => undefined)
    onCleanUp(() => client.destroy())
    expect(await layers.connectionLine()).toMatchObject({ error: 'FLOW_EXCEEDED' })
    expect(layers.outer.tcpConnections).toBe(0)
    expect(played.ended).toBeUndefined()
  })

  test('that says so with an end has ended its half, and the client may go on', async () => {
    const layers = await startTcpLayers(toOrigin(1), { inners: 0 })
    const played = await play(layers, (id, self) => self.send(FrameType.RESPONSE, Flag.END, id))
    const client = await RawConnection.open(layers.tcpPort)
    expect(await client.closed).toBe('fin')
    client.write('to nobody').end()
    await until(() => played.frames.some(({ type, flags }) => type === FrameType.DATA && (flags & Flag.END) !== 0))
    const line = await layers.connectionLine()
    expect(line).toMatchObject({ bytesIn: 9, bytesOut: 0 })
    expect(line.error).toBeUndefined()
  })

  test('that takes no more is passed over, and the next one gets the same bytes', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port), { inners: 0 })
    let opened = 0
    const played = await play(layers, (id, self) => {
      opened++
      expect(decodeTcpHead(self.frames.at(-1)!.payload)).toEqual({ hostname: '127.0.0.1', port: origin.port })
      // REFUSED_STREAM, once the bytes of the client are there, too.
      void until(() => self.frames.some(({ type, stream }) => type === FrameType.DATA && stream === id)).then(() => self.reset(id, 2))
    })
    await layers.addInner()
    const clients = await Promise.all(Array.from({ length: 6 }, () => RawConnection.open(layers.tcpPort)))
    for (const client of clients) expect(await client.write('kept').read('kept')).toBe('kept')
    expect(opened).toBeGreaterThan(0)
    expect(played.ended).toBeUndefined()
  })
})
