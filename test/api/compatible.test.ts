/** What the client of 2021 sends and needs (Go, 0efd9e3), and what scripts in Python read. */
import { describe, expect, test } from '@jest/globals'
import { compatibleAccount, compatibleSocket, compatibleTunnel } from '../../src/api/compatible-schema.ts'
import { ACCOUNT } from '../support/service-stand-in.ts'
import { startApi } from '../support/api.ts'

const api = await startApi({ clientVersion: () => 'v1.0-9-g0efd9e3' })
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
  test('account create, login, account show', async () => {
    const account = { name: 'Ada', email: 'ada@example.com', password: 'right password', sshkey: 'ssh-ed25519 AAAA ada@lan\n' }
    const created = await api.old('POST', '/user', { token: null, body: account })
    expect(created.status).toBe(200)
    expect(created.json).toEqual({ message: expect.any(String) })
    expect(api.seen.at(-1)).toEqual([
      'signUp',
      { name: 'Ada', email: 'ada@example.com', password: 'right password', sshKey: 'ssh-ed25519 AAAA ada@lan' },
      '127.0.0.1',
    ])
    expect((await api.old('POST', '/user', { token: null, body: { ...account, sshkey: '' } })).status).toBe(200)
    expect(api.seen.at(-1)?.[1]).not.toHaveProperty('sshKey')

    const login = await api.old('POST', '/login', { token: null, body: { email: 'ada@example.com', password: 'right password' } })
    expect([login.status, login.json]).toEqual([200, { token: 'ada' }])

    const shown = await go('GET', `/user/${ACCOUNT.id}`)
    expect(shown.status).toBe(200)
    expect(compatibleAccount.strict().parse(shown.json)).toEqual({
      name: 'Ada',
      email: 'ada@example.com',
      user_id: ACCOUNT.id,
      user_name: ACCOUNT.id.replaceAll('-', ''),
      sshkey: 'ssh-ed25519 AAAA ada@lan',
    })
    expect((await go('POST', '/login/refresh', {})).json).toEqual({ token: 'ada-renewed' })
  })

  test('the link of the mail answers a JSON string once it is opened, not when a scanner of mails asks for its head', async () => {
    expect((await api.old('HEAD', '/user/confirm/right', { token: null })).status).toBe(405)
    const answer = await api.old('GET', '/user/confirm/right', { token: null, headers: { Accept: 'text/html' } })
    expect([answer.status, answer.text]).toEqual([200, '"You have confirmed your account. Thanks!"'])
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect((await api.old('GET', '/user/confirm/used', { token: null })).status).toBe(404)
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
      user_name: ACCOUNT.id.replaceAll('-', ''),
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

  test('a socket with a name and a type only, as scripts send it, has a port that is an integer', async () => {
    const created = await api.old('POST', '/socket', { body: { name: 'ssh', socket_type: 'tcp' } })
    expect(created.status).toBe(200)
    expect(compatibleSocket.parse(created.json).socket_tcp_ports).toEqual([54_858])
    expect(created.text).toContain('"socket_tcp_ports":[54858]')
  })

  test('connect: a socket with exactly one tunnel that goes a day after its last connection', async () => {
    const created = await go('POST', '/connect', socketOf('demo'))
    expect(created.status).toBe(200)
    const socket = compatibleSocket.strict().parse(created.json)
    expect(socket.tunnels).toEqual([{ tunnel_id: expect.stringMatching(UUID), local_port: expect.any(Number), tunnel_server: '' }])
    expect(api.seen.at(-1)?.[1]).toMatchObject({ name: 'demo', ephemeralMs: 86_400_000 })
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

  test('tunnel create, ls, the look-up before a connection, signkey, delete', async () => {
    const { socket_id: id } = compatibleSocket.parse((await go('POST', '/socket', socketOf('tunnels'))).json)
    const created = await go('POST', `/socket/${id}/tunnel`, {})
    expect(created.status).toBe(200)
    const tunnel = compatibleTunnel.strict().parse(created.json)
    expect((await go('GET', `/socket/${id}/tunnel`)).json).toEqual([tunnel])
    // Only the token: no body, no type.
    const lookUp = await fetch(`${api.url}/socket/${id}/tunnel/${tunnel.tunnel_id}`, { headers: { 'x-access-token': 'ada' } })
    expect([lookUp.status, await lookUp.json()]).toEqual([200, tunnel])
    const signed = await go('POST', `/socket/${id}/tunnel/${tunnel.tunnel_id}/signkey`, { ssh_public_key: 'ecdsa-sha2-nistp256 AAAA' })
    expect([signed.status, signed.json]).toEqual([200, { signed_ssh_cert: 'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA' }])
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
    const many = await startApi()
    const [first] = [await many.old('POST', '/socket', { body: { name: '0' } })]
    const template = many.sockets.get((first.json as { socket_id: string }).socket_id)!
    for (let i = 1; i < 250; i++) many.sockets.set(String(i), { ...template, id: String(i) })
    expect(((await many.old('GET', '/connect')).json as unknown[]).length).toBe(250)
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
