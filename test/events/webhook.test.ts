/** Webhooks: signed as the Standard Webhooks specification has it, tried again, kept over a restart, said when given up. Real receivers. */
import { createHmac } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { sendTo, type Outcome, type Send } from '../../src/events/delivery/send.ts'
import { mintSecret, readSecret, signedFields } from '../../src/events/delivery/signature.ts'
import { StateFile } from '../../src/events/delivery/state-file.ts'
import { Webhook, type WebhookOptions } from '../../src/events/delivery/webhook.ts'
import { createEvent, type EventName, type GatewayEvent } from '../../src/events/event.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { freePort, listen } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A receiver that answers as it is told. */
async function startReceiver(
  answer: (response: ServerResponse, received: Received, count: number) => void = response => void response.writeHead(204).end(),
): Promise<{ readonly url: URL; readonly received: Received[]; readonly server: Server }> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const one = { headers: request.headers, body }
      received.push(one)
      answer(response, one, received.length)
    })
  })
  const port = await listen(server)
  onCleanUp(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: new URL(`http://127.0.0.1:${port}/hook?a=1`), received, server }
}

let lastId = 0
const eventOf = (name: EventName = 'inner-layer.lost', subject = 'lan-a'): GatewayEvent =>
  createEvent(
    name,
    { subject, fields: { identifier: 'lan-a', address: '203.0.113.7', key: 'k' } },
    { id: String(++lastId), atMs: Date.now(), count: 1 },
  )

const SECRET = mintSecret()

interface Started {
  readonly webhook: Webhook
  readonly turns: (readonly [boolean, number, string | undefined])[]
  readonly dropped: (readonly [number, string, string])[]
  readonly file: string
}

async function startWebhook(
  send: Send,
  options: Partial<WebhookOptions> = {},
  file = join(tempDir(), 'webhook-pager.json'),
): Promise<Started> {
  const turns: (readonly [boolean, number, string | undefined])[] = []
  const dropped: (readonly [number, string, string])[] = []
  const webhook = new Webhook({
    name: 'pager',
    secret: readSecret(SECRET),
    send,
    fits: () => true,
    state: new StateFile(file, message => {
      throw new Error(message)
    }),
    source: 'abc123',
    nowMs: Date.now,
    random: Math.random,
    onTurn: (isWell, waiting, reason) => turns.push([isWell, waiting, reason]),
    onDropped: (...args) => dropped.push(args),
    onFault: thrown => {
      throw thrown
    },
    waitScale: 0.001,
    ...options,
  })
  await webhook.start()
  onCleanUp(() => webhook.close())
  return { webhook, turns, dropped, file }
}

describe('a signature', () => {
  test('is that of the example in the documents of the specification', () => {
    const body = '{"event_type":"ping","data":{"success":true}}'
    expect(signedFields(readSecret('whsec_plJ3nmyCDGBKInavdOK15jsl'), 'msg_loFOjxBNrRLzqYUf', 1731705121, body)).toEqual({
      'webhook-id': 'msg_loFOjxBNrRLzqYUf',
      'webhook-timestamp': '1731705121',
      'webhook-signature': 'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=',
    })
  })

  test.each(['', 'plJ3nmyCDGBKInavdOK15jsl', 'whsec_', 'whsec_AAAA', 'whsec_plJ3nmyCDGBKInavdOK1 jsl', `whsec_${'A'.repeat(120)}`])(
    'is not made with %j, which the refusal does not repeat',
    text => {
      expect(() => readSecret(text)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }))
    },
  )
})

