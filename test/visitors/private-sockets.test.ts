/** Sockets of type tcp and tls that only some may have: no public port lets anybody in, and who is logged in opens a tunnel. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { DirectorySocket } from '../../src/directory/directory.ts'
import { createVisitors, type CreatedVisitors } from '../../src/visitors/check/create-visitors.ts'
import { sealDeviceToken } from '../../src/visitors/session/device-token.ts'
import type { LoginEvent } from '../../src/visitors/login-event.ts'
import { createKeyText, readKeys } from '../../src/visitors/session/key-ring.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { changeOf, idOf, socketOf, startSocketLayers, ZONE, type SocketLayers } from '../support/directory.ts'
import { valuesOf } from '../support/proxy-values.ts'
import { RawConnection } from '../support/raw-client.ts'
import { freePort } from '../support/ports.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { ask, bearer, hangUp } from '../support/tunnels.ts'
import { until } from '../support/wait.ts'

const AUTH = 'auth.example.test'
const keys = readKeys(createKeyText(Date.now()))
let all: SocketLayers
let visitors: CreatedVisitors
let name: string
let port: number
let seq = 1
const events: LoginEvent[] = []

const put = (emails: readonly string[], more: Partial<DirectorySocket> = {}): Promise<unknown> =>
  all.directory.apply(
    changeOf({
      seq: ++seq,
      sockets: [socketOf(1, { type: 'tcp', port, dnsName: `calm-lake-100.${ZONE}`, visitors: { emails, domains: [] }, ...more })],
    }),
  )

beforeAll(async () => {
  visitors = createVisitors({
    config: () => ({
      ...{ authUrl: `https://${AUTH}`, authHost: AUTH, keysFile: '', revokedFile: '', name: 'x', logo: undefined },
      ...{ sessionMs: 3_600_000, idleMs: 0, providers: new Map(), socketProviders: SOCKET_PROVIDERS },
    }),
    keys: () => keys,
    persist: () => Promise.resolve(),
    clock: Date.now,
    onEvent: event => events.push(event),
    onFault: thrown => {
      throw thrown
    },
  })
  onCleanUp(() => visitors.close())
  all = await startSocketLayers({ outer: { visitors: visitors.check } })
  port = await freePort()
  name = `calm-lake-100.${ZONE}:${port}`
  await put(['ada@example.io'])
  await all.connect(1, (await startTcpOrigin(echo)).port)
})
afterAll(hangUp)

const SOCKET_PROVIDERS = ['company']

function tokenOf(email: string, tunnels = [name], provider = 'company'): string {
  const now = Date.now()
  const person = { provider, subject: email, email, name: undefined, groups: [], claims: new Map() }
  const session = { person, loginId: email, id: `${email} ${provider}`, loggedInMs: now, seenMs: now }
  return sealDeviceToken(new Seal(() => keys), AUTH, { session, tunnels })
}

const open = (...fields: string[]) => ask(all.layers.port, `/tunnel/${name}`, ...fields)

test('the people of its list open it, others do not, and its port is open to nobody', async () => {
  const peer = await open(bearer(tokenOf('ada@example.io')))
  expect(peer.status).toBe(101)
  peer.binary('hello')
  await until(() => peer.bytes.toString() === 'hello')
  peer.sendClose(1000)
  await peer.gone()
  const line = await until(() => all.layers.outerLogs.find(({ msg }) => msg === 'connection'))
  expect(line).toMatchObject({ visitor: 'ada@example.io', lane: 'login', target: name })
  const bare = await open()
  expect([bare.status, bare.head.includes(`SG-Login device="https://${AUTH}/device/authorize"`)]).toEqual([401, true])
  expect((await open(bearer(tokenOf('eve@example.io')))).status).toBe(403)
  expect((await open(bearer(tokenOf('ada@example.io', ['other.lan:1'])))).status).toBe(403)
  expect((await open(bearer(tokenOf('ada@example.io', [name], 'partner')))).status).toBe(403)
  const by = { provider: 'company', who: 'ada@example.io', by: 'program', address: '127.0.0.1' }
  expect(events).toEqual([{ kind: 'socket-login', socketId: idOf(1), ...by }])
  // Perhaps before it is known to be open.
  const end = await RawConnection.open(port).then(
    client => client.closed,
    () => 'rst',
  )
  expect(end).toBe('rst')
})

test('the service behind it is told who has opened it, where the owner wants that', async () => {
  await put(['ada@example.io'], { proxyProtocol: 2 })
  const peer = await open(bearer(tokenOf('ada@example.io')))
  peer.binary('hello')
  await until(() => peer.bytes.toString('latin1').endsWith('hello'))
  const values = valuesOf(peer.bytes)
  expect([0xe0, 0xe1, 0xe2].map(type => values.get(type)?.toString())).toEqual(['login', 'company|ada@example.io', 'ada@example.io'])
  const [, payload] = values.get(0xe5)!.toString().split('.')
  expect(JSON.parse(Buffer.from(payload!, 'base64url').toString())).toMatchObject({ aud: name, email: 'ada@example.io' })
  peer.sendClose(1000)
  await peer.gone()
  await put(['ada@example.io'])
})

test('a path that is no such tunnel is that of the application', async () => {
  const other = await ask(all.layers.port, `/tunnel/calm-lake-100.${ZONE}:1`)
  expect([other.status, other.head.includes('SG-Login')]).toEqual([404, false])
})

test('who is taken off the list is cut', async () => {
  const peer = await open(bearer(tokenOf('ada@example.io')))
  expect(peer.status).toBe(101)
  await put(['bob@example.io'])
  expect((await open(bearer(tokenOf('ada@example.io')))).status).toBe(403)
  // The next look: everybody's sessions are looked at when one of them was ended.
  visitors.revocations.add([{ kind: 'session', atMs: Date.now(), id: 'somebody else' }])
  expect((await peer.closeFrame()).code).toBe(1008)
})
