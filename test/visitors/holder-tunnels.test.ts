/** Sockets that only some may have, opened at `/tunnel/` with the certificate that people get when they have logged in, by the host of the socket. */
import { chmodSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { runCli } from '../../src/cli/run-cli.ts'
import { createVisitors, type CreatedVisitors } from '../../src/visitors/check/create-visitors.ts'
import { holderUri, type HolderScope } from '../../src/visitors/holders/holder-grant.ts'
import { createKeyText, readKeys } from '../../src/visitors/session/key-ring.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startConnectProxy, type ConnectProxy } from '../support/connect-proxy.ts'
import { changeOf, idOf, socketOf, startSocketLayers, ZONE, type SocketLayers } from '../support/directory.ts'
import { freePort } from '../support/ports.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { tempDir } from '../support/temp.ts'
import { mint, type Pair, type Wanted } from '../support/visitor-certificates.ts'
import { until } from '../support/wait.ts'

const AUTH = 'auth.example.test'
const HOST = `calm-lake-100.${ZONE}`
const OTHER = `warm-hill-200.${ZONE}`
const GATEWAY = `gw.${ZONE}`
const folder = tempDir()
const keys = readKeys(createKeyText(Date.now()))
const authority = { ...mint({ commonName: 'Visitors', isAuthority: true }), name: 'Visitors' }
const stranger = { ...mint({ commonName: 'Others', isAuthority: true }), name: 'Others' }

let all: SocketLayers
let visitors: CreatedVisitors
let proxy: ConnectProxy
let serverCa: string
let port: number
let otherPort: number
let seq = 1
let files = 0

const put = (emails: readonly string[], { cert } = authority): Promise<unknown> => {
  const people = { emails, domains: [], groups: [] }
  const held = (number: number, dnsName: string, at: number) => socketOf(number, { type: 'tcp', port: at, dnsName, visitors: people })
  return all.directory.apply(
    changeOf({ seq: ++seq, authorities: cert.replaceAll('\r', ''), sockets: [held(1, HOST, port), held(2, OTHER, otherPort)] }),
  )
}

beforeAll(async () => {
  visitors = createVisitors({
    config: () => ({
      ...{ authUrl: `https://${AUTH}`, authHost: AUTH, keysFile: '', revokedFile: '', name: 'x', logo: undefined },
      ...{ sessionMs: 3_600_000, idleMs: 0, providers: new Map(), socketProviders: PROVIDERS },
    }),
    keys: () => keys,
    persist: () => Promise.resolve(),
    clock: Date.now,
    onEvent: () => undefined,
    onFault: thrown => {
      throw thrown
    },
  })
  onCleanUp(() => visitors.close())
  const server = await mintServer([`*.${ZONE}`])
  serverCa = join(folder, 'server.pem')
  writeFileSync(serverCa, server.certificatePem)
  const appCertificates = await startStore([writePair(server)])
  all = await startSocketLayers({ outer: { visitors: visitors.check, appCertificates } })
  proxy = await startConnectProxy('me:word', [HOST, OTHER, GATEWAY])
  ;[port, otherPort] = [await freePort(), await freePort()]
  await put(['ada@example.io'])
  await all.connect(1, (await startTcpOrigin(echo)).port)
})
const PROVIDERS = ['company']

const stops: (() => Promise<number>)[] = []
afterAll(() => Promise.all(stops.map(stop => stop())))

const socketScope = (host = HOST, at = port): HolderScope => ({ kind: 'socket', name: `${host}:${at}` })

/** A certificate as the service gives it to somebody who has logged in. */
function certificateOf(email = 'ada@example.io', scope = socketScope(), more: Wanted = {}): Pair {
  const now = Date.now()
  const person = { provider: 'company', subject: email, email, name: undefined, groups: [], claims: new Map() }
  const session = { person, loginId: email, id: `session of ${email}`, loggedInMs: now, seenMs: now }
  const uri = holderUri(new Seal(() => keys), AUTH, { session, scope })
  return mint({
    commonName: email,
    names: [
      { type: 1, value: email },
      { type: 6, value: uri },
    ],
    issuer: authority,
    ...more,
  })
}

/** Runs `forward` until the end of the tests. */
function forward(pair: Pair | undefined, { by = HOST, to = `${HOST}:${port}` } = {}) {
  let text = ''
  let end: () => void = () => undefined
  const stopped = new Promise<undefined>(resolve => (end = () => resolve(undefined)))
  const write = (more: string): string => (text += more)
  const name = join(folder, String(++files))
  if (pair !== undefined) {
    writeFileSync(`${name}.crt`, pair.cert)
    writeFileSync(`${name}.key`, pair.key)
    chmodSync(`${name}.key`, 0o600)
  }
  const shown = pair === undefined ? [] : ['--client-certificate', `${name}.crt`, '--client-key', `${name}.key`]
  const ended = runCli({
    argv: [
      ...['forward', '--log-format', 'json', '--ca', serverCa, ...shown],
      ...['127.0.0.1:0', `wss://${by}:${all.layers.port}/tunnel/${to}`],
    ],
    env: { XDG_CONFIG_HOME: folder, HTTPS_PROXY: `http://me:word@127.0.0.1:${proxy.port}` },
    ...{ stdout: { write }, stderr: { write }, logDestination: { write }, untilStopped: () => stopped },
  })
  stops.push(() => (end(), ended))
  const listening = async (): Promise<number> => Number((await until(() => /"forwarding 127\.0\.0\.1:(\d+) to/.exec(text)))[1])
  const port = (): Promise<number> => Promise.race([listening(), ended.then(() => Promise.reject(new Error(text)))])
  return { text: () => text, ended, port }
}

function talk(port: number) {
  const socket = connect(port, '127.0.0.1')
  onCleanUp(() => socket.destroy())
  let got = ''
  socket.on('error', () => undefined).on('data', (data: Buffer) => (got += data.toString()))
  socket.write('hello')
  return { socket, answered: until(() => got === 'hello' || socket.destroyed).then(() => got) }
}

const lines = () => all.layers.outerLogs.filter(({ msg }) => msg === 'connection')

describe('a person with the certificate of a login', () => {
  test('opens the tunnel of the socket by its host, with one for the socket and with one for all of its owner', async () => {
    for (const scope of [socketScope(), { kind: 'account', id: idOf(1, 2) } as const]) {
      const count = lines().length
      const { socket, answered } = talk(await forward(certificateOf('ada@example.io', scope)).port())
      expect(await answered).toBe('hello')
      socket.destroy()
      expect(await until(() => lines()[count])).toMatchObject({
        visitor: 'ada@example.io',
        lane: 'certificate',
        target: `${HOST}:${port}`,
      })
    }
  })

  test('is cut when somebody ends the session, and comes in no more', async () => {
    const bob = certificateOf('bob@example.io')
    await put(['ada@example.io', 'bob@example.io'])
    const { socket, answered } = talk(await forward(bob).port())
    expect(await answered).toBe('hello')
    visitors.revocations.add([{ kind: 'email', atMs: Date.now() + 1, email: 'bob@example.io' }])
    await until(() => socket.destroyed, { what: 'the end of the connection' })
    const again = forward(bob)
    expect([await again.ended, again.text().includes(' answered 401 ')]).toEqual([1, true])
    await put(['ada@example.io'])
  })

  test.each<[string, () => readonly [Pair | undefined, Parameters<typeof forward>[1]?], number, RegExp]>([
    ['without one', () => [undefined], 401, /no credentials/],
    [
      'with one of another authority',
      () => [certificateOf('ada@example.io', socketScope(), { issuer: stranger })],
      401,
      /the certificate: UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
    ],
    [
      'with one that has expired',
      () => [certificateOf('ada@example.io', socketScope(), { toMs: -3_600_000 })],
      401,
      /the certificate: CERT_HAS_EXPIRED/,
    ],
    [
      'with one that is of no login',
      () => [mint({ names: [{ type: 1, value: 'ada@example.io' }], issuer: authority })],
      401,
      /a certificate of no login/,
    ],
    ['who is not on the list', () => [certificateOf('eve@example.io')], 403, /neither address nor domain/],
    [
      'with one for another socket',
      () => [certificateOf('ada@example.io', socketScope(OTHER, otherPort))],
      403,
      /the login was for another socket/,
    ],
    ['by another name of the gateway, which asks for none', () => [certificateOf(), { by: GATEWAY }], 401, /no credentials/],
  ])('is refused %s', async (_, asked, status, why) => {
    const { ended, text } = forward(...asked())
    expect(await ended).toBe(1)
    expect(text()).toContain(` answered ${status} `)
    expect(all.layers.outerLogs.map(({ msg }) => msg).join('\n')).toMatch(why)
  })

  test('is asked by the authorities in force', async () => {
    await put(['ada@example.io'], stranger)
    const old = forward(certificateOf())
    expect([await old.ended, old.text().includes(' answered 401 ')]).toEqual([1, true])
    const { answered } = talk(await forward(certificateOf('ada@example.io', socketScope(), { issuer: stranger })).port())
    expect(await answered).toBe('hello')
    await put(['ada@example.io'])
  })
})
