/** Two machines, one line each: `outer-layer --invite` and `inner-layer --join`, both as their users call them, over real TLS. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { runCli } from '../../src/cli/run-cli.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { freePort, listen } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { run } from './context.ts'

interface Running {
  stderr: string
  log: string
  readonly exit: Promise<number>
  stop(): void
}

const running: Running[] = []

afterEach(async () => {
  for (const each of running.splice(0).reverse()) {
    each.stop()
    await each.exit
  }
})

function start(...argv: readonly string[]): Running {
  let stop = (): void => undefined
  const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
  const state: Running = {
    stderr: '',
    log: '',
    stop: () => stop(),
    exit: runCli({
      argv: [...argv, '--log-format', 'json'],
      env: {},
      stdout: { write: () => true },
      stderr: { write: text => (state.stderr += text) },
      logDestination: { write: text => (state.log += text) },
      untilStopped: () => stopped,
    }),
  }
  running.push(state)
  return state
}

const has = (each: Running, what: string): Promise<unknown> =>
  until(() => each.stderr.includes(what) || each.log.includes(what), { what: `${what} in ${JSON.stringify(each)}` })

let origin = 0
beforeAll(async () => {
  const server = createHttpServer((_, response) => response.end('from the private network'))
  origin = await listen(server)
  onCleanUp(() => (server.closeAllConnections(), void server.close()))
})

interface Gateway extends Running {
  readonly appPort: number
  readonly joinText: string
  readonly state: string
}

/** An outer layer that has invited lan-a. */
const startOuter = async (state = tempDir(), given?: number): Promise<Gateway> => {
  const port = given ?? (await freePort())
  const target = `localhost=http://127.0.0.1:${origin}`
  const places = ['--app-host', '127.0.0.1', '--app-port', '0', '--socket-port', String(port), '--admin-port', '0', '--drain-delay', '0']
  const outer = start(
    'outer-layer',
    '--invite',
    'lan-a',
    '--state',
    state,
    '--invite-url',
    `wss://localhost:${port}`,
    '--target',
    target,
    ...places,
  )
  await has(outer, 'outer layer ready')
  await until(() => outer.stderr.includes('--join') || outer.log.includes('has joined already'), { what: 'an invitation' })
  const appPort = Number(/"appPort":(\d+)/.exec(outer.log)?.[1])
  return Object.assign(outer, { appPort, joinText: /--join '([^']+)'/.exec(outer.stderr)?.[1] ?? '', state })
}

const startInner = (joinText: string, folder = tempDir()): Running & { readonly folder: string } =>
  Object.assign(start('inner-layer', '--join', joinText, '--private-key', join(folder, 'innerLayer.key')), { folder })

const answerOf = async ({ appPort }: Gateway): Promise<string> => String((await exchange(appPort, { host: 'localhost' })).body)

