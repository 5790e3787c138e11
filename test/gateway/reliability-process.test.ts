/** The two programs as processes: killed, stopped and told to leave under load. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses, type LayerProcesses } from '../support/layer-processes.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { testWith } from '../support/needs.ts'
import { once, until } from '../support/wait.ts'

let processes: LayerProcesses
let origin: RawOrigin
beforeAll(async () => {
  origin = await startRawOrigin()
  processes = await createLayerProcesses(origin.port)
})

/** Requests without end until told; gives the failures. */
const startLoad = (port: number, method: string): (() => Promise<number[]>) => {
  const failures: number[] = []
  let isOver = false
  const worker = async (): Promise<void> => {
    while (!isOver) {
      const { status } = await exchange(port, { method, ...(method === 'GET' ? {} : { body: 'x' }) })
      if (status !== 200) failures.push(status)
    }
  }
  const workers = [worker(), worker(), worker(), worker()]
  return async () => {
    isOver = true
    await Promise.all(workers)
    return failures
  }
}

describe('processes', () => {
  test('F24 (fault): kill -9 of one of two inner layers under load costs no GET', async () => {
    const outer = await processes.startOuter()
    const victim = await processes.startInner('one', [outer])
    await processes.startInner('two', [outer])
    const before = origin.hits
    const stop = startLoad(outer.port, 'GET')
    await until(() => origin.hits > before + 50)
    await victim.stop('SIGKILL')
    const killedAt = origin.hits
    await until(() => origin.hits > killedAt + 50)
    expect(await stop()).toEqual([])
  })

  test('F24 (fault): requests in flight at a killed inner layer are answered at once', async () => {
    const outer = await processes.startOuter()
    const victim = await processes.startInner('one', [outer])
    let isHolding = true
    origin.handle((_request, socket) => {
      if (!isHolding) socket.write(rawResponse(200, 'ok'))
    })
    const before = origin.hits
    const get = exchange(outer.port)
    const post = exchange(outer.port, { method: 'POST' })
    await until(() => origin.hits === before + 2)
    await processes.startInner('two', [outer])
    isHolding = false
    await victim.stop('SIGKILL')
    expect([(await get).status, (await post).status]).toEqual([200, 502])
    expect(origin.hits).toBe(before + 3)
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  })

  test('SIGTERM to one of two inner layers under load costs no request, not even a POST', async () => {
    const outer = await processes.startOuter()
    const leaving = await processes.startInner('one', [outer])
    await processes.startInner('two', [outer])
    const before = origin.hits
    const stop = startLoad(outer.port, 'POST')
    await until(() => origin.hits > before + 50)
    expect(await leaving.stop('SIGTERM')).toEqual({ code: 0, signal: null })
    const leftAt = origin.hits
    await until(() => origin.hits > leftAt + 50)
    expect(await stop()).toEqual([])
    expect(leaving.output).not.toMatch(/unhandled|uncaught/i)
  })

  test('F39 (fault): kill -9 of one of two outer layers does not touch the other, and the inner layer comes back to it', async () => {
    const [first, second] = [await processes.startOuter(), await processes.startOuter()]
    const inner = await processes.startInner('one', [first, second])
    await first.process.stop('SIGKILL')
    expect((await exchange(second.port)).status).toBe(200)
    const again = await processes.startOuter({ socketPort: first.socketPort })
    await until(async () => (await exchange(again.port)).status === 200)
    expect(inner.exited).toBeUndefined()
  })
})

/** The library that gives a process another wall clock, wherever Debian put it for this machine. */
const fakeTimeLibrary = (): string => {
  for (const name of readdirSync('/usr/lib')) {
    const folder = join('/usr/lib', name, 'faketime')
    if (existsSync(join(folder, 'libfaketimeMT.so.1'))) return join(folder, 'libfaketimeMT.so.1')
  }
  throw new Error('faketime is here without its library')
}

testWith(
  ['faketime'],
  'a wall clock that jumps by two minutes, either way, cuts no link and no request',
  async () => {
    const outer = await processes.startOuter()
    const clock = join(processes.directory, 'clock')
    const setClock = (offset: string): void => writeFileSync(clock, offset)
    setClock('+0')
    const env = {
      LD_PRELOAD: fakeTimeLibrary(),
      FAKETIME_TIMESTAMP_FILE: clock,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
    const inner = await processes.startInner('jumping', [outer], { env })
    const bodies: number[] = []
    let answer = (): void => undefined
    origin.handle(async (request, socket) => {
      if (request.method === 'GET') return void socket.write(rawResponse(200, 'ok'))
      await request.complete
      bodies.push(request.bodyBytes)
      answer = () => void socket.write(rawResponse(200, 'ok'))
    })
    const connections = (): number => outer.process.output.split('\\"jumping\\" connected').length
    const before = connections()
    for (const offset of ['+120s', '-120s', '+0']) {
      const post = exchange(outer.port, { method: 'POST', body: 'x'.repeat(100_000) })
      await until(() => bodies.length > 0)
      setClock(offset)
      // Each of them makes the inner layer send.
      for (let i = 0; i < 20; i++) expect((await exchange(outer.port)).status).toBe(200)
      answer()
      expect([(await post).status, bodies.splice(0)]).toEqual([200, [100_000]])
    }
    expect(connections()).toBe(before)
    expect(inner.exited).toBeUndefined()
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  },
  60_000,
)

test('L13: a flood of connections beyond what the process may open is survived, and served again once it is over', async () => {
  const outer = await processes.startOuter({ openFiles: 128 })
  const inner = await processes.startInner('flooded', [outer])
  const flood = await Promise.all(
    Array.from({ length: 300 }, async () => {
      const socket = connect(outer.port, '127.0.0.1')
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      return socket
    }),
  )
  expect(outer.process.exited).toBeUndefined()
  for (const socket of flood) socket.destroy()
  await until(async () => (await exchange(outer.port, {}).catch(() => undefined))?.status === 200)
  expect(inner.exited).toBeUndefined()
  expect(outer.process.exited).toBeUndefined()
})
