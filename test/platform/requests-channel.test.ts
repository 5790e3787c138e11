/** Questions about requests of sockets, from the service process to the outer layer and back, by both ends of their channel. */
import { expect, test } from '@jest/globals'
import { join } from 'node:path'
import type { RequestsAnswer, RequestsChange, RequestsFollowing, RequestsQuestion } from '../../src/directory/socket-requests.ts'
import { HostChannel, type HostListeners } from '../../src/platform/host-channel.ts'
import type { FromService, ServiceChild, ToService } from '../../src/service-host/ipc.ts'
import { ServiceHost, type ServiceHostOptions } from '../../src/service-host/service-host.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'

const QUESTION: RequestsQuestion = { kind: 'list', accountId: 'a', socketId: 's', filter: 'status:5xx', before: 'b', limit: 3 }
const nothing = (): void => undefined

/** A host and the channel of its child, whose messages go as JSON, as those between processes do. */
async function connected(more: Partial<ServiceHostOptions>): Promise<HostChannel> {
  const asJson = <T>(message: T): T => JSON.parse(JSON.stringify(message)) as T
  let toChild: (message: unknown) => void = nothing
  let toHost: (message: FromService) => void = nothing
  let ended: (how: string) => void = nothing
  const listeners = { onLink: nothing, onTunnels: nothing, onKeys: nothing, onUsage: nothing, onVisitors: nothing, onSocketLogin: nothing }
  const channel = new HostChannel(
    {
      send: message => toHost(asJson(message as FromService)),
      onMessage: listener => (toChild = listener),
      onEnd: nothing,
    },
    { ...listeners, onStop: () => ended('stopped') } as unknown as HostListeners,
    silentLog,
  )
  const child: ServiceChild = {
    pid: undefined,
    send: (message: ToService) => toChild(asJson(message)),
    onMessage: listener => (toHost = listener),
    onEnd: listener => (ended = listener),
    kill: () => ended('killed'),
  }
  const host = new ServiceHost({
    fork: () => child,
    directory: {
      apply: () => Promise.resolve([]),
      snapshot: () => ({ type: 'snapshot', seq: 0, sockets: [], keys: [], endedLogins: [] }),
      takeUsage: () => [],
      watch: () => undefined,
    },
    tunnels: () => [],
    keys: () => [],
    onSilent: nothing,
    stateFile: join(tempDir(), 'directory.json'),
    log: silentLog,
    clock: () => performance.now(),
    ...more,
  })
  const started = host.start()
  void channel.replace({ type: 'snapshot', seq: 1, sockets: [], keys: [], endedLogins: [] })
  channel.ready()
  await started
  onCleanUp(() => host.close())
  return channel
}

test('a question gets the answer of the outer layer', async () => {
  const asked: RequestsQuestion[] = []
  const answer: RequestsAnswer = { kind: 'list', items: [], next: 'c' }
  const channel = await connected({ requests: { answer: async question => (asked.push(question), answer), follow: () => nothing } })
  const one: RequestsQuestion = { kind: 'one', accountId: 'a', socketId: 's', requestId: 'r' }
  expect(await Promise.all([channel.requests(QUESTION), channel.requests(one)])).toEqual([answer, answer])
  expect(asked).toEqual([QUESTION, one])
})

test('an outer layer that records nothing says so', async () => {
  const channel = await connected({})
  expect(await channel.requests(QUESTION)).toMatchObject({
    kind: 'refused',
    code: 'CONFLICT',
    why: expect.stringContaining('inspect: true'),
  })
})

test('whoever follows is told until they say that it is enough, or the service process is gone', async () => {
  const followed: (readonly [RequestsFollowing, (changes: readonly RequestsChange[]) => void])[] = []
  let ended = 0
  const source = {
    answer: async () => ({ kind: 'replayed', results: [] }) as const,
    follow: (...following: (typeof followed)[number]) => {
      followed.push(following)
      return () => {
        ended++
      }
    },
  }
  const channel = await connected({ requests: source })
  const following: RequestsFollowing = { accountId: 'a', socketId: 's', filter: '' }
  const told: unknown[] = []
  const unfollow = channel.followRequests(following, changes => told.push(changes))
  channel.followRequests(following, nothing)
  expect(followed.map(([what]) => what)).toEqual([following, following])
  followed[0]![1]([{ type: 'gone', ids: ['x'] }])
  expect(told).toEqual([[{ type: 'gone', ids: ['x'] }]])
  unfollow()
  followed[0]![1]([{ type: 'reset' }])
  expect([told.length, ended]).toEqual([1, 1])
  // A question and a replay that are asked at the same time get their own answers.
  const replay: RequestsQuestion = { kind: 'replay', accountId: 'a', socketId: 's', requestId: 'r', edits: {}, address: '192.0.2.1' }
  expect(await Promise.all([channel.requests(replay), channel.requests(QUESTION)])).toHaveLength(2)
})

test('an outer layer that records nothing has nothing to follow', async () => {
  const channel = await connected({})
  const told: unknown[] = []
  channel.followRequests({ accountId: 'a', socketId: 's', filter: '' }, changes => told.push(...changes))
  expect(told).toEqual([{ type: 'end' }])
})
