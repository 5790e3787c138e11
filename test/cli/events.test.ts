/** Receivers of events: the file of `--events` with its log, webhooks and mail, and the command that prints them. */
import { createServer } from 'node:http'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { openEvents } from '../../src/cli/events/open-events.ts'
import { parseEventsConfig } from '../../src/config/events/events-file.ts'
import type { GatewayEvent } from '../../src/events/event.ts'
import { Events } from '../../src/events/events.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLayers } from '../support/layers.ts'
import { freePort, listen } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { begin, run } from './context.ts'

const newEvents = (): Events => {
  const events = new Events({
    nowMs: Date.now,
    onFault: thrown => {
      throw thrown
    },
    holdScale: 0.01,
  })
  onCleanUp(() => events.close())
  return events
}
const refused = (events: Events, address: string): void =>
  events.tell('inner-layer.refused', { subject: address, fields: { address, code: 'AUTH', reason: 'a reason' } })

describe('the file of --events', () => {
  test('keeps what happens in a log for the next run, and sends it to a webhook and by mail', async () => {
    const received: string[] = []
    const hook = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (chunk: string) => received.push(chunk))
      request.on('end', () => void response.writeHead(204).end())
    })
    const port = await listen(hook)
    onCleanUp(() => void hook.close())
    const folder = tempDir()
    const file = join(folder, 'events.yaml')
    writeFileSync(
      file,
      `webhooks:
  pager: {url: "http://127.0.0.1:${port}/", secretFile: pager.secret, events: [inner-layer.*], severity: warning}
mail: {from: gateway@example.com, to: [ops@example.com, boss@example.com]}
`,
    )
    const first = newEvents()
    const told = await openEvents(file, first, silentLog)
    first.tell('gateway.started', { subject: 'outer layer', fields: { version: '1' } })
    refused(first, '203.0.113.7')
    await until(() => received.length === 1)
    await told.close()

    expect(JSON.parse(received[0]!)).toMatchObject({ type: 'inner-layer.refused', data: { subject: '203.0.113.7' } })
    expect(readFileSync(join(folder, 'pager.secret'), 'utf8')).toMatch(/^whsec_[\w+/]{43}=\n$/)
    for (const name of ['pager.secret', 'events-state/webhook-pager.json']) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600)
    const lines = readFileSync(join(folder, 'events-state/events.ndjson'), 'utf8').trimEnd().split('\n')
    expect(lines.map(line => (JSON.parse(line) as GatewayEvent).name)).toEqual(['gateway.started', 'inner-layer.refused'])
    const letters = readdirSync(join(folder, 'events-state/outbox')).map(name =>
      readFileSync(join(folder, 'events-state/outbox', name), 'utf8'),
    )
    expect(letters.map(letter => /^To: (.*)$/m.exec(letter)![1]).sort()).toEqual(['boss@example.com', 'ops@example.com'])
    expect(letters[0]).toContain('Subject: [socket-gateway] warning: an inner layer from 203.0.113.7 was refused: a reason')
    expect(letters[0]).not.toContain('gateway.started') // warnings and errors, where nothing is said

    const second = newEvents()
    const again = await openEvents(file, second, silentLog)
    expect(second.book.list({ after: '0', limit: 10 }).items.map(({ name }) => name)).toEqual(['gateway.started', 'inner-layer.refused'])
    refused(second, '203.0.113.8')
    await until(() => received.length === 2)
    expect(Number(second.book.last)).toBeGreaterThan(Number((JSON.parse(lines[1]!) as GatewayEvent).id))
    await again.close()
  })

  test('names every fault with its place, and repeats no URL', () => {
    const text = `webhooks:
  Pager: {url: "https://user:secret@hooks.test/path", secretFile: a}
  b: {url: ftp://hooks.test/, secretFile: a, events: [no.such], severity: bad, colour: red}
mail: {to: [], from: nobody}
`
    let message = ''
    try {
      parseEventsConfig(text, 'events.yaml')
    } catch (thrown) {
      message = (thrown as Error).message
    }
    for (const place of ['events.yaml:2:', 'events.yaml:3:', 'events.yaml:4:', 'no.such', 'colour', 'expected info, warning, error'])
      expect(message).toContain(place)
    expect(message).not.toContain('secret@')
  })

  test('that is bad keeps the outer layer from starting, before anything is written', async () => {
    const folder = tempDir()
    const file = join(folder, 'events.yaml')
    writeFileSync(file, 'webhook: {}\n')
    const outcome = await run(['outer-layer', '--events', file, '--target', 'a.test=http://127.0.0.1:9', '--state', join(folder, 's')])
    expect(outcome.status).toBe(1)
    expect(outcome.stderr).toContain('unknown key')
    expect(existsSync(join(folder, 'events-state'))).toBe(false)
  })

  test('of an outer layer is what its admin port shows', async () => {
    const folder = tempDir()
    const file = join(folder, 'events.yaml')
    writeFileSync(file, 'log: {file: what-happened.log}\n')
    const port = String(await freePort())
    const ports = ['--app-port', '0', '--socket-port', '0', '--admin-port', port]
    const args = ['--events', file, '--target', 'a.test=http://127.0.0.1:9', '--state', join(folder, 'state'), '--drain-delay', '0']
    const layer = begin(['outer-layer', ...args, ...ports])
    const shown = await until(async () => {
      const outcome = await run(['events', '--admin', port, '--json'])
      return outcome.status === 0 && outcome.stdout.includes('gateway.started') ? outcome.stdout : undefined
    })
    expect(await layer.stop()).toBe(0)
    expect(readFileSync(join(folder, 'what-happened.log'), 'utf8')).toContain(shown.split('\n')[0])
  })
})

