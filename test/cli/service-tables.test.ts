/** The tables of the manual of 2021, to the character. */
import { describe, expect, test } from '@jest/globals'
import { formatAccount, formatSocket, formatSockets, formatTunnels } from '../../src/cli/tables/service-tables.ts'
import { DEFAULT_LIMITS } from '../../src/service/config.ts'
import type { Account, Socket, Tunnel } from '../../src/service/model.ts'

const socketOf = (line: string, more: Partial<Socket> = {}): Socket => {
  const [id = '', dnsName = '', ports = '', type = '', cloud = '', name = ''] = line
    .split('│')
    .slice(1, -1)
    .map(cell => cell.trim())
  return {
    id,
    accountId: 'a',
    name,
    type: type as Socket['type'],
    dnsName,
    customDomains: [],
    ports: ports.split(', ').map(Number),
    password: null,
    visitors: cloud === 'true' ? { emails: [], domains: [] } : null,
    balance: 'least',
    inspect: false,
    proxyProtocol: null,
    upstream: null,
    limits: { requestsPerSecond: 100, concurrency: 200, maxConnections: 100 },
    isEphemeral: false,
    state: 'active',
    tunnels: [],
    createdAt: 0,
    updatedAt: 0,
    etag: '1',
    ...more,
  }
}

const tunnelOf = (socketId: string, id: string, relayPort: number, server = ''): Tunnel => ({
  id,
  socketId,
  relayPort,
  server,
  isConnected: false,
  connectedFrom: null,
  lastConnectedAt: null,
  createdAt: 0,
})

/** The lines of a table, without the indentation of this file. */
const table = (text: string): string =>
  `${text
    .trim()
    .split('\n')
    .map(line => line.trim())
    .join('\n')}\n`
/** Lines of the table that are rows. */
const rowsOf = (text: string): readonly string[] => text.split('\n').slice(3, -2)

