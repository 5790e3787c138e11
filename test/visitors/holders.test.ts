/**
 * Sockets of type tcp and tls whose owner has named people: programs of theirs show a certificate at the public port. The person logs in with a
 * browser on the same machine, as later clients of MySocket have it; provider, API, rules and `connect` are the real ones.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import forge from 'node-forge'
import { runCli } from '../../src/cli/run-cli.ts'
import { GatewayError } from '../../src/errors.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import type { AuditEntry, Socket } from '../../src/service/model.ts'
import { rotateSecrets } from '../../src/service/core/secrets.ts'
import { startApi, type RunningApi } from '../support/api.ts'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { ZONE } from '../support/directory.ts'
import { TEST_CONFIG } from '../support/service.ts'
import { valuesOf } from '../support/proxy-values.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { ADA, AUTH, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'
import type { Browser, Visit } from '../support/browser.ts'
import { until, within } from '../support/wait.ts'

const EVE = { sub: 'eve', email: 'eve@elsewhere.test', email_verified: true } as const
const PEOPLE = { emails: ['ada@example.io'], domains: [] }
const API = TEST_CONFIG.hosts.api
const LOOPBACK = 'http://127.0.0.1:45678'
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

/** What the old client sends: RSA, with names that nobody asks it for. */
function csrOf(keyPem: string): string {
  const request = forge.pki.createCertificationRequest()
  const key = forge.pki.privateKeyFromPem(keyPem)
  request.publicKey = forge.pki.setRsaPublicKey(key.n, key.e)
  request.setSubject([{ name: 'commonName', value: 'root@everything.test' }])
  request.sign(key, forge.md.sha256.create())
  return forge.pki.certificationRequestToPem(request)
}

const CSR = csrOf(KEY)

let at: VisitorLayers
let api: RunningApi
let directory: LiveDirectory
let socket: Socket
let other: Socket
let shown = ''
let stop = (): void => undefined
const ends: Promise<number>[] = []
const told: Promise<void>[] = []

const connect = (port: number, name: string, type: string): void => {
  const stopped = new Promise<undefined>(resolve => {
    const before = stop
    stop = () => {
      before()
      resolve(undefined)
    }
  })
  ends.push(
    runCli({
      argv: ['connect', String(port), '--name', name, '--type', type, '--cloudauth', '--allowed-email-addresses', 'ada@example.io'],
      env: { SG_SERVER: api.url, SG_API_TOKEN: api.tokens.ada },
      stdout: { write: text => (shown += text) },
      stderr: { write: text => (shown += text) },
      logDestination: { write: () => true },
      untilStopped: () => stopped,
    }),
  )
}

beforeAll(async () => {
  directory = new LiveDirectory({ zone: ZONE, ports: { from: 1_024, to: 65_535 }, endsTls: true })
  const store = await startStore([writePair(await mintServer([`*.${ZONE}`]))])
  at = await startVisitorLayers('targets: {}', {
    visitors: {
      onEvent: event => {
        if (event.kind === 'socket-login') told.push(api.given.service.audit.socketLogin(event))
      },
      held: {
        apiHost: API,
        find: host => directory.heldSocket(host),
        certify: async request => {
          try {
            return { kind: 'certificate', text: await api.given.service.visitorCertificates.certify(request) }
          } catch (thrown) {
            return { kind: 'refused', why: String(thrown) }
          }
        },
      },
    },
    layers: { outer: { directory, tcpCertificates: () => store }, inners: 0 },
  })
  const hosts = { ...TEST_CONFIG.hosts, link: [`ws://127.0.0.1:${at.layers.socketPort}`] }
  const apply = async (change: unknown): Promise<void> => {
    const [fault] = await directory.apply(change)
    if (fault !== undefined) throw new GatewayError('LISTEN_FAILED', fault.message)
  }
  // Below the ports that systems give to connections: one of those cannot be opened while somebody has it.
  api = await startApi({}, { dataPlane: { apply }, config: { hosts, ports: { from: 20_000, to: 29_999 } } })
  await directory.apply(await api.given.service.snapshot())
  const origin = await startTcpOrigin(echo)
  connect(origin.port, 'a shell', 'tls')
  connect(origin.port, 'a database', 'tcp')
  await until(() => shown.match(/connected, \d+ ms/g)?.length === 2, { what: 'both connections' })
  const { items } = (await api.v1('GET', '/sockets')).json as { items: Socket[] }
  socket = items.find(({ name }) => name === 'a shell')!
  other = items.find(({ name }) => name === 'a database')!
})
afterAll(async () => {
  stop()
  await Promise.all(ends)
})
beforeEach(async () => {
  at.oidc.person = ADA
  await allow(PEOPLE)
})