describe('a webhook', () => {
  test('sends an event, signed over id, time and body, which a receiver can check', async () => {
    const { url, received } = await startReceiver()
    const { webhook } = await startWebhook(sendTo(url))
    const event = eventOf()
    webhook.take(event)
    await until(() => webhook.waiting === 0)
    const [{ headers, body }] = received as [Received]
    expect(JSON.parse(body)).toEqual({ type: 'inner-layer.lost', timestamp: event.at, data: event })
    const id = headers['webhook-id'] as string
    const time = headers['webhook-timestamp'] as string
    expect(id).toBe(`evt_abc123_${event.id}`)
    expect(Math.abs(Number(time) - Date.now() / 1_000)).toBeLessThan(300)
    const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64')
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(`${id}.${time}.${body}`).digest('base64')}`)
    expect(headers['content-type']).toBe('application/json')
  })

  test('tries again with the same id and a new time, in order, until it is taken', async () => {
    const { url, received } = await startReceiver((response, _received, count) => void response.writeHead(count <= 3 ? 503 : 200).end())
    const { webhook, turns } = await startWebhook(sendTo(url))
    const events = [eventOf(), eventOf(), eventOf()]
    for (const event of events) webhook.take(event)
    await until(() => webhook.waiting === 0)
    const ids = received.map(({ headers }) => headers['webhook-id'])
    const [first, second, third] = events.map(({ id }) => `evt_abc123_${id}`)
    expect(ids).toEqual([first, first, first, first, second, third])
    expect(turns[0]).toEqual([false, 3, 'it answers 503'])
    expect(turns.at(-1)).toEqual([true, 0, undefined])
  })

  test('lets the others pass one that the receiver refuses, and does not follow a redirect', async () => {
    const { url, received } = await startReceiver((response, { body }) => {
      const { subject } = (JSON.parse(body) as { data: GatewayEvent }).data
      response.writeHead(subject === 'bad' ? 400 : 200).end()
    })
    const { webhook } = await startWebhook(sendTo(url))
    webhook.take(eventOf('inner-layer.lost', 'bad'))
    webhook.take(eventOf('inner-layer.lost', 'good'))
    await until(() => received.some(({ body }) => body.includes('"good"')))
    // Its answer is heard a moment later.
    await until(() => webhook.waiting < 2)
    expect(webhook.waiting).toBe(1)

    const moved = await startReceiver(response => void response.writeHead(302, { Location: url.href }).end())
    const before = received.length
    const { turns } = await startWebhook(sendTo(moved.url)).then(started => {
      started.webhook.take(eventOf())
      return started
    })
    await until(() => turns.length > 1)
    expect(turns[0]![2]).toBe('it answers 302, a redirect, which is not followed')
    await webhook.close()
    expect(received.slice(before).every(({ body }) => body.includes('"bad"'))).toBe(true)
  })

  test('keeps what waits over a restart, in a file for its owner alone, and sends it with the same ids', async () => {
    const port = await freePort()
    const send = sendTo(new URL(`http://127.0.0.1:${port}/`))
    const first = await startWebhook(send)
    const events = [eventOf(), eventOf()]
    for (const event of events) first.webhook.take(event)
    await until(() => first.turns.length > 0)
    await first.webhook.close()
    expect(statSync(first.file).mode & 0o777).toBe(0o600)
    expect(readFileSync(first.file, 'utf8')).not.toContain(SECRET.slice(6))

    const { url, received } = await startReceiver()
    const again = await startWebhook(sendTo(url), { source: 'other' }, first.file)
    again.webhook.take(eventOf())
    await until(() => again.webhook.waiting === 0)
    expect(received.map(({ headers }) => headers['webhook-id'])).toEqual(
      [...events.map(({ id }) => id), String(lastId)].map(id => `evt_abc123_${id}`),
    )
  })

  test('takes no harm from a file that is broken', async () => {
    const { url, received } = await startReceiver()
    const file = join(tempDir(), 'webhook-pager.json')
    await new StateFile(file, () => undefined).write(() => ({ source: '../x', waiting: [1, null, { id: 'a' }, { constructor: 1 }] }))
    const { webhook } = await startWebhook(sendTo(url), {}, file)
    webhook.take(eventOf())
    await until(() => webhook.waiting === 0)
    expect(received).toHaveLength(1)
  })

  test('says what it gives up: the oldest of too many, what is a day old, and all where the receiver wants no more', async () => {
    let nowMs = 0
    let outcome: Outcome = { kind: 'later', reason: 'no', isAboutAll: true }
    const { webhook, dropped } = await startWebhook(async () => outcome, { nowMs: () => nowMs })
    const first = eventOf()
    webhook.take(first)
    for (let count = 0; count < 1_000; count++) webhook.take(eventOf())
    expect(webhook.waiting).toBe(1_000)
    expect(dropped).toEqual([[1, `evt_abc123_${first.id}`, 'more than 1000 events wait']])
    nowMs = 86_400_001
    await until(() => webhook.waiting === 0)
    expect(dropped[1]).toEqual([1_000, expect.any(String), 'they could not be delivered for a day'])
    outcome = { kind: 'gone', reason: 'it answers 410 (Gone), so it wants no more' }
    webhook.take(eventOf())
    await until(() => dropped.length === 3)
    webhook.take(eventOf())
    expect(webhook.waiting).toBe(0)
  })

  test('waits ever longer, as long as Retry-After says, and never asks a receiver that is away for each event', async () => {
    let nowMs = 0
    const asked: number[] = []
    const { webhook } = await startWebhook(
      async () => {
        asked.push(nowMs)
        return asked.length === 1
          ? { kind: 'later', reason: '429', isAboutAll: true, afterMs: 40_000 }
          : { kind: 'later', reason: 'x', isAboutAll: true }
      },
      { nowMs: () => nowMs, waitScale: 1, random: () => 0.5 },
    )
    for (let count = 0; count < 100; count++) webhook.take(eventOf())
    const poke = async (atMs: number, times: number): Promise<void> => {
      nowMs = atMs
      webhook.take(eventOf()) // whoever takes an event looks whether it is time
      await until(() => asked.length === times)
    }
    await poke(0, 1)
    await poke(39_999, 1)
    await poke(40_000, 2)
    await poke(69_999, 2)
    await poke(70_000, 3)
    await poke(189_999, 3)
    await poke(190_000, 4)
    expect(asked).toEqual([0, 40_000, 70_000, 190_000])
  })

  test('does not get what is said of itself', async () => {
    const { url, received } = await startReceiver()
    const { webhook } = await startWebhook(sendTo(url))
    webhook.take(eventOf('webhook.failing', 'pager'))
    webhook.take(eventOf('webhook.failing', 'other'))
    await until(() => received.length === 1)
    expect(received[0]!.body).toContain('"subject":"other"')
  })

  test('gives up an attempt that is not answered, or broken off', async () => {
    const silent = await startReceiver(() => undefined)
    expect(await sendTo(silent.url, 50)('{}', {})).toEqual({ kind: 'later', reason: 'no answer within 0.05 s', isAboutAll: true })
    const broken = await startReceiver(response => void response.socket?.destroy())
    expect(await sendTo(broken.url)('{}', {})).toMatchObject({ kind: 'later', isAboutAll: true })
    const nobody = new URL(`http://127.0.0.1:${await freePort()}/`)
    expect(await sendTo(nobody)('{}', {})).toMatchObject({ kind: 'later', reason: expect.stringContaining('ECONNREFUSED') })
    const endless = await startReceiver(response => {
      response.writeHead(200)
      response.write('x'.repeat(100_000))
    })
    expect(await sendTo(endless.url)('{}', {})).toEqual({ kind: 'taken' })
  })
})