const CONNECT = table(`
┌──────────────────────────────────────┬────────────────────────────────────┬─────────┬──────┬────────────┬─────────────────┐
│ SOCKET ID                            │ DNS NAME                           │ PORT(S) │ TYPE │ CLOUD AUTH │ NAME            │
├──────────────────────────────────────┼────────────────────────────────────┼─────────┼──────┼────────────┼─────────────────┤
│ db39a501-1010-4b5a-842d-bb6fe1fe4e2d │ twilight-sky-7409.edge.mysocket.io │ 80, 443 │ http │ false      │ my test service │
└──────────────────────────────────────┴────────────────────────────────────┴─────────┴──────┴────────────┴─────────────────┘`)
const LIST = table(`
┌──────────────────────────────────────┬──────────────────────────────────────────┬─────────┬───────┬────────────┬──────────────────────────┐
│ SOCKET ID                            │ DNS NAME                                 │ PORT(S) │ TYPE  │ CLOUD AUTH │ NAME                     │
├──────────────────────────────────────┼──────────────────────────────────────────┼─────────┼───────┼────────────┼──────────────────────────┤
│ cc1bfd68-cca7-49ce-b1d8-e4495a43796e │ dry-darkness-1814.edge.mysocket.io       │ 80, 443 │ http  │ false      │ Local port 8000          │
│ c28bcd15-7e35-4090-b228-8d154841b699 │ green-silence-145.edge.mysocket.io       │ 80, 443 │ http  │ false      │ Local port 8888          │
│ d60ca2a1-7215-4a7b-985d-c099ac6d1293 │ polished-mountain-1373.edge.mysocket.io  │ 80, 443 │ http  │ false      │ Local port 8888          │
│ 932b9fab-6d01-4468-84bb-5a1e69170432 │ restless-voice-3146.edge.mysocket.io     │ 80, 443 │ http  │ false      │ Local port 8888          │
│ 69fd1375-313b-4737-bcea-fda60e831f47 │ rough-bush-1794.edge.mysocket.io         │ 80, 443 │ https │ false      │ string                   │
│ 72415de0-65b2-4bb7-b477-96f6ce3603c2 │ ancient-dust-7286.edge.mysocket.io       │ 54858   │ tls   │ false      │ ssh over tls test        │
│ 60d5b3f6-a6fc-4b52-82bf-7538ee18d172 │ empty-snow-8262.edge.mysocket.io         │ 80, 443 │ http  │ false      │ Local port 80            │
│ de306718-3315-4445-b9e6-e68fe5cf45d7 │ delicate-waterfall-6975.edge.mysocket.io │ 80, 443 │ http  │ false      │ my local http service    │
│ 818f3cf8-1ed8-4fbc-af41-3fa6054d5b6b │ snowy-sea-4481.edge.mysocket.io          │ 80, 443 │ http  │ false      │ my local http service    │
│ fab1357d-acfb-4735-ae4f-0dceb9fcb0ce │ wispy-snowflake-5908.edge.mysocket.io    │ 80, 443 │ http  │ true       │ My Identity aware socket │
└──────────────────────────────────────┴──────────────────────────────────────────┴─────────┴───────┴────────────┴──────────────────────────┘`)
const PROTECTED = table(`
┌──────────────────────────────────────┬─────────────────────────────────┬─────────┬──────┬────────────┬───────────────────────┐
│ SOCKET ID                            │ DNS NAME                        │ PORT(S) │ TYPE │ CLOUD AUTH │ NAME                  │
├──────────────────────────────────────┼─────────────────────────────────┼─────────┼──────┼────────────┼───────────────────────┤
│ 818f3cf8-1ed8-4fbc-af41-3fa6054d5b6b │ snowy-sea-4481.edge.mysocket.io │ 80, 443 │ http │ false      │ my local http service │
└──────────────────────────────────────┴─────────────────────────────────┴─────────┴──────┴────────────┴───────────────────────┘`)
const LOGIN = table(`
┌──────────┬──────────┐
│ USERNAME │ PASSWORD │
├──────────┼──────────┤
│ john     │ secret   │
└──────────┴──────────┘`)
const CLOUD = table(`
┌──────────────────────────────────────┬───────────────────────────────────────┬─────────┬──────┬────────────┬──────────────────────────┐
│ SOCKET ID                            │ DNS NAME                              │ PORT(S) │ TYPE │ CLOUD AUTH │ NAME                     │
├──────────────────────────────────────┼───────────────────────────────────────┼─────────┼──────┼────────────┼──────────────────────────┤
│ fab1357d-acfb-4735-ae4f-0dceb9fcb0ce │ wispy-snowflake-5908.edge.mysocket.io │ 80, 443 │ http │ true       │ My Identity aware socket │
└──────────────────────────────────────┴───────────────────────────────────────┴─────────┴──────┴────────────┴──────────────────────────┘`)
// The manual has another address in its first row than the one that the widths were made for.
const ALLOWED = table(`
┌─────────────────────────┬───────────────────────┐
│ ALLOWED EMAIL ADDRESSES │ ALLOWED EMAIL DOMAINS │
├─────────────────────────┼───────────────────────┤
│ andree@example.io       │ mycorp.com            │
│ john@doe.com            │                       │
└─────────────────────────┴───────────────────────┘`)
const TUNNELS = table(`
┌──────────────────────────────────────┬──────────────────────────────────────┬───────────────┬────────────┐
│ SOCKET ID                            │ TUNNEL ID                            │ TUNNEL SERVER │ RELAY PORT │
├──────────────────────────────────────┼──────────────────────────────────────┼───────────────┼────────────┤
│ 818f3cf8-1ed8-4fbc-af41-3fa6054d5b6b │ 3fc93b24-c5b1-4c30-9427-ae6b5738224d │               │       7295 │
│ 818f3cf8-1ed8-4fbc-af41-3fa6054d5b6b │ f0bc2e7f-e22d-4ac0-94ae-ccf5160c0a12 │               │       7296 │
└──────────────────────────────────────┴──────────────────────────────────────┴───────────────┴────────────┘`)
const ACCOUNT = table(`
┌──────────────┬──────────────────────────────────────────────────────────────────────────────────┐
│ Name         │ Andree Toonk                                                                     │
│ Email        │ blabla@gmail.com                                                                 │
│ User ID      │ addce6c8-cb8d-4ce5-228e-a8fe097434b9                                             │
│ SSH Username │ addce6c8cb8d4ce5228ea8fe097434b9                                                 │
│ SSH Key      │ ssh-rsa  <your public key....SNIP TOO lONG>                                      │
└──────────────┴──────────────────────────────────────────────────────────────────────────────────┘`)

