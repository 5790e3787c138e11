/** Events of an outer layer, at its admin port: real layers, which come and go. */
import { request, type IncomingMessage } from 'node:http'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { EventPage } from '../../src/events/event-book.ts'
import type { GatewayEvent } from '../../src/events/event.ts'
import { Events } from '../../src/events/events.ts'
import { ask } from '../support/admin.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { until } from '../support/wait.ts'

const targets = `targets:
  a.test: {protocol: http, hostname: 127.0.0.1, port: 9, identifier: inner-layer}
  b.test: {protocol: http, hostname: 127.0.0.1, port: 9, identifier: inner-layer}
  c.test: {protocol: http, hostname: 127.0.0.1, port: 9, identifier: elsewhere}
`

let layers: Layers
const list = async (query = ''): Promise<EventPage & { readonly isIncomplete?: boolean }> =>
  JSON.parse((await ask(layers.outer.adminPort, `/events${query}`)).text) as EventPage
const named = async (name: string): Promise<readonly GatewayEvent[]> => (await list(`?name=${name}`)).items

/** Lines of the stream, as they come. */
async function follow(query: string): Promise<{ readonly events: GatewayEvent[]; readonly response: IncomingMessage }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: layers.outer.adminPort, path: `/events${query}`, agent: false }, resolve)
    sent.on('error', reject).end()
    onCleanUp(() => void sent.destroy())
  })
  const events: GatewayEvent[] = []
  let rest = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop()!
    events.push(...lines.filter(line => line !== '').map(line => JSON.parse(line) as GatewayEvent))
  })
  response.on('error', () => undefined)
  return { events, response }
}

describe('the events of an outer layer', () => {
  beforeAll(async () => {
    const events = new Events({ nowMs: Date.now, onFault: () => undefined, holdScale: 0.01 })
    onCleanUp(() => events.close())
    layers = await startLayers({ targets, outer: { admin: { port: 0 }, events } })
  })

  test('begin with its start, and tell of inner layers and of targets without any', async () => {
    const find = (of: string): Promise<GatewayEvent> =>
      until(async () => (await named(of)).find(({ subject }) => subject !== 'a.test, b.test'), { what: of })
    expect(await find('target.unserved')).toMatchObject({
      subject: 'c.test',
      targets: ['c.test'],
      severity: 'error',
      count: 1,
      since: null,
    })
    expect(await find('inner-layer.connected')).toMatchObject({
      subject: 'inner-layer',
      fields: { identifier: 'inner-layer', address: '127.0.0.1' },
    })
    expect(await named('gateway.started')).toHaveLength(1)
  })

  test('tell of a loss with all targets that want the same inner layer, and of its return, while somebody listens', async () => {
    const { events } = await follow('?live=true&after=0&name=target.*&name=inner-layer.*')
    const last = (subject: string): string | undefined => events.findLast(event => event.subject === subject)?.name
    await layers.inner.close()
    await until(() => last('inner-layer') === 'inner-layer.lost' && last('a.test, b.test') === 'target.unserved', { what: 'the loss' })
    await layers.addInner()
    await until(() => last('inner-layer') === 'inner-layer.connected' && last('a.test, b.test') === 'target.served', { what: 'the return' })
    const told = events.filter(({ subject }) => subject === 'a.test, b.test')
    expect(told.at(-1)!.targets).toEqual(['a.test', 'b.test'])
    // Never the same twice.
    for (const [index, { name }] of told.entries()) expect(name).not.toBe(told[index - 1]?.name)
  })

  test('come in pages, and in a catalogue', async () => {
    const first = await list('?limit=2')
    expect(first.items).toHaveLength(2)
    const second = await list(`?limit=2&before=${first.next}`)
    expect(Number(second.items[0]!.id)).toBeLessThan(Number(first.items[1]!.id))
    expect((await list('?after=0&limit=1000')).isIncomplete).toBe(false)
    const { events } = JSON.parse((await ask(layers.outer.adminPort, '/events/catalogue')).text) as { events: Record<string, unknown> }
    expect(events['inner-layer.lost']).toMatchObject({ severity: 'warning' })
  })

  test.each([
    ['after=x', /after: expected the id/],
    ['limit=0', /limit: expected 1 to 1000/],
    ['name=constructor', /is no event/],
    ['severity=bad', /expected info, warning, error/],
    ['after=1&before=2', /give one of them/],
    ['constructor=1', /unknown parameter/],
    ['after[x]=1', /./],
  ])('refuse %s and say why', async (query, message) => {
    const { status, text } = await ask(layers.outer.adminPort, `/events?${query}`)
    expect(status).toBe(400)
    expect(text).toMatch(message)
  })
})
