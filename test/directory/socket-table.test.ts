import { describe, expect, test } from '@jest/globals'
import type { DirectorySocket } from '../../src/directory/directory.ts'
import { LayeredTable, overruledIn, serviceTargets } from '../../src/directory/layered-table.ts'
import { SocketTable } from '../../src/directory/socket-table.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { changeOf, grantedKey, idOf, socketOf, tunnelOf, ZONE } from '../support/directory.ts'

const create = (): SocketTable => new SocketTable({ zone: ZONE, ports: { from: 40_000, to: 40_100 } })
const put = (table: SocketTable, ...sockets: DirectorySocket[]) => table.apply(changeOf({ sockets }))
const HASH = '$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA'

describe('the sockets in force', () => {
  test('are targets of their own, whose inner layers are their tunnels', () => {
    const table = create()
    put(table, socketOf(1), socketOf(2, { type: 'https' }))
    expect(table.match('s1.edge.example.com')?.target).toMatchObject({
      hostname: `${idOf(1)}.socket.invalid`,
      protocol: 'http',
      identifiers: [tunnelOf(1)],
      pool: 'tunnel',
      treatment: { preserveHost: true },
      owner: { socketId: idOf(1), accountId: idOf(1, 2) },
    })
    expect(table.match('s2.edge.example.com')?.target).toMatchObject({ protocol: 'https', profile: { tls: { verify: false } } })
    expect(table.match('s3.edge.example.com')).toBeUndefined()
  })

  test('are shown to whoever records for their owners where these say so, ports and tunnels as well', () => {
    const table = create()
    const [web, tcp] = [socketOf(1), socketOf(2, { type: 'tcp', port: 40_000, visitors: { emails: ['a@example.com'], domains: [] } })]
    const shown = (inspect?: true): unknown[] => {
      const { effects } = put(table, { ...web, inspect }, { ...tcp, inspect })
      const [target, tunnel] = [table.match(web.dnsName)?.target, table.match(tcp.dnsName)?.tunnel]
      return [target?.isInspected, tunnel?.isInspected, effects.openedPorts.map(({ options }) => options.isInspected)]
    }
    expect(shown()).toEqual([undefined, undefined, [undefined]])
    expect(shown(true)).toEqual([true, true, [true]])
    expect(shown()).toEqual([undefined, undefined, [undefined]])
  })

  test('keep what is counted by when tunnels come and go, and only then', () => {
    const table = create()
    const first = socketOf(1, { password: { user: 'a', hash: HASH }, balance: 'round-robin' })
    const targetOf = (socket: DirectorySocket) => {
      put(table, socket)
      return table.match(socket.dnsName)!.target!
    }
    const before = targetOf(first)
    const after = targetOf({ ...first, tunnelIds: [tunnelOf(1), tunnelOf(2)] })
    expect(after).not.toBe(before)
    for (const key of ['treatment', 'balance', 'retries', 'owner'] as const) expect(after[key]).toBe(before[key])
    const slower = targetOf({ ...first, limits: { ...first.limits, requestsPerSecond: 1 } })
    expect(slower.treatment).not.toBe(before.treatment)
    expect(slower.treatment!.basicAuth).toBe(before.treatment!.basicAuth)
    expect(targetOf({ ...first, password: { user: 'b', hash: HASH } }).treatment!.basicAuth).not.toBe(before.treatment!.basicAuth)
  })

  test('end the tunnels that go, close ports, and name keys to be looked at', () => {
    const table = create()
    const { granted } = grantedKey({ tunnelId: tunnelOf(1) })
    const tcp = socketOf(1, { type: 'tcp', port: 40_000, tunnelIds: [tunnelOf(1), tunnelOf(2)] })
    const opened = table.apply(changeOf({ sockets: [tcp], keys: [granted] })).effects
    expect(opened).toMatchObject({ openedPorts: [{ options: { port: 40_000, tls: 'none' } }], closedPorts: [], endedTunnels: [] })
    expect(put(table, { ...tcp, tunnelIds: [tunnelOf(2)] }).effects.endedTunnels).toEqual([tunnelOf(1)])
    expect(put(table, { ...tcp, port: 40_001, tunnelIds: [tunnelOf(2)] }).effects).toMatchObject({
      openedPorts: [{ options: { port: 40_001 } }],
      closedPorts: [40_000],
    })
    const gone = table.apply(changeOf({ removedSockets: [tcp.id], removedKeys: [granted.kid] })).effects
    expect(gone).toEqual({
      openedPorts: [],
      closedPorts: [40_001],
      revokedKeys: [granted.kid],
      supersededKeys: [],
      endedTunnels: [tunnelOf(2)],
      endedLogins: [],
    })
    expect([table.size, table.ports, table.keys.size]).toEqual([0, [], 0])
  })

  test('a key that a newer one of its tunnel replaces is superseded, by a change and by a snapshot; any other is revoked', () => {
    const table = create()
    const keys = [1, 2, 3].map(() => grantedKey({ tunnelId: tunnelOf(1) }).granted)
    const other = grantedKey({ tunnelId: tunnelOf(2) }).granted
    const [first, second, third] = keys as [typeof other, typeof other, typeof other]
    table.apply(changeOf({ sockets: [socketOf(1), socketOf(2)], keys: [first, other] }))
    const changed = table.apply(changeOf({ removedKeys: [first.kid, other.kid], keys: [second] })).effects
    expect(changed).toMatchObject({ supersededKeys: [first.kid], revokedKeys: [other.kid] })
    expect(table.keys.get(first.kid)).toBeUndefined()
    expect(table.keys.isLeaving(first.kid, tunnelOf(1), Date.now())).toBe(true)
    expect(table.keys.isLeaving(first.kid, tunnelOf(2), Date.now())).toBe(false)
    expect(table.keys.isLeaving(first.kid, tunnelOf(1), Date.now() + 90_001)).toBe(false)
    const { seq } = changeOf({})
    const replaced = table.apply({ type: 'snapshot', seq, sockets: [socketOf(1)], keys: [third], endedLogins: [] }).effects
    expect(replaced).toMatchObject({ supersededKeys: [second.kid], revokedKeys: [] })
    // Given again, it is a key like any other, and can be revoked.
    table.apply(changeOf({ keys: [first], removedKeys: [third.kid] }))
    expect(table.apply(changeOf({ removedKeys: [first.kid] })).effects).toMatchObject({ supersededKeys: [], revokedKeys: [first.kid] })
    expect(table.keys.isLeaving(first.kid, tunnelOf(1), Date.now())).toBe(false)
  })

  test('are replaced by a snapshot in one step; what it has in it already is not taken twice', () => {
    const table = create()
    put(table, socketOf(1), socketOf(2))
    const { seq } = changeOf({})
    const { effects } = table.apply({ type: 'snapshot', seq, sockets: [socketOf(2), socketOf(3)], keys: [], endedLogins: [] })
    expect(effects.endedTunnels).toEqual([tunnelOf(1)])
    expect([1, 2, 3].map(number => table.match(`s${number}.${ZONE}`) !== undefined)).toEqual([false, true, true])
    table.apply({ ...changeOf({ removedSockets: [idOf(3)] }), seq })
    expect(table.size).toBe(2)
    expect(table.snapshot()).toEqual({ type: 'snapshot', seq, sockets: [socketOf(2), socketOf(3)], keys: [], endedLogins: [] })
  })

  test('remember which logins are over, whatever comes first, until a snapshot has them no longer', () => {
    const table = create()
    const ended = (number: number, atMs: number) => ({ accountId: idOf(number, 2), atMs })
    expect(table.apply(changeOf({ endedLogins: [ended(1, 5), ended(2, 5)] })).effects.endedLogins).toEqual([ended(1, 5), ended(2, 5)])
    expect(table.apply(changeOf({ endedLogins: [ended(1, 4)] })).effects.endedLogins).toEqual([])
    const { seq } = changeOf({})
    const snapshot = { type: 'snapshot', seq, sockets: [], keys: [], endedLogins: [ended(1, 3), ended(3, 9)] } as const
    expect(table.apply(snapshot).effects.endedLogins).toEqual([ended(3, 9)])
    expect(table.endedLogins).toEqual([ended(1, 5), ended(3, 9)])
  })

  test('are the same objects after a snapshot that says the same of them', () => {
    const table = create()
    put(table, socketOf(1), socketOf(2))
    const [first, second] = [table.get(idOf(1)), table.get(idOf(2))]
    table.apply({ type: 'snapshot', seq: 1_000_000, sockets: [socketOf(1), socketOf(2, { tunnelIds: [] })], keys: [], endedLogins: [] })
    expect(table.get(idOf(1))).toBe(first)
    expect(table.get(idOf(2))).not.toBe(second)
  })

  test.each([
    ['a name outside of the zone', { dnsName: 'www.example.com' }, /no name of the zone/],
    ['a name two labels below it', { dnsName: `a.b.${ZONE}` }, /no name of the zone/],
    ['a name that ends like the zone', { dnsName: `evil${ZONE}` }, /no name of the zone/],
    ['the name of another socket', { dnsName: `s1.${ZONE}` }, /the name of another socket/],
    ['a domain that is in the zone', { customDomains: [`x.${ZONE}`] }, /no domain of its own/],
    ['a tunnel of another socket', { tunnelIds: [tunnelOf(1)] }, /one of another socket/],
    ['a port that is none of the service', { type: 'tcp', port: 443 }, /none of the service/],
    ['the port of another socket', { type: 'tcp', port: 40_000 }, /the one of another socket/],
  ] as const)('never have %s', (_, wrong, message) => {
    const table = create()
    put(table, socketOf(1), socketOf(3, { type: 'tcp', port: 40_000 }))
    const { faults } = put(table, socketOf(2, wrong))
    expect(faults).toMatchObject([{ socketId: idOf(2), message: expect.stringMatching(message) }])
    expect([table.size, table.match(`s1.${ZONE}`)?.socket.id]).toEqual([2, idOf(1)])
  })

  test('ask for a login where only some visitors may come, by one rule as long as it says the same; ports let nobody in', () => {
    const table = create()
    const accessWith = (more: Partial<DirectorySocket>) => {
      put(table, socketOf(1, more))
      return table.match(`s1.${ZONE}`)!.target!.treatment!.access
    }
    const visitors = { emails: ['a@b.example', 'no address'], domains: ['C.example'] }
    const access = accessWith({ visitors })
    const [emails, domains] = [new Set(['a@b.example']), new Set(['c.example'])]
    expect(access).toMatchObject({ login: { emails, domains, providers: undefined, anyone: false }, tokens: false, jwt: [] })
    const limits = { requestsPerSecond: 1, concurrency: 1, maxConnections: 1 }
    expect(accessWith({ visitors: structuredClone(visitors), limits })).toBe(access)
    const others = accessWith({ visitors: { emails: [], domains: ['d.example'] }, limits })
    expect(others).not.toBe(access)
    expect(access?.ofSocket?.latest).toBe(others)
    expect(accessWith({ visitors: null })).toBeUndefined()
    expect(access?.ofSocket?.latest).toBeUndefined()
    put(table, socketOf(2, { type: 'tcp', port: 40_000, visitors }))
    expect(table.match(`s2.${ZONE}`)?.port?.admits('192.0.2.1')).toBe(false)
    expect(table.match(`s2.${ZONE}`)?.tunnel).toMatchObject({ name: `s2.${ZONE}:40000`, pool: 'tunnel', access: { login: { domains } } })
    put(table, socketOf(2, { type: 'tcp', port: 40_000 }))
    expect(table.match(`s2.${ZONE}`)?.tunnel).toBeUndefined()
  })

  test('count what they were used for, and tell it once', () => {
    const table = create()
    put(table, socketOf(1), socketOf(2))
    const { owner } = table.match(`s1.${ZONE}`)!
    owner.countRequest(1, 10)
    owner.countConnection(2, 20)
    expect(table.takeUsage()).toEqual([{ socketId: idOf(1), accountId: idOf(1, 2), requests: 1, connections: 1, bytesIn: 3, bytesOut: 30 }])
    expect(table.takeUsage()).toEqual([])
  })

  test('of ten thousand one changes in microseconds of CPU', () => {
    const table = create()
    table.apply({ type: 'snapshot', seq: 0, sockets: Array.from({ length: 10_000 }, (_, i) => socketOf(i)), keys: [], endedLogins: [] })
    const begun = process.cpuUsage()
    for (let i = 0; i < 1_000; i++) put(table, socketOf(i, { tunnelIds: [tunnelOf(i), idOf(i, 4)] }))
    const { user, system } = process.cpuUsage(begun)
    expect((user + system) / 1_000).toBeLessThan(1_000)
  })
})

