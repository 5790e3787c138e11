/** What one inner layer refuses before anything was sent, and another one may do: allow-lists that differ, and one that is exhausted. */
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { ERRORS } from '../../src/errors.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { FrameType } from '../../src/wire/frame.ts'
import { playInner } from '../support/evil-inner.ts'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses } from '../support/layer-processes.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { startTcpLayers, toOrigin } from '../support/tcp-layers.ts'
import { once, until } from '../support/wait.ts'

const nothing = new AllowList(['127.0.0.1:1'])

const warnings = (layers: Layers): readonly string[] => layers.outerLogs.filter(({ level }) => level === 'warn').map(({ msg }) => msg)

describe('inner layers with the same identifier and different allow-lists', () => {
  test.each(['GET', 'POST'])('serve every %s as long as one of them may, and one warning names both', async method => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, inners: 0 })
    for (let i = 0; i < 4; i++) await layers.addInner({ identifier: 'same', allowList: nothing, connections: 2 })
    await layers.addInner({ identifier: 'same', allowList: new AllowList([`127.0.0.1:${origin.port}`]) })
    const body = method === 'GET' ? {} : { body: 'x'.repeat(100_000) }
    for (let i = 0; i < 5; i++) {
      const outcomes = await Promise.all(Array.from({ length: 8 }, () => exchange(layers.port, { method, ...body })))
      expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => 200))
    }
    expect(origin.hits).toBe(40)
    const told = warnings(layers).filter(text => text.includes('--allow'))
    expect(told.length).toBeGreaterThan(0)
    expect(told.length).toBeLessThanOrEqual(4)
    expect(told[0]).toMatch(
      /^the inner layer "same" at 127\.0\.0\.1 \(.*\) does not allow 127\.0\.0\.1:\d+, "same" at 127\.0\.0\.1 \(.*\) does: /,
    )
    // Who has refused is not asked again.
    const before = layers.innerLogs.length
    await exchange(layers.port, { method, ...body })
    expect(layers.innerLogs.slice(before)).toEqual([])
  })

  test('refuse when none of them may, each asked once', async () => {
    const layers = await startLayers({ inners: 0 })
    for (let i = 0; i < 3; i++) await layers.addInner({ allowList: nothing, connections: 2 })
    const { status, code } = await exchange(layers.port)
    expect([status, code]).toEqual([403, 'ORIGIN_FORBIDDEN'])
    expect(await layers.accessLine(1)).toMatchObject({ error: 'ORIGIN_FORBIDDEN' })
    expect(warnings(layers).filter(text => text.includes('--allow'))).toEqual([])
  })

  test('serve a public TCP port', async () => {
    const origin = await startRawOrigin()
    const layers = await startTcpLayers(toOrigin(origin.port), { inners: 0 })
    await layers.addInner({ identifier: 'first', allowList: nothing })
    await layers.addInner({ identifier: 'second' })
    for (let i = 1; i <= 6; i++) {
      const client = connect(layers.tcpPort, '127.0.0.1')
      client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      expect(String((await once(client, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /)
      client.destroy()
      expect((await layers.connectionLine(i)).identifier).toBe('second')
    }
    expect(warnings(layers).filter(text => text.includes('--allow')).length).toBe(1)
  })
})

describe('an inner layer without a file or a port for one more connection', () => {
  const exhausted = async (layers: Layers): Promise<void> => {
    await playInner({
      port: layers.socketPort,
      privateKey: layers.privateKey,
      identifier: 'exhausted',
      onFrame: ({ type, stream }, self) => {
        if (type === FrameType.OPEN) self.reset(stream, ERRORS.INNER_EXHAUSTED.reset)
      },
    })
  }

  test('leaves every request to the others, whatever the method', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, inners: 0 })
    await exhausted(layers)
    await layers.addInner()
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => exchange(layers.port, { method: 'POST', body: 'x' })))
    expect(outcomes.filter(({ status }) => status !== 200)).toEqual([])
    expect(origin.hits).toBe(100)
  })

  test('is a process with 128 files beside one with room: 500 requests at once are all answered, and the log names the limit', async () => {
    const held: Socket[] = []
    const origin = await startRawOrigin((_request, socket) => void held.push(socket))
    const processes = await createLayerProcesses(origin.port)
    const outer = await processes.startOuter()
    const poor = await processes.startInner('poor', [outer], { openFiles: 128 })
    await processes.startInner('rich', [outer])
    const posts = Array.from({ length: 500 }, () => exchange(outer.port, { method: 'POST', body: 'x' }))
    await until(() => held.length === 500)
    for (const socket of held) socket.write(rawResponse(200, 'ok'))
    expect((await Promise.all(posts)).filter(({ status }) => status !== 200)).toEqual([])
    expect(origin.hits).toBe(500)
    expect(poor.output).toMatch(/"code":"INNER_EXHAUSTED","reason":"[^"]*ulimit -n/)
  })

  test('answers 503 with Retry-After when it is the only one', async () => {
    const layers = await startLayers({ inners: 0 })
    await exhausted(layers)
    await until(() => layers.outer.registry.size === 1)
    const { status, code, headers } = await exchange(layers.port, { method: 'POST', body: 'x' })
    expect([status, code, headers['retry-after']]).toEqual([503, 'INNER_EXHAUSTED', '1'])
  })
})
