/** The events of an outer layer: files that cannot be reloaded, inner layers that are refused, origins that are not well, limits. */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import type { GatewayEvent } from '../../src/events/event.ts'
import { Events } from '../../src/events/events.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { thumbprintOf } from '../../src/identity/key.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { ask as askAdmin } from '../support/admin.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { changeOf, socketOf, ZONE } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers, type LayersOptions } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { AUTH, startVisitorLayers } from '../support/visitors.ts'
import { until } from '../support/wait.ts'

async function readMinted(): Promise<PrivateKey> {
  const { privateKeyPem } = await mintKeyPair({ type: 'ec', commonName: 'x', validityYears: 1 })
  const key = createPrivateKey(privateKeyPem)
  return { key, kid: thumbprintOf(createPublicKey(key)), algorithm: 'ES256' }
}

interface Told {
  readonly layers: Layers
  readonly events: Events
  /** Waits for an event of this name. */
  find(name: string): Promise<GatewayEvent>
}

function createEvents(): Events {
  const events = new Events({
    nowMs: Date.now,
    onFault: thrown => {
      throw thrown
    },
    holdScale: 0.001,
  })
  onCleanUp(() => events.close())
  return events
}

async function start(options: LayersOptions): Promise<Told> {
  const events = createEvents()
  const layers = await startLayers({ ...options, outer: { ...options.outer, events } })
  const find = (name: string): Promise<GatewayEvent> =>
    until(() => events.book.list({ limit: 1_000 }).items.find(event => event.name === name), { what: name })
  return { layers, events, find }
}

describe('an outer layer tells', () => {
  test('of other files that could not be reloaded', async () => {
    let fault = 'visitors.yaml:1: no'
    const { find } = await start({ outer: { reloads: () => [{ what: 'visitors', fault }] } })
    expect(await find('reload.refused')).toMatchObject({ subject: 'visitors', fields: { what: 'visitors', reason: fault } })
    fault = ''
    await find('reload.well')
  })

  test('that the targets were not reloaded, with the place, and that they are well again', async () => {
    const { layers, find } = await start({ origin: 9, targets: 'targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: 9}}\n' })
    writeFileSync(layers.targetsFile, 'targets: {a.test: {hostnam: x}}\n')
    expect(await find('reload.refused')).toMatchObject({
      subject: 'targets',
      severity: 'error',
      fields: { what: 'targets', reason: expect.stringContaining('targets.yaml:1:') },
    })
    writeFileSync(layers.targetsFile, 'targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: 9}}\n')
    await find('reload.well')
  })

  test('and logs once that what was found does not get a host that is somebody else’s', async () => {
    const directory = new LiveDirectory({ zone: ZONE, hosts: [`api.${ZONE}`] })
    await directory.apply(changeOf({ sockets: [socketOf(1)] }))
    const found = (host: string): string => `  '${host}': { protocol: http, hostname: 127.0.0.1, port: 9, found: docker evil }`
    const hosts = [`api.${ZONE}`, `s1.${ZONE}`, AUTH, 'free.test']
    const events = createEvents()
    const outer = { directory, events, admin: { port: 0 } }
    const { layers } = await startVisitorLayers(`targets:\n${hosts.map(found).join('\n')}\n`, { layers: { outer } })
    const refusals = (): readonly GatewayEvent[] => events.book.list({ limit: 1_000 }).items.filter(({ name }) => name === 'target.refused')
    const told = await until(() => (refusals().length === 3 ? refusals() : undefined))
    expect(told.map(({ subject, message }) => [subject, message]).sort()).toEqual(
      [
        [`api.${ZONE}`, `docker evil does not get the host api.${ZONE}, which is one of the service itself`],
        [`s1.${ZONE}`, `docker evil does not get the host s1.${ZONE}, which is the one of a socket`],
        [AUTH, `docker evil does not get the host ${AUTH}, which is the one where people log in`],
      ].sort(),
    )
    // One more that comes later is told in the same look, in which the others are not told again.
    await directory.apply(changeOf({ sockets: [socketOf(2, { customDomains: ['free.test'] })] }))
    await until(() => refusals().length > 3)
    expect(
      refusals()
        .map(({ subject, count }) => [subject, count])
        .sort(),
    ).toEqual(hosts.sort().map(host => [host, 1]))
    const lines = layers.outerLogs.filter(({ msg }) => msg.startsWith('does not get its host'))
    expect(lines.map(({ target }) => target).sort()).toEqual(hosts.sort())
    const { targets } = JSON.parse((await askAdmin(layers.outer.adminPort, '/status')).text) as {
      readonly targets: readonly { readonly host: string; readonly answer: string | null }[]
    }
    expect(targets.find(({ host }) => host === AUTH)?.answer).toBe(
      'not in force: the host is the one where people log in, which what is found cannot have',
    )
  })

  test('that an inner layer was refused, once for each address and reason', async () => {
    const { layers, find, events } = await start({ origin: 9 })
    const stranger = await readMinted()
    for (let count = 0; count < 2; count++) {
      const inner = createInnerLayer(
        {
          privateKey: stranger,
          outerLayers: [`ws://127.0.0.1:${layers.socketPort}`],
          identifier: 'x',
          connections: 2,
          drainTimeoutMs: 0,
          allowList: new AllowList([]),
        },
        { log: silentLog },
      )
      onCleanUp(() => inner.destroy())
      await inner.start()
    }
    expect(await find('inner-layer.refused')).toMatchObject({
      severity: 'warning',
      count: 1,
      fields: { address: '127.0.0.1', code: 'AUTH', reason: expect.stringContaining('key') },
    })
    await until(() => layers.outerLogs.some(({ msg }) => msg.startsWith('refused an inner layer')))
    expect(events.book.list({ limit: 100 }).items.find(({ name }) => name === 'inner-layer.connected')?.subject).toBe('inner-layer')
  })

  test('that an origin is not well where an inner layer asks it, with its targets, and is so again', async () => {
    const port = await freePort()
    const health = 'health: {failures: 1, eject: 1ms, path: /up, interval: 200ms, healthy: 1, unhealthy: 1}'
    const { find } = await start({
      targets: `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: ${port}, ${health}}}\n`,
    })
    expect(await find('origin.unhealthy')).toMatchObject({
      targets: ['a.test'],
      fields: { identifier: 'inner-layer', origin: `http://127.0.0.1:${port}/up` },
    })
    await startRawOrigin((_request, socket) => void socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'), { port })
    await find('origin.well')
  })

  test('that requests were refused as there were too many, with the target', async () => {
    const origin = await startRawOrigin()
    const { layers, find } = await start({
      targets: `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: ${origin.port}, limits: {rate: {perSecond: 1, burst: 1}}}}\n`,
    })
    const statuses = new Set<number>()
    for (let count = 0; count < 3; count++) statuses.add((await exchange(layers.port, { host: 'a.test' })).status)
    expect(statuses).toContain(429)
    expect(await find('limit.reached')).toMatchObject({ targets: ['a.test'], fields: { code: 'RATE_LIMITED' } })
  })

  test('nothing more once it ends', async () => {
    const { layers, events, find } = await start({ origin: 9 })
    await find('inner-layer.connected')
    const { last } = events.book
    await layers.outer.close()
    expect(events.book.list({ after: last, limit: 10 }).items.filter(({ name }) => name === 'inner-layer.lost')).toEqual([])
  })
})
