/** Names that are proven by updates of the DNS (RFC 2136), with BIND as the server that takes them. */
import { Resolver } from 'node:dns/promises'
import { describe, expect, test } from '@jest/globals'
import { nameBytes, readAnswer, soaQuery } from '../../src/acme/dns/dns-message.ts'
import { DnsUpdate } from '../../src/acme/dns/dns-update.ts'
import { parseTsigKey } from '../../src/acme/dns/tsig.ts'
import { startBind } from '../support/bind.ts'
import { testWith } from '../support/needs.ts'
import { PEBBLE_PROGRAMS, startPebble } from '../support/pebble.ts'
import { shownTo, startKeeping } from './keeping.ts'

const signal = new AbortController().signal

testWith([...PEBBLE_PROGRAMS, 'named'], 'a wildcard is ordered with a record that a DNS server takes by a signed update', async () => {
  const bind = await startBind()
  const pebble = await startPebble({ dnsServer: `127.0.0.1:${bind.port}` })
  const keeping = await startKeeping(pebble, {
    targets: 'targets:\n  "*.example.com": {protocol: http, hostname: 127.0.0.1, port: {port}}\n',
    values: { 'acme-dns-server': { host: '127.0.0.1', port: bind.port }, 'acme-dns-key': bind.keyFile },
  })
  await keeping.issued('*.example.com')
  await shownTo(pebble.tlsPort, 'a.example.com', await pebble.root())
  expect(JSON.stringify(keeping.logs)).not.toContain(bind.secret)
})

testWith(['named'], 'of several records of a name, one is removed; a wrong key and a foreign zone are refused', async () => {
  const { port, secret } = await startBind()
  const server = { host: '127.0.0.1', port }
  const key = { name: 'gateway', algorithm: 'sha256', secret: Buffer.from(secret, 'base64') } as const
  const records = new DnsUpdate(server, key)
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${port}`])
  const name = '_acme-challenge.a.example.com'
  const texts = async (): Promise<string[]> => (await resolver.resolveTxt(name)).map(each => each.join('')).sort()
  await records.add(name, 'one', signal)
  await records.add(name, 'two', signal)
  expect(await texts()).toEqual(['one', 'two'])
  await records.remove(name, 'one', signal)
  expect(await texts()).toEqual(['two'])
  await expect(new DnsUpdate(server, { ...key, secret: Buffer.alloc(32) }).add(name, 'three', signal)).rejects.toThrow(/NOTAUTH/)
  await expect(new DnsUpdate(server, undefined).add(name, 'three', signal)).rejects.toThrow(/REFUSED/)
  await expect(records.add('_acme-challenge.example.org', 'three', signal)).rejects.toThrow(/has no zone for _acme-challenge\.example\.org/)
  expect(await texts()).toEqual(['two'])
})

describe('what a server of the DNS says', () => {
  test('is read or refused, whatever is cut of it and wherever names point', () => {
    const answer = soaQuery(7, 'a.example.com')
    answer.writeUInt16BE(0x8000, 2)
    expect(readAnswer(answer)).toEqual({ id: 7, fault: undefined, zones: [] })
    for (let length = 0; length < 12; length++) expect(() => readAnswer(answer.subarray(0, length))).toThrow(RangeError)
    const loop = Buffer.concat([answer.subarray(0, 12), Buffer.from([0xc0, 12, 0, 6, 0, 1])])
    expect(() => readAnswer(loop)).toThrow(/has no end/)
    const claims = Buffer.from(answer)
    claims.writeUInt16BE(0xffff, 6)
    expect(() => readAnswer(claims)).toThrow(RangeError)
  })

  test('names that the DNS cannot have are refused', () => {
    expect(nameBytes('A.b.')).toEqual(Buffer.from('\x01a\x01b\0', 'latin1'))
    for (const name of ['', 'a..b', `${'a'.repeat(64)}.b`]) expect(() => nameBytes(name)).toThrow(/no name of the DNS/)
  })

  test('a key is read as tsig-keygen writes it, and its secret is in no message', () => {
    expect(parseTsigKey('key "k" {\n\talgorithm hmac-sha512;\n\tsecret "c2VjcmV0c2VjcmV0";\n};\n', 'f')).toEqual({
      name: 'k',
      algorithm: 'sha512',
      secret: Buffer.from('secretsecret'),
    })
    for (const text of ['', 'key k {};', 'key k { algorithm hmac-md5; secret "c2VjcmV0c2VjcmV0"; };'])
      expect(() => parseTsigKey(text, 'f')).toThrow(/^f: expected a key as "tsig-keygen" writes it/)
  })
})