describe('socket-gateway events', () => {
  test('prints the last ones, the latest last, filtered, as text or JSON', async () => {
    const events = newEvents()
    const layers = await startLayers({ inners: 0, origin: 9, outer: { admin: { port: 0 }, events } })
    const admin = String(layers.outer.adminPort)
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3\u001b[31m']) refused(events, address)
    const text = await run(['events', '--admin', admin, '--name', 'inner-layer.*', '--limit', '2'])
    expect(text).toMatchObject({ status: 0, stderr: '' })
    const lines = text.stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}warning {2}inner-layer\.refused {6}an inner layer from 192\.0\.2\.2 was refused: a reason$/,
    )
    expect(lines[1]).toContain('192.0.2.3 [31m')
    const json = await run(['events', '--admin', admin, '--json', '--severity', 'warning', '--name', 'inner-layer.refused'])
    expect(
      json.stdout
        .trimEnd()
        .split('\n')
        .map(line => (JSON.parse(line) as GatewayEvent).count),
    ).toEqual([1, 1, 1])
  })

  test('follows what happens until it is asked to end', async () => {
    const events = newEvents()
    const layers = await startLayers({ inners: 0, origin: 9, outer: { admin: { port: 0 }, events } })
    const following = begin(['events', '--follow', '--admin', String(layers.outer.adminPort), '--name', 'inner-layer.refused'])
    refused(events, '192.0.2.1')
    await until(() => following.stdout().includes('192.0.2.1'))
    refused(events, '192.0.2.2')
    await until(() => following.stdout().includes('192.0.2.2'))
    expect(following.stdout().match(/192\.0\.2\.1 /g)).toHaveLength(1)
    expect(await following.stop()).toBe(0)
  })

  test('says where nobody answers, and what is no event', async () => {
    expect(await run(['events', '--admin', String(await freePort())])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('nothing answers at'),
    })
    const layers = await startLayers({ inners: 0, origin: 9, outer: { admin: { port: 0 } } })
    const outcome = await run(['events', '--admin', String(layers.outer.adminPort), '--name', 'nothing'])
    expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining('is no event') })
  })
})