describe('outer-layer --invite and inner-layer --join', () => {
  test('are all that two machines need; the secret counts once, and is in no log', async () => {
    const outer = await startOuter()
    const inner = startInner(outer.joinText)
    await has(inner, 'joined as \\"lan-a\\"'.replaceAll('\\', ''))
    await has(outer, 'inner layer \\"lan-a\\" connected')
    expect(await answerOf(outer)).toBe('from the private network')
    expect(statSync(join(inner.folder, 'innerLayer.key')).mode & 0o777).toBe(0o600)
    const [key = ''] = readdirSync(join(outer.state, 'inner-layers'))
    expect(key).toMatch(/^lan-a-.{8}\.crt$/)
    for (const path of [join('inner-layers', key), 'socket.key']) expect(statSync(join(outer.state, path)).mode & 0o777).toBe(0o600)
    const secret = outer.joinText.split(':').at(-2) ?? ''
    expect(secret).toHaveLength(32)
    for (const text of [outer.log, inner.log, inner.stderr]) expect(text).not.toContain(secret)

    const look = await run(['doctor', '--join', outer.joinText, '--private-key', join(inner.folder, 'innerLayer.key')])
    expect(look.stdout).toMatch(/^ok {4}proof .* accepted as "lan-a"$/m)
    expect(look.stdout).not.toContain('FAIL')

    const late = startInner(outer.joinText)
    expect(await late.exit).toBe(1)
    expect(late.stderr).toContain('was used')
    expect(readdirSync(late.folder)).toEqual([])
  })

  test('are the same lines when either is started again', async () => {
    const port = await freePort()
    const outer = await startOuter(tempDir(), port)
    const inner = startInner(outer.joinText)
    await has(outer, 'inner layer \\"lan-a\\" connected')
    inner.stop()
    expect(await inner.exit).toBe(0)
    const again = startInner(outer.joinText, inner.folder)
    await has(again, 'this inner layer has joined')
    await has(again, 'connected to wss://')
    outer.stop()
    expect(await outer.exit).toBe(0)
    const restarted = await startOuter(outer.state, port)
    expect(restarted.joinText).toBe('')
    await has(restarted, 'inner layer \\"lan-a\\" connected')
    expect(await answerOf(restarted)).toBe('from the private network')
  })

  test('say nothing to somebody else who answers at that place', async () => {
    const outer = await startOuter()
    const { certificatePem, privateKeyPem } = await mintKeyPair({
      type: 'ec',
      commonName: 'x',
      validityYears: 1,
      purpose: 'server',
      names: ['localhost'],
    })
    let heard = ''
    const liar = createTlsServer({ cert: certificatePem, key: privateKeyPem }, socket => {
      socket.on('data', (data: Buffer) => (heard += data.toString())).on('error', () => undefined)
    })
    const port = await listen(liar)
    onCleanUp(() => void liar.close())
    const inner = startInner(outer.joinText.replace(/localhost:\d+/, `localhost:${port}`))
    expect(await inner.exit).toBe(1)
    expect(inner.stderr).toContain('not the one of the invitation')
    expect(readdirSync(inner.folder)).toEqual([])
    expect(heard).toBe('')
    // Nothing was used up.
    startInner(outer.joinText)
    await has(outer, 'inner layer \\"lan-a\\" connected')
  })

  test('refuse what is no call of an inner layer', async () => {
    const outer = await startOuter()
    const url = outer.joinText.split('#')[0]!.replace('wss:', 'https:')
    const ca = readFileSync(join(outer.state, 'socket.crt'), 'utf8')
    const call = async (init: { method?: string; headers?: Record<string, string>; body?: string }): Promise<unknown> => {
      const { request } = await import('node:https')
      return new Promise((resolve, reject) => {
        const calling = request(
          `${url}/.sg/join`,
          { ca, agent: false, method: init.method ?? 'POST', headers: init.headers ?? {} },
          response => {
            response.resume()
            resolve(response.statusCode)
          },
        )
        calling.on('error', reject).end(init.body)
      })
    }
    expect(await call({ method: 'GET' })).toBe(405)
    expect(await call({ headers: { origin: 'https://evil.example' }, body: '{}' })).toBe(405)
    for (const body of ['', '{', '[]', '{"secret":1,"certificate":2}']) expect(await call({ body })).toBe(400)
    expect(await call({ body: JSON.stringify({ secret: 'x', certificate: 'x'.repeat(20_000) }) })).toBe(413)
    const wrong = JSON.stringify({ secret: 'x'.repeat(32), certificate: 'x' })
    expect(await call({ body: wrong })).toBe(403)
    for (let i = 0; i < 9; i++) await call({ body: wrong })
    expect(await call({ body: wrong })).toBe(429)
  })

  test('say what is wrong with their options', async () => {
    const none = start('outer-layer', '--invite', 'lan-a')
    expect(await none.exit).toBe(2)
    expect(none.stderr).toContain('--targets is missing')
    const both = start('outer-layer', '--public-key', 'x', '--targets', 'x', '--target', 'a=http://b')
    expect(await both.exit).toBe(2)
    expect(both.stderr).toContain('give one of them')
    const twice = start('outer-layer', '--state', tempDir(), '--target', 'a=http://b', '--target', 'a=http://c')
    expect(await twice.exit).toBe(2)
    expect(twice.stderr).toContain('"a" is given twice')
    const odd = start('inner-layer', '--join', 'wss://gw.example.com')
    expect(await odd.exit).toBe(2)
    expect(odd.stderr).toContain('outer-layer --invite NAME')
  })
})