describe('tables of the manual of 2021', () => {
  test('socket create', () => {
    expect(formatSocket(socketOf(rowsOf(CONNECT)[0]!))).toBe(CONNECT)
  })

  test('socket ls', () => {
    expect(formatSockets(rowsOf(LIST).map(line => socketOf(line)))).toBe(LIST)
  })

  test('a socket with a password', () => {
    const socket = socketOf(rowsOf(PROTECTED)[0]!, { password: { user: 'john', password: 'secret' } })
    expect(formatSocket(socket)).toBe(`${PROTECTED}\nProtected Socket:\n${LOGIN}`)
  })

  test('a socket with cloud authentication', () => {
    const visitors = { emails: ['andree@example.io', 'john@doe.com'], domains: ['mycorp.com'] }
    expect(formatSocket(socketOf(rowsOf(CLOUD)[0]!, { visitors }))).toBe(`${CLOUD}\nCloud Authentication, login details:\n${ALLOWED}`)
  })

  test('a socket whose service is asked in another way, as the client of 2022 shows it', () => {
    const options = table(`
┌───────────────┬───────────────────┐
│ UPSTREAM TYPE │ UPSTREAM HOSTNAME │
├───────────────┼───────────────────┤
│ https         │ app.internal      │
└───────────────┴───────────────────┘`)
    const upstream = { protocol: 'https', hostname: 'app.internal' } as const
    expect(formatSocket(socketOf(rowsOf(CONNECT)[0]!, { upstream }))).toBe(`${CONNECT}\nHTTP Options:\n${options}`)
  })

  test('tunnel ls', () => {
    const [socket, first, second] = [
      '818f3cf8-1ed8-4fbc-af41-3fa6054d5b6b',
      '3fc93b24-c5b1-4c30-9427-ae6b5738224d',
      'f0bc2e7f-e22d-4ac0-94ae-ccf5160c0a12',
    ]
    expect(formatTunnels([tunnelOf(socket, first, 7295), tunnelOf(socket, second, 7296)])).toBe(TUNNELS)
  })

  test('account show', () => {
    const account: Account = {
      id: 'addce6c8-cb8d-4ce5-228e-a8fe097434b9',
      name: 'Andree Toonk',
      email: 'blabla@gmail.com',
      role: 'user',
      state: 'active',
      limits: {},
      limitsInForce: DEFAULT_LIMITS,
      createdAt: 0,
      confirmedAt: 0,
    }
    const line = 'ssh-rsa  <your public key....SNIP TOO lONG>'.padEnd(80)
    const key = { id: 'k', fingerprint: '', algorithm: '', line, comment: '', createdAt: 0 }
    expect(formatAccount(account, [key])).toBe(ACCOUNT)
    expect(formatAccount(account, []).split('\n')[5]).toMatch(/^│ SSH Key +│ +│$/)
    expect(
      formatAccount(account, [{ ...key, line: 'x'.repeat(161) }])
        .split('\n')
        .slice(5, 8),
    ).toEqual([`│ SSH Key      │ ${'x'.repeat(80)} │`, `│              │ ${'x'.repeat(80)} │`, `│              │ x${' '.repeat(79)} │`])
  })
})

describe('what scripts rely on', () => {
  const id = 'db39a501-1010-4b5a-842d-bb6fe1fe4e2d'
  const socket = socketOf(rowsOf(CONNECT)[0]!, { id })

  test('the fourth line is the first row, its second field the id of the socket, the fourth that of the tunnel', () => {
    expect(formatSocket(socket).split('\n')[3]!.split(/\s+/)[1]).toBe(id)
    const [, socketId, , tunnelId] = formatTunnels([tunnelOf(id, 'f0bc2e7f-e22d-4ac0-94ae-ccf5160c0a12', 6000)])
      .split('\n')[3]!
      .split(/\s+/)
    expect([socketId, tunnelId]).toEqual([id, 'f0bc2e7f-e22d-4ac0-94ae-ccf5160c0a12'])
  })

  test('a name cannot break the table or reach the terminal', () => {
    const evil = 'a\nb\r│\u001b[2Jc\u202ed\u0085'
    const text = formatSockets([{ ...socket, name: evil }])
    expect(text.split('\n')).toHaveLength(6)
    expect(/[^\P{C}\n]/u.test(text)).toBe(false)
    expect(text).toContain(String.raw`a\u{a}b\u{d}│\u{1b}[2Jc\u{202e}d\u{85}`)
  })

  test('wide letters keep the columns', () => {
    const lines = formatSockets([
      { ...socket, name: '測試' },
      { ...socket, name: 'ab' },
    ]).split('\n')
    expect(lines[3]!.endsWith('│ 測試 │')).toBe(true)
    expect(lines[4]!.endsWith('│ ab   │')).toBe(true)
  })
})
