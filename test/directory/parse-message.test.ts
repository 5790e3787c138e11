import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseDirectoryMessage } from '../../src/directory/parse-message.ts'
import { changeOf, grantedKey, idOf, socketOf, tunnelOf } from '../support/directory.ts'

const { granted } = grantedKey({ tunnelId: tunnelOf(1) })

describe('a message of the service process', () => {
  test('comes out as it went in, without what nobody knows', () => {
    const tcp = socketOf(2, { type: 'tls', port: 40_000, proxyProtocol: 2, visitors: { emails: [], domains: [], groups: ['ops'] } })
    const endedLogins = [{ accountId: idOf(1, 2), atMs: 1_000 }]
    const change = changeOf({
      sockets: [socketOf(1), tcp],
      keys: [granted],
      removedSockets: [idOf(9)],
      endedTunnels: [tunnelOf(9)],
      endedLogins,
    })
    const sent = { ...change, more: true, sockets: change.sockets.map(socket => ({ ...socket, secret: 'x' })) }
    expect(parseDirectoryMessage(JSON.parse(JSON.stringify(sent)))).toEqual(change)
    const snapshot = { type: 'snapshot', seq: 7, sockets: [], keys: [], endedLogins }
    expect(parseDirectoryMessage(snapshot)).toEqual(snapshot)
    // The file of an earlier release.
    const { endedLogins: _, ...earlier } = snapshot
    expect(parseDirectoryMessage(earlier)).toEqual({ ...snapshot, endedLogins: [] })
  })

  test.each([
    ['an id that is none', { id: '../1' }],
    ['a name of another form', { dnsName: 'S1.edge.example.com' }],
    ['an address as a name', { dnsName: '127.0.0.1' }],
    ['a wildcard', { dnsName: '*.edge.example.com' }],
    ['a domain with a port', { customDomains: ['a.example:80'] }],
    ['a type that nobody knows', { type: 'ssh' }],
    ['a TCP socket without a port', { type: 'tcp' }],
    ['a tunnel by the name of an inner layer', { tunnelIds: ['vm'] }],
    ['a PROXY protocol of no version', { proxyProtocol: 0 }],
    ['another way to ask its service that is none', { upstream: {} }],
    ['a protocol of its service that is none', { upstream: { protocol: 'ftp' } }],
    ['a host of its service that is none', { upstream: { hostname: 'a b' } }],
    ['a host of its service with a field in it', { upstream: { hostname: 'a.example\r\nX: y' } }],
    ['a host of its service of another spelling', { upstream: { hostname: 'App.example' } }],
    ['a way to ask a service that speaks no HTTP', { type: 'tcp', port: 1, upstream: { protocol: 'http' } }],
    ['no limits', { limits: undefined }],
    ['a rate of nothing', { limits: { requestsPerSecond: 0, concurrency: 1, maxConnections: 1 } }],
    ['a user with a colon', { password: { user: 'a:b', hash: '$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA' } }],
    ['a password in the clear', { password: { user: 'a', hash: 'secret' } }],
    ['groups that are no list', { visitors: { emails: [], domains: ['b.example'], groups: 'ops' } }],
    ['visitors that are no lists', { visitors: { emails: 'a@b.example', domains: [] } }],
  ])('with %s is refused, and says nothing that it holds', (_, wrong) => {
    const message = changeOf({ sockets: [{ ...socketOf(1), ...wrong } as never] })
    expect(() => parseDirectoryMessage(message)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(() => parseDirectoryMessage(message)).toThrow(/^a message of the service process: [^"$]*$/)
  })

  test.each([
    ['a tunnel that is no id', { tunnelId: 'vm' }],
    ['no identifiers where it is for no tunnel', { tunnelId: null, identifiers: null }],
    ['an identifier that cannot be seen', { tunnelId: null, identifiers: ['a\u200bb'] }],
    ['an end that is no time', { expiresAt: 'tomorrow' }],
  ])('with a key with %s is refused', (_, wrong) => {
    expect(() => parseDirectoryMessage(changeOf({ keys: [{ ...granted, ...wrong } as never] }))).toThrow('a message of the service process')
  })

  test.each([{ accountId: 'ada', atMs: 1 }, { accountId: idOf(1), atMs: -1 }, { accountId: idOf(1), atMs: 'now' }, null])(
    'with an end of logins that is none is refused: %j',
    wrong => {
      expect(() => parseDirectoryMessage(changeOf({ endedLogins: [wrong as never] }))).toThrow('a message of the service process')
    },
  )

  test('that is anything else is refused with the same code', () => {
    fc.assert(
      fc.property(fc.anything(), value => {
        expect(() => parseDirectoryMessage(value)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
      }),
    )
  })
})