const allow = async (visitors: unknown): Promise<void> => {
  expect((await api.v1('PATCH', `/sockets/${socket.id}`, { body: { visitors } })).status).toBe(200)
}

const pageOf = (to: Socket, root = ''): string => `https://${API}${root}/mtls-ca/socket/${to.dnsName}/auth`

/** Somebody goes where the program has sent their browser, and presses a button. */
async function press(browser: Browser, page: string, decision: 'allow' | 'refuse', headers = {}): Promise<Visit> {
  const question = await browser.go(`${page}?port=45678`)
  if (question.status !== 200) return question
  const action = /action="([^"]+)"/.exec(question.body)![1]!
  return browser.go(`https://${AUTH}${action}`, {
    method: 'POST',
    body: `port=45678&decision=${decision}`,
    headers: { 'sec-fetch-site': 'same-origin', ...headers },
    stopAt: url => url.hostname === '127.0.0.1' && url.port === '45678',
  })
}

async function tokenOf(to: Socket, root = ''): Promise<string> {
  const { url } = await press(at.browser(), pageOf(to, root), 'allow')
  expect(url.startsWith(`${LOOPBACK}/?token=`)).toBe(true)
  return new URL(url).searchParams.get('token')!
}

const post = async (path: string, token: string, body: object) => {
  const { status, body: text } = await at.browser().send(`https://${API}${path}`, {
    method: 'POST',
    headers: { 'x-access-token': token, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status, json: JSON.parse(text) as Record<string, string> }
}

async function certificateOf(to: Socket): Promise<string> {
  const { status, json } = await post(`/mtls-ca/socket/${to.dnsName}/csr`, await tokenOf(to), { csr: CSR })
  expect(status).toBe(200)
  return json['client_certificate']!
}

/** A connection of a program, as far as it gets: what comes back for what it says, or how it ended. */
async function say(to: Socket, cert?: string, key = KEY): Promise<string> {
  const tls = await dial(to, cert, key)
  tls.write('hello')
  const answer = await within(heard(tls), 'an answer')
  tls.destroy()
  return answer
}

const heard = (tls: TLSSocket): Promise<string> =>
  new Promise(resolve => {
    tls.once('data', (bytes: Buffer) => resolve(bytes.toString()))
    tls.once('close', () => resolve('closed'))
    // It may have been cut before anybody listened.
    if (tls.destroyed) resolve('closed')
  })

async function dial(to: Socket, cert?: string, key = KEY): Promise<TLSSocket> {
  const tls = connectTls({
    host: '127.0.0.1',
    port: to.ports[0]!,
    servername: to.dnsName,
    rejectUnauthorized: false, // as the old client has it
    ...(cert !== undefined && { cert, key }),
  })
  tls.on('error', () => undefined)
  await within(
    new Promise(resolve => {
      tls.once('secureConnect', resolve)
      tls.once('close', resolve)
    }),
    'a handshake',
  )
  return tls
}

const lines = () => at.layers.outerLogs.filter(({ msg }) => msg === 'connection')

describe('a person whose program opens a socket', () => {
  test('logs in, says yes, and the program comes in with a certificate; log, audit and live log say who it is', async () => {
    const token = await tokenOf(socket)
    const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
    expect(claims).toMatchObject({ user_email: 'ada@example.io', socket_dns: socket.dnsName, socket_port: socket.ports[0] })
    expect(claims['exp']).toBeGreaterThan(Date.now() / 1000)
    const { json } = await post(`/mtls-ca/socket/${socket.dnsName}/csr`, token, { csr: CSR })
    const certificate = new X509Certificate(json['client_certificate']!)
    expect([certificate.subject, certificate.ca]).toEqual(['CN=ada@example.io', false])
    expect(certificate.subjectAltName).toContain('email:ada@example.io')
    const leftMs = Date.parse(certificate.validTo) - Date.now()
    expect([leftMs > 0, leftMs <= 3_600_000]).toEqual([true, true])
    const count = lines().length
    const answer = await say(socket, json['client_certificate'])
    const line = await until(() => lines()[count])
    expect([answer, line['reason']]).toEqual(['hello', undefined])
    expect(line).toMatchObject({ visitor: 'ada@example.io', lane: 'certificate', name: socket.dnsName })
    await Promise.all(told)
    const { items } = (await api.v1('GET', '/audit?action=visitor.login')).json as { items: AuditEntry[] }
    expect(items.filter(({ object }) => object === `socket:${socket.id}`)[0]).toMatchObject({
      details: { who: 'ada@example.io', provider: 'company', by: 'program' },
    })
    await until(() => /TCP 200 .* visitor: ada@example\.io/.test(shown), { what: 'the line of the owner' })
  })

  test('comes in at a socket of type tcp in the same way', async () => {
    expect(await say(other, await certificateOf(other))).toBe('hello')
  })

  test('is told to the service behind the socket, where its owner wants that', async () => {
    const patch = (proxyProtocol: 2 | null) => api.v1('PATCH', `/sockets/${socket.id}`, { body: { proxyProtocol } })
    expect((await patch(2)).status).toBe(200)
    const tls = await dial(socket, await certificateOf(socket))
    const chunks: Buffer[] = []
    tls.on('data', (chunk: Buffer) => chunks.push(chunk))
    tls.write('hello')
    await until(() => Buffer.concat(chunks).toString('latin1').endsWith('hello'), { what: 'the header and what was said' })
    tls.destroy()
    const values = valuesOf(Buffer.concat(chunks))
    expect([0x02, 0xe0, 0xe1, 0xe2].map(type => values.get(type)?.toString())).toEqual([
      socket.dnsName,
      'certificate',
      expect.stringMatching(/^company\|./),
      'ada@example.io',
    ])
    expect((await patch(null)).status).toBe(200)
  })

  test('says no, and the program gets no token; nobody is asked for a port that is none', async () => {
    const { url } = await press(at.browser(), pageOf(socket), 'refuse')
    expect(url).toBe(`${LOOPBACK}/?error=access_denied`)
    for (const port of ['0', '65536', '80x', '127.0.0.1:80', '80@evil.test', '', '-1', '0x50', '8 0'])
      expect((await at.browser().go(`${pageOf(socket)}?port=${encodeURIComponent(port)}`)).status).toBe(404)
  })

  test('who is not on the list gets a page, as does somebody who asks for a socket that is not there', async () => {
    at.oidc.person = EVE
    const denied = await press(at.browser(), pageOf(socket), 'allow')
    expect([denied.status, denied.body.includes('eve@elsewhere.test')]).toEqual([403, true])
    const missing = await at.browser().go(`https://${API}/mtls-ca/socket/none-such-1.${ZONE}/auth?port=45678`)
    const plain = (page: Visit, host: string): string => page.body.replaceAll(host, 'HOST').replace(/wish=[^"]+/, 'wish')
    expect([missing.status, plain(missing, `none-such-1.${ZONE}`)]).toEqual([403, plain(denied, socket.dnsName)])
  })

  test('is not made to say yes by another site', async () => {
    const browser = at.browser()
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]) {
      const { status, url } = await press(browser, pageOf(socket), 'allow', headers)
      expect([status, url.includes('token')]).toEqual([403, false])
    }
  })
})

describe('the port', () => {
  test('is closed to whoever shows no certificate, that of somebody else, or that of another socket', async () => {
    expect(await say(socket)).toBe('closed')
    await until(() => lines().some(({ error }) => error === 'VISITOR_REQUIRED'))
    // By an authority that has nothing to do with it, with the very names.
    const good = await certificateOf(socket)
    const { subjectAltName } = new X509Certificate(good)
    const names = subjectAltName!.split(', ').map(name => name.slice(name.indexOf(':') + 1))
    const forged = await mintServer([], undefined, { purpose: 'client', commonName: 'ada@example.io' })
    expect(names).toHaveLength(2)
    expect(await say(socket, forged.certificatePem, forged.privateKeyPem)).toBe('closed')
    expect(await say(other, good)).toBe('closed')
    await until(() => lines().some(({ error, reason }) => error === 'VISITOR_FORBIDDEN' && reason === 'the login was for another socket'))
  })

  test('lets somebody go on for as long as they are on the list and logged in, and cuts them then', async () => {
    const certificate = await certificateOf(socket)
    const tls = await dial(socket, certificate)
    tls.write('one')
    expect(await within(heard(tls), 'an answer')).toBe('one')
    await allow({ emails: ['bob@example.io'], domains: [] })
    expect(await say(socket, certificate)).toBe('closed')
    // The next look: all are looked at when one was ended.
    at.visitors.revocations.add([{ kind: 'session', atMs: Date.now(), id: 'somebody else' }])
    expect(await within(heard(tls), 'the end')).toBe('closed')
    await allow(PEOPLE)
    const again = await dial(socket, certificate)
    again.write('two')
    expect(await within(heard(again), 'an answer')).toBe('two')
    at.visitors.revocations.add([{ kind: 'email', atMs: Date.now() + 1, email: 'ada@example.io' }])
    expect(await within(heard(again), 'the end')).toBe('closed')
    expect(await say(socket, certificate)).toBe('closed')
    await until(() => lines().some(({ error, visitor }) => error === 'VISITOR_SESSION_OVER' && visitor === 'ada@example.io'))
    at.aheadMs = 5_000 // the next login is after the end of those before
  })

  test('believes the authority of before after a rotation, and nobody after two that keep nothing', async () => {
    const certificate = await certificateOf(socket)
    const rotate = async (keepsPrevious: boolean): Promise<void> => {
      const { store, secretsKey, clock } = api.given
      const before = directory.snapshot().authorities
      await rotateSecrets(store, secretsKey, { purposes: ['visitor-ca'], keepsPrevious, now: clock.now() })
      await until(() => directory.snapshot().authorities !== before, { what: 'other authorities' })
    }
    await rotate(true)
    expect(await say(socket, certificate)).toBe('hello')
    expect(await say(socket, await certificateOf(socket))).toBe('hello')
    await rotate(false)
    await until(async () => (await say(socket, certificate)) === 'closed', { what: 'a port that does not believe it any more' })
    expect(await say(socket, await certificateOf(socket))).toBe('hello')
  })
})

describe('a token', () => {
  test('is for its socket, and nobody makes one up', async () => {
    const token = await tokenOf(socket)
    const ask = async (path: string, given: string, body: object = { csr: CSR }) => (await post(path, given, body)).status
    const path = `/mtls-ca/socket/${socket.dnsName}/csr`
    expect(await ask(path, token)).toBe(200)
    expect(await ask(`/mtls-ca/socket/${other.dnsName}/csr`, token)).toBe(403)
    expect(await ask(`/mtls-ca/socket/none-such-1.${ZONE}/csr`, token)).toBe(403)
    const [header = '', payload = '', proof = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    const changed = Buffer.from(JSON.stringify({ ...claims, user_email: 'eve@elsewhere.test' })).toString('base64url')
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url')
    for (const forged of [
      '',
      'x',
      `${header}.${changed}.${proof}`,
      `${header}.${payload}.`,
      `${none}.${payload}.`,
      `${token}.x`,
      'a.b.c',
      api.tokens.ada,
    ])
      expect(await ask(path, forged)).toBe(401)
    expect(await ask(path, token, { csr: 'nothing' })).toBe(400)
    expect(await ask(path, token, {})).toBe(400)
    at.visitors.revocations.add([{ kind: 'account', atMs: Date.now() + at.aheadMs + 1, provider: 'company', subject: 'ada' }])
    expect(await ask(path, token)).toBe(401)
    at.aheadMs += 5_000
  })

  test('gives a certificate for SSH, whose authority the socket shows to its owner', async () => {
    const { json } = await post(`/mtls-ca/socket/${socket.dnsName}/ssh`, await tokenOf(socket), {
      ssh_public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJCNRrGTBqVrG0Y5JnJmJjAQTX3oVnCkcMXsE4iCV5gI',
    })
    const line = json['signed_ssh_cert']!
    const bytes = Buffer.from(line.split(' ')[1]!, 'base64').toString('latin1')
    for (const name of ['ssh-ed25519-cert-v01@openssh.com', 'mysocket_ssh_signed', 'ada@example.io']) expect(bytes).toContain(name)
    const { json: old } = await api.old('GET', `/socket/${socket.id}`)
    const [type, blob] = (old as { ssh_ca: string }).ssh_ca.split(' ')
    expect([type, bytes.includes(Buffer.from(blob!, 'base64').toString('latin1'))]).toEqual(['ssh-ed25519', true])
  })

  test('of the last clients is for all sockets of the owner, as far as their lists go', async () => {
    const token = await tokenOf(socket, '/api/v1')
    const { status, json } = await post('/api/v1/organizations/csr', token, { csr: CSR })
    expect(status).toBe(200)
    expect(await say(socket, json['client_certificate'])).toBe('hello')
    expect(await say(other, json['client_certificate'])).toBe('hello')
    const resource = await at
      .browser()
      .send(`https://${API}/api/v1/client/resource/${other.dnsName}`, { headers: { 'x-access-token': token } })
    expect(JSON.parse(resource.body)).toMatchObject({ socket_ports: other.ports, domains: [other.dnsName] })
    const without = await at.browser().send(`https://${API}/api/v1/client/resource/${other.dnsName}`, { headers: { 'x-access-token': '' } })
    expect(without.status).toBe(401)
    await allow({ emails: ['bob@example.io'], domains: [] })
    expect(await say(socket, json['client_certificate'])).toBe('closed')
  })
})
