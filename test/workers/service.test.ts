/** A service beside an outer layer of two processes: one service process, one directory in both of them, whichever a visitor comes to. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OuterStatus, WorkerStatus } from '../../src/admin/status.ts'
import { begin, run, type Outcome } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { freePort, listen } from '../support/ports.ts'
import { runProcess, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const PASSWORD = 'a password of some length'

interface Followed {
  readonly id: string
  readonly path: string
  readonly isOver: boolean
}

describe('a service with two workers', () => {
  let outer: RunningProcess
  let appPort: number
  let adminPort: number
  let originPort: number
  let env: Readonly<Record<string, string>>
  let server: string
  let email: string

  const cli = (...argv: readonly string[]): Promise<Outcome> => run(argv, env)
  const status = async (): Promise<OuterStatus> => (await (await fetch(`http://127.0.0.1:${adminPort}/status`)).json()) as OuterStatus
  const up = async (): Promise<readonly WorkerStatus[]> => ((await status()).workers ?? []).filter(({ state }) => state === 'up')
  const visit = async (host: string, path = '/'): Promise<number> => (await exchange(appPort, { host, path })).status
  /** Enough connections that both workers have had some. */
  const visits = (host: string, count = 24): Promise<readonly number[]> => Promise.all(Array.from({ length: count }, () => visit(host)))
  const connect = async (name: string): Promise<{ readonly process: RunningProcess; readonly host: string }> => {
    const process = startProcess(['connect', String(originPort), '--name', name], { env })
    const [, host = ''] = await process.waitForLine(/http:\/\/(\S+\.localhost):\d+ → http:\/\/127\.0\.0\.1:\d+ {3}connected, \d+ ms/)
    return { process, host }
  }

  beforeAll(async () => {
    const [folder, home] = [tempDir(), tempDir()]
    appPort = await freePort()
    const socketPort = await freePort()
    const file = join(folder, 'service.yaml')
    const init = await run(['service', 'init', '--zone', 'localhost', '--service', file, '--json'])
    const { link, admin } = JSON.parse(init.stdout) as { readonly link: string; readonly admin: string }
    writeFileSync(file, `${readFileSync(file, 'utf8').replace('localhost:3001', `localhost:${socketPort}`)}\ninspect: true\n`)
    outer = startProcess(
      [
        ...['outer-layer', '--workers', '2', '--service', file, '--log-format', 'json', '--admin-port', '0', '--drain-delay', '0'],
        ...['--app-port', String(appPort), '--app-host', 'localhost', '--socket-port', String(socketPort), '--socket-host', 'localhost'],
      ],
      { cwd: folder },
    )
    const [, port] = await outer.waitForLine(/"adminPort":(\d+),"msg":"2 workers are up/)
    adminPort = Number(port)
    server = `http://localhost:${appPort}`
    email = admin
    env = { XDG_CONFIG_HOME: home }
    await until(async () => (await fetch(`${server}/api/v1/version`)).ok, { what: 'the API' })
    const invitation = link.replace('localhost:3000', `localhost:${appPort}`)
    const created = await cli('account', 'create', '--invitation', invitation, '--name', 'Ada', '--password', PASSWORD)
    expect(created).toMatchObject({ status: 0 })
    const login = await runProcess(['login', '--server', server, '--email', admin], { env: { ...env, SG_PASSWORD: PASSWORD } })
    expect(login).toMatchObject({ code: 0 })
    const origin = createServer((request, response) => response.end(`hello ${request.url}`))
    originPort = await listen(origin)
    onCleanUp(() => (origin.close(), origin.closeAllConnections()))
  })

  test('has one service process, and its changes in all workers before the API answers', async () => {
    expect((await up()).length).toBe(2)
    expect(outer.stdout.split('the service process is ready')).toHaveLength(2)
    for (const round of [1, 2, 3]) {
      const made = await cli('socket', 'create', '--name', `s${round}`)
      const [, id = '', , host = ''] = made.stdout.split('\n')[3]!.split(/\s+/)
      // There, and without a tunnel, at either: 404 would say that it is not there.
      expect(new Set(await visits(host))).toEqual(new Set([502]))
      expect(await cli('socket', 'delete', id)).toMatchObject({ status: 0 })
      expect(new Set(await visits(host))).toEqual(new Set([404]))
    }
  })

  test('serves a tunnel at either, and tells the owner of visitors of both', async () => {
    const { process, host } = await connect('web')
    expect(new Set(await visits(host))).toEqual(new Set([200]))
    let served = 24
    /** Visits, and again where the live log, which has 50 lines a second, had no room for it. */
    const visitUntilShown = (path: string, isShown: () => boolean): Promise<unknown> =>
      until(
        async () => {
          await visit(host, path)
          served++
          return isShown()
        },
        { what: `a line of ${path}` },
      )
    const numbers = Array.from({ length: 24 }, (_, index) => index)
    // Its own live log comes by the worker that has its link.
    for (const index of numbers) await visitUntilShown(`/seen/${index}`, () => process.stdout.includes(`"GET /seen/${index} HTTP/1.1" 200`))
    const logs = startProcess(['logs', 'web', '--json'], { env })
    await logs.waitForLine(/requests to .* from now on/)
    for (const index of numbers) await visitUntilShown(`/logged/${index}`, () => logs.stdout.includes(`/logged/${index}"`))
    await logs.stop('SIGINT')
    expect(await process.stop('SIGINT')).toEqual({ code: 0, signal: null })
    expect(new Set(await visits(host))).toEqual(new Set([404]))
    await until(async () => (await usage()).includes(served), { what: 'the use that both have counted' })
  })

  /** Requests of each socket that the service has written down. */
  const usage = async (): Promise<readonly number[]> => {
    const headers = { 'content-type': 'application/json' }
    const login = await fetch(`${server}/api/v1/sessions`, { method: 'POST', headers, body: JSON.stringify({ email, password: PASSWORD }) })
    const { token } = (await login.json()) as { readonly token: string }
    const answer = await fetch(`${server}/api/v1/usage?since=2026-01-01`, { headers: { authorization: `Bearer ${token}` } })
    const { items } = (await answer.json()) as { readonly items: readonly { readonly requests: number }[] }
    return items.map(({ requests }) => requests)
  }

  test('records requests for their owner at both, and shows them as one list', async () => {
    const { process, host } = await connect('recorded')
    const [, id = ''] = /([0-9a-f-]{36}) .*recorded/.exec((await cli('socket', 'ls')).stdout) ?? []
    expect(await cli('socket', 'update', id, '--inspect', 'yes')).toMatchObject({ status: 0 })
    const requests = begin(['requests', '--socket', 'recorded', '--follow', '--json', '--filter', 'path:/followed'], env)
    onCleanUp(() => requests.stop())
    const followed = (): readonly Followed[] =>
      requests
        .stdout()
        .split('\n')
        .filter(line => line.endsWith('}'))
        .map(line => JSON.parse(line) as Followed)
    const tags = (all: readonly { readonly id: string }[]): number => new Set(all.map(({ id: of }) => of.slice(-2))).size
    await until(
      async () => {
        await visit(host, '/followed')
        return tags(followed().filter(({ isOver }) => isOver)) === 2
      },
      { what: 'requests of both workers in what is followed' },
    )
    expect(await requests.stop()).toBe(0)
    const listed = (await cli('requests', '--socket', 'recorded', '--json', '--filter', 'path:/followed')).stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Followed)
    expect(tags(listed)).toBe(2)
    expect(listed.map(each => each.id)).toEqual([...listed.map(each => each.id)].sort())
    for (const one of [listed[0]!, listed.find(each => each.id.slice(-2) !== listed[0]!.id.slice(-2))!]) {
      expect((await cli('requests', 'show', one.id, '--socket', 'recorded')).stdout).toContain('/followed')
      expect(await cli('requests', 'replay', one.id, '--socket', 'recorded')).toMatchObject({ status: 0 })
    }
    await process.stop('SIGINT')
  })

  test('goes on over a worker that is killed, new workers, and a service process that is killed', async () => {
    const { process, host } = await connect('stays')
    const [first] = await up()
    globalThis.process.kill(first!.pid, 'SIGKILL')
    await until(async () => (await up()).length === 2, { what: 'another worker' })
    await until(async () => (await visits(host)).every(each => each === 200), { what: 'the tunnel at both' })
    expect(await runProcess(['upgrade', '--admin', String(adminPort)])).toMatchObject({ code: 0, stderr: '' })
    await until(async () => (await visits(host)).every(each => each === 200), { what: 'the tunnel at both new ones' })
    expect((await fetch(`${server}/api/v1/version`)).ok).toBe(true)
    expect(outer.stdout.split('the service process is ready')).toHaveLength(2)

    const pids = Array.from(outer.stdout.matchAll(/"pid":(\d+),"msg":"the service process is ready/g), ([, pid]) => Number(pid))
    globalThis.process.kill(pids[0]!, 'SIGKILL')
    await outer.waitForLine(/the service process ended/)
    expect(new Set(await visits(host))).toEqual(new Set([200]))
    await until(() => outer.stdout.split('the service process is ready').length === 3, { what: 'another service process' })
    // Whoever comes to either is asked by the new one whether the password is right.
    expect(await runProcess(['login', '--server', server, '--email', email], { env: { ...env, SG_PASSWORD: PASSWORD } })).toMatchObject({
      code: 0,
    })
    expect(JSON.parse((await cli('tunnel', 'ls', '-s', 'stays', '--json')).stdout)).toEqual([
      expect.objectContaining({ isConnected: true }),
    ])
    await process.stop('SIGINT')
    expect(await outer.stop()).toEqual({ code: 0, signal: null })
    expect(outer.stderr).toBe('')
  })
})
