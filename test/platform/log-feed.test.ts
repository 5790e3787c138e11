import type { LogLine } from '../../src/payload/log-note.ts'
import { VisitorFeed, type VisitorFeedOptions } from '../../src/platform/log-feed.ts'
import type { Actor } from '../../src/service/model.ts'

const ACTOR: Actor = { accountId: 'a', role: 'user', scopes: undefined, kind: 'session', address: '192.0.2.9' }

const visit = (path: string): LogLine => ({
  kind: 'request',
  at: Date.UTC(2020, 10, 25, 17, 13, 6),
  client: '192.0.2.106',
  method: 'GET',
  path,
  version: '1.1',
  status: 200,
  bytes: 432,
  referer: '',
  agent: 'curl/7.64.0',
  durationMs: 32,
})

function setUp() {
  const asked: string[] = []
  // Two answers of the rules are all that the feed needs of them.
  const service = {
    sockets: { get: (_: Actor, id: string) => Promise.resolve({ id }) },
    accounts: { get: () => Promise.resolve({ limits: {} }) },
  } as unknown as VisitorFeedOptions['service']
  const config = (() => ({ limits: { logWatchers: 2 } })) as unknown as VisitorFeedOptions['config']
  const feed = new VisitorFeed({ service, config, watch: (id, isWatched) => asked.push(`${id} ${isWatched}`) })
  return { feed, asked }
}

/** Reads `count` lines, or all of them. */
async function read(lines: AsyncIterable<{ readonly text: string }>, count = Infinity): Promise<string[]> {
  const texts: string[] = []
  if (count === 0) return texts
  for await (const { text } of lines) if (texts.push(text) >= count) break
  return texts
}

describe('the visitors of sockets for those who watch by the API', () => {
  test('come to each watcher, with one subscription for all of them, which ends with the last one', async () => {
    const { feed, asked } = setUp()
    const [one, two] = [new AbortController(), new AbortController()]
    const first = await feed.watch(ACTOR, 's', one.signal)
    const second = await feed.watch(ACTOR, 's', two.signal)
    feed.visitors('s', [visit('/')])
    feed.visitors('other', [visit('/other')])
    const line = '192.0.2.106 - - [25/Nov/2020:17:13:06 +0000] "GET / HTTP/1.1" 200 432 "-" "curl/7.64.0" response_time="0.032 sec"'
    expect(await read(first, 1)).toEqual([line])
    two.abort()
    expect(await read(second)).toEqual([line])
    expect(asked).toEqual(['s true', 's false'])
  })

  test('are for as many watchers of an account as it may have, and a place is free again when one leaves', async () => {
    const { feed } = setUp()
    const controller = new AbortController()
    await feed.watch(ACTOR, 's', controller.signal)
    await feed.watch(ACTOR, 't', new AbortController().signal)
    await expect(feed.watch(ACTOR, 's', new AbortController().signal)).rejects.toMatchObject({ code: 'LIMIT_REACHED' })
    controller.abort()
    await feed.watch(ACTOR, 's', new AbortController().signal)
  })

  test('that a reader is too slow for are counted, not kept', async () => {
    const { feed } = setUp()
    const controller = new AbortController()
    const lines = await feed.watch(ACTOR, 's', controller.signal)
    feed.visitors(
      's',
      Array.from({ length: 1_000 }, (_, number) => visit(`/${number}`)),
    )
    controller.abort()
    const texts = await read(lines)
    expect(texts).toHaveLength(201)
    expect(texts.at(-1)).toContain('800')
  })

  test('end with the socket', async () => {
    const { feed, asked } = setUp()
    const lines = await feed.watch(ACTOR, 's', new AbortController().signal)
    feed.ended('s')
    expect(await read(lines)).toEqual([])
    expect(asked).toEqual(['s true', 's false'])
  })
})
