/** What the client of 2021 sends and needs (Go, 0efd9e3), and what scripts in Python read. */
import { describe, expect, test } from '@jest/globals'
import { compatibleAccount, compatibleSocket, compatibleTunnel } from '../../src/api/compatible-schema.ts'
import { addSocket } from '../support/stores.ts'
import { newKeyLine, PASSWORD, startApi } from '../support/api.ts'

const api = await startApi({ clientVersion: () => 'v1.0-9-g0efd9e3' })
const USER = api.ids.ada.replaceAll('-', '')
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** As net/http of Go sends it: the body `null` with every call that has none. */
const go = (method: string, path: string, body: unknown = null) =>
  api.old(method, path, { raw: JSON.stringify(body), headers: { 'User-Agent': 'Go-http-client/1.1', 'Accept-Encoding': 'gzip' } })

/** Every member that the client marshals, in its order. */
const socketOf = (name: string, more: Record<string, unknown> = {}) => ({
  name,
  protected_socket: false,
  protected_username: '',
  protected_password: '',
  ...more,
})

describe('the compatible dialect', () => {
  test('account create, the link of the mail, login, account show', async () => {
    const key = `${newKeyLine()} eve@lan`
    const account = { name: 'Eve', email: 'eve@example.com', password: PASSWORD, sshkey: `${key}\n` }
    const created = await api.old('POST', '/user', { token: null, body: account })
    expect([created.status, created.json]).toEqual([200, { message: expect.any(String) }])
    const credentials = { token: null, body: { email: 'eve@example.com', password: PASSWORD } }
    expect((await api.old('POST', '/login', credentials)).status).toBe(401)

    const link = `/user/confirm/${await api.given.tokenFor('eve@example.com')}`
    // Scanners of mails ask for the head of each link.
    expect((await api.old('HEAD', link, { token: null })).status).toBe(405)
    const confirmed = await api.old('GET', link, { token: null, headers: { Accept: 'text/html' } })
    expect([confirmed.status, confirmed.text]).toEqual([200, '"You have confirmed your account. Thanks!"'])
    expect(confirmed.headers.get('content-type')).toBe('application/json; charset=utf-8')
    const again = await api.old('GET', link, { token: null })
    expect([again.status, again.json]).toMatchObject([404, { error: 'NOT_FOUND', error_message: expect.stringContaining('sign up again') }])

    const login = await api.old('POST', '/login', credentials)
    expect([login.status, Object.keys(login.json as object)]).toEqual([200, ['token']])
    const { token } = login.json as { token: string }
    // The client reads the claim `user_id`, the controller of Kubernetes `exp` too.
    const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { user_id: string; exp: number }
    expect(claims.user_id).toMatch(UUID)
    expect(claims.exp - Math.floor(api.given.clock.now() / 1000)).toBe(300 * 60)

    const shown = await api.old('GET', `/user/${claims.user_id}`, { token, raw: 'null' })
    expect(shown.status).toBe(200)
    expect(compatibleAccount.strict().parse(shown.json)).toEqual({
      name: 'Eve',
      email: 'eve@example.com',
      user_id: claims.user_id,
      user_name: claims.user_id.replaceAll('-', ''),
      sshkey: key,
    })
    const renewed = await api.old('POST', '/login/refresh', { token, body: {} })
    expect([renewed.status, Object.keys(renewed.json as object)]).toEqual([200, ['token']])
    expect((await api.old('GET', `/user/${api.ids.bob}`, { token })).status).toBe(404)
  })

  test('account create without a key, as clients do since 2021-03', async () => {
    const body = { name: 'Mallory', email: 'mallory@example.com', password: PASSWORD, sshkey: '' }
    expect((await api.old('POST', '/user', { token: null, body })).status).toBe(200)
  })

  test('socket create, ls, show, delete', async () => {
    const created = await go('POST', '/socket', socketOf('my test service', { socket_type: 'http' }))
    expect(created.status).toBe(200)
    const socket = compatibleSocket.strict().parse(created.json)
    expect(socket).toMatchObject({
      name: 'my test service',
      dnsname: expect.stringMatching(/^[a-z]+-[a-z]+-\d+\.edge\.example\.com$/),
      socket_type: 'http',
      socket_tcp_ports: [80, 443],
      cloud_authentication_enabled: false,
      user_name: USER,
      tunnels: [],
    })
    expect(socket.socket_id).toMatch(UUID)
    for (const path of ['/connect', '/socket']) {
      const list = await go('GET', path)
      expect([list.status, list.json]).toEqual([200, [socket]])
    }
    expect((await go('GET', `/socket/${socket.socket_id}`)).json).toEqual(socket)
    const deleted = await go('DELETE', `/socket/${socket.socket_id}`)
    expect([deleted.status, deleted.text]).toEqual([204, ''])
    expect((await go('GET', '/connect')).json).toEqual([])
  })

  test('the ports of a socket are those of its URL, where the gateway does not have the usual ones', async () => {
    const other = await startApi({ urlOf: ({ dnsName }) => `http://${dnsName}:3000` })
    const created = await other.old('POST', '/socket', { body: { name: 'web', socket_type: 'http' } })
    expect(compatibleSocket.parse(created.json).socket_tcp_ports).toEqual([3000])
    expect((await other.v1('GET', '/sockets')).json).toMatchObject({ items: [{ ports: [3000] }] })
  })

  test('a socket with a name and a type only, as scripts send it, has a port that is an integer', async () => {
    const created = await api.old('POST', '/socket', { body: { name: 'ssh', socket_type: 'tcp' } })
    expect(created.status).toBe(200)
    const [port] = compatibleSocket.parse(created.json).socket_tcp_ports
    expect(created.text).toContain(`"socket_tcp_ports":[${port}]`)
    expect(port).toBeGreaterThanOrEqual(40_000)
  })

  test('connect: a socket with exactly one tunnel that goes a day after its last connection', async () => {
    const created = await go('POST', '/connect', socketOf('demo'))
    expect(created.status).toBe(200)
    const socket = compatibleSocket.strict().parse(created.json)
    expect(socket.tunnels).toEqual([{ tunnel_id: expect.stringMatching(UUID), local_port: 6000, tunnel_server: '' }])
    expect(api.seen.at(-1)).toMatchObject(['sockets.connect', {}, { name: 'demo', ephemeralMs: 86_400_000 }])
    await go('DELETE', `/socket/${socket.socket_id}`)
  })

  test('the name and the password of a protected socket come back with the reply that made it, and no other', async () => {
    const request = socketOf('secret', { protected_socket: true, protected_username: 'u', protected_password: 'pass word' })
    const socket = compatibleSocket.parse((await go('POST', '/socket', request)).json)
    expect(socket).toMatchObject({ protected_socket: true, protected_username: 'u', protected_password: 'pass word' })
    expect((await go('GET', `/socket/${socket.socket_id}`)).json).toMatchObject({ protected_username: 'u', protected_password: '' })
  })

  test('lists of visitors have the spelling of the wire', async () => {
    const lists = {
      cloud_authentication_enabled: true,
      cloud_authentication_email_allowed_addressses: ['ada@example.com'],
      cloud_authentication_email_allowed_domains: ['', 'example.com'],
    }
    const socket = compatibleSocket.parse((await go('POST', '/socket', socketOf('for us', lists))).json)
    expect(socket).toMatchObject({ ...lists, cloud_authentication_email_allowed_domains: ['example.com'] })
  })

  test('a service may speak another protocol and have a host of its own, as clients say since 2021-11', async () => {
    const upstream = { upstream_http_hostname: 'app.internal', upstream_type: 'https' }
    const created = compatibleSocket.strict().parse((await go('POST', '/socket', socketOf('up', upstream))).json)
    expect(created).toMatchObject(upstream)
    expect(api.seen.at(-1)).toMatchObject(['sockets.create', {}, { upstream: { protocol: 'https', hostname: 'app.internal' } }])
    expect((await go('GET', `/socket/${created.socket_id}`)).json).toMatchObject(upstream)
    const connected = compatibleSocket.parse((await go('POST', '/connect', socketOf('up', { upstream_type: 'HTTP' }))).json)
    expect(connected).toMatchObject({ upstream_type: 'http', upstream_http_hostname: '' })
    // Empty is absent.
    const without = socketOf('up', { upstream_http_hostname: '', upstream_type: '', upstream_username: '', upstream_password: '' })
    expect((await go('POST', '/socket', without)).json).toMatchObject({ upstream_type: '', upstream_http_hostname: '' })
  })

  test.each([
    ['upstream_type', { upstream_type: 'postgres' }],
    ['upstream_type', { socket_type: 'tls', upstream_type: 'https' }],
    ['upstream_http_hostname', { upstream_http_hostname: 'http://app.internal/' }],
    // A login that nobody would use.
    ['upstream_username', { upstream_username: 'root' }],
    ['upstream_password', { upstream_password: 'sesame' }],
  ])('a wrong %s is refused by its name: %j', async (path, more) => {
    const { status, json, text } = await go('POST', '/socket', socketOf('up', more))
    expect([status, json]).toMatchObject([400, { error: 'INVALID', details: [{ path }] }])
    expect(text).not.toMatch(/root|sesame/)
  })

  test('tunnel create, ls, the look-up before a connection, signkey, delete', async () => {
    const { socket_id: id } = compatibleSocket.parse((await go('POST', '/socket', socketOf('tunnels'))).json)
    const created = await go('POST', `/socket/${id}/tunnel`, {})
    expect(created.status).toBe(200)
    const tunnel = compatibleTunnel.strict().parse(created.json)
    expect((await go('GET', `/socket/${id}/tunnel`)).json).toEqual([tunnel])
    // Only the token: no body, no type.
    const lookUp = await fetch(`${api.url}/socket/${id}/tunnel/${tunnel.tunnel_id}`, { headers: { 'x-access-token': api.tokens.ada } })
    expect([lookUp.status, await lookUp.json()]).toEqual([200, tunnel])
    const signed = await go('POST', `/socket/${id}/tunnel/${tunnel.tunnel_id}/signkey`, { ssh_public_key: newKeyLine() })
    expect([signed.status, signed.json]).toEqual([
      200,
      { signed_ssh_cert: expect.stringMatching(/^ssh-ed25519-cert-v01@openssh\.com [\w+/=]+/) },
    ])
    const deleted = await go('DELETE', `/socket/${id}/tunnel/${tunnel.tunnel_id}`)
    expect([deleted.status, deleted.text]).toEqual([204, ''])
    expect((await go('GET', `/socket/${id}/tunnel`)).json).toEqual([])
  })

  test('the type of a socket may be in capitals or empty, and numbers are no text', async () => {
    expect((await api.old('POST', '/socket', { body: { name: 'x', socket_type: 'HTTPS' } })).json).toMatchObject({ socket_type: 'https' })
    expect((await api.old('POST', '/socket', { body: { name: 'x', socket_type: '' } })).json).toMatchObject({ socket_type: 'http' })
    expect((await api.old('POST', '/socket', { body: { name: 'x', socket_type: 7 } })).status).toBe(400)
  })

  test('the list has every socket, however many pages the rules make of it', async () => {
    const { given, ids, old } = await startApi()
    for (let i = 0; i < 120; i++) await addSocket(given.store.db, ids.ada, { name: String(i), created_at: i, settings: '{}' })
    const list = (await old('GET', '/connect')).json as { name: string }[]
    expect(list.map(({ name }) => name)).toEqual(Array.from({ length: 120 }, (_each, i) => String(i)))
  })

  test('the download host says the latest version, which login asks for', async () => {
    const answer = await api.old('GET', '/latest_version.txt', { token: null })
    expect([answer.status, answer.text.trim(), answer.headers.get('content-type')]).toEqual([
      200,
      'v1.0-9-g0efd9e3',
      'text/plain; charset=utf-8',
    ])
  })
})