describe('the table of the file with sockets in it', () => {
  const file = (hosts: readonly string[]) =>
    parseTargets(
      `targets: { ${hosts.map(host => `"${host}": { protocol: http, hostname: origin.example, port: 1 }`).join(', ')} }`,
      'by hand',
    )
  const layered = (hosts: readonly string[], ...sockets: DirectorySocket[]) => {
    const table = create()
    put(table, ...sockets)
    return new LayeredTable(file(hosts), table, serviceTargets([`api.${ZONE}`]))
  }

  test('goes: exact of the file, hosts of the service, sockets, *.x of the file, * of the file', () => {
    const table = layered([`s1.${ZONE}`, `*.${ZONE}`, '*'], socketOf(1), socketOf(2), socketOf(3, { dnsName: `api.${ZONE}` }))
    const nameOf = (host: string) => table.match(host)?.hostname
    expect(nameOf(`s1.${ZONE}`)).toBe('origin.example')
    expect(nameOf(`s2.${ZONE}`)).toBe(`${idOf(2)}.socket.invalid`)
    expect(table.match(`api.${ZONE}`)?.identifiers).toEqual(['@service'])
    expect(table.match(`other.${ZONE}`)?.name).toBe(`*.${ZONE}`)
    expect(table.match('elsewhere.example')?.name).toBe('*')
    expect(table.all.map(({ name }) => name)).toEqual([`s1.${ZONE}`, `*.${ZONE}`, '*'])
  })

  test('gives what was found no host of the service itself; what the operator wrote may have it', () => {
    const text = (keys: string) =>
      `targets: { 'API.${ZONE}.': { hostname: evil.example${keys} }, other.example: { hostname: a.example, found: docker a } }`
    const service = serviceTargets([`api.${ZONE}`])
    const table = (keys: string) => new LayeredTable(parseTargets(text(keys), 't'), create(), service)
    expect(table(', found: docker evil').match(`api.${ZONE}`)?.identifiers).toEqual(['@service'])
    expect(table(', found: docker evil').match('other.example')?.hostname).toBe('a.example')
    expect(table('').match(`api.${ZONE}`)?.hostname).toBe('evil.example')
    const overruled = (keys: string) => overruledIn(parseTargets(text(keys), 't'), service, create())
    expect(overruled(', found: docker evil').map(({ target, owner }) => [target.found, owner])).toEqual([['docker evil', 'service']])
    expect(overruled('')).toEqual([])
  })

  test('gives what was found no host of a socket, for as long as there is one', () => {
    const sockets = create()
    const targets = (keys: string) =>
      parseTargets(
        `targets: { S1.${ZONE}: { hostname: a.example${keys} }, shop.example: { hostname: b.example${keys} }, '*.corp.example': { hostname: c.example${keys} } }`,
        't',
      )
    const found = targets(', found: docker evil')
    const table = new LayeredTable(found, sockets, new Map())
    const hosts = [`s1.${ZONE}`, 'shop.example', 'x.corp.example', 'y.corp.example']
    const asked = (from: LayeredTable) => hosts.map(host => from.match(host)?.hostname)
    const theirs = ['a.example', 'b.example', 'c.example', 'c.example']
    expect(asked(table)).toEqual(theirs)
    put(sockets, socketOf(1, { customDomains: ['shop.example', 'x.corp.example'] }))
    const own = `${idOf(1)}.socket.invalid`
    expect(asked(table)).toEqual([own, own, own, 'c.example'])
    expect(overruledIn(found, new Map(), sockets).map(({ target, owner }) => [target.name, owner])).toEqual([
      [`S1.${ZONE}`, 'socket'],
      ['shop.example', 'socket'],
    ])
    // What the operator has written may have them.
    expect(asked(new LayeredTable(targets(''), sockets, new Map()))).toEqual(theirs)
    expect(overruledIn(targets(''), new Map(), sockets)).toEqual([])
    sockets.apply(changeOf({ removedSockets: [idOf(1)] }))
    expect(asked(table)).toEqual(theirs)
  })

  test('knows which names only sockets can have', () => {
    const table = layered([])
    const names = [`gone-name-1234.${ZONE}`, `a.b.${ZONE}`, ZONE, `x${ZONE}`, 'elsewhere.example', '']
    expect(names.filter(name => table.isOfSockets(name))).toEqual([`gone-name-1234.${ZONE}`])
  })

  test('gives no domain of a socket what the file has for *.x', () => {
    const table = layered(['*.corp.example', '*'], socketOf(1, { customDomains: ['shop.corp.example', 'shop.example'] }))
    expect(table.match('shop.corp.example')?.name).toBe('*.corp.example')
    expect(table.match('shop.example')?.hostname).toBe(`${idOf(1)}.socket.invalid`)
  })
})
