import { readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { ConfigError } from '../../src/config/document/fault.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { tcpEntrySchema } from '../../src/config/tcp-schema.ts'
import { addressOf, type TcpPort } from '../../src/route/tcp-port.ts'
import { tempFile } from '../support/temp.ts'

const parse = (tcp: string, file = 't.yaml'): readonly TcpPort[] => parseTargets(`targets: {}\ntcp:\n${tcp}`, file).tcp

const faultsOf = (tcp: string): readonly string[] => {
  try {
    parse(tcp)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message.split('\n')
  }
}

const originOf = (port: TcpPort | undefined, name?: string): string | undefined => {
  const route = port?.routeOf(name)
  return route && addressOf(route)
}

describe('public ports', () => {
  test('have their defaults', () => {
    const [port] = parse('  "2222": {hostname: ssh.lan, port: 22}\n')
    expect(port?.options).toMatchObject({ key: '2222', line: 3, port: 2222, host: undefined, tls: 'none', maxConnections: 1000, idleMs: 0 })
    expect(port?.options).toMatchObject({ allow: undefined, deny: [], proxyProtocol: 0, clientCa: undefined })
    expect(originOf(port)).toBe('ssh.lan:22')
    expect(port?.routeOf(undefined)?.identifiers).toBeUndefined()
  })

  test('take every key', () => {
    const ca = tempFile('ca.crt', '-----BEGIN CERTIFICATE-----\n')
    const keys = `tls: true, clientCa: "${ca}", allow: 10.0.0.0/8, deny: [10.1.0.0/16], maxConnections: 7, idle: 10m, proxyProtocol: 2, clientNames: [alice], identity: true`
    const [port] = parse(`  5432: {hostname: "[::1]", host: 127.0.0.1, identifier: [a, b, a], ${keys}}\n`)
    expect(port?.options).toMatchObject({
      host: '127.0.0.1',
      tls: 'terminate',
      clientCa: ca,
      maxConnections: 7,
      idleMs: 600_000,
      proxyProtocol: 2,
      clientNames: ['alice'],
      tellsIdentity: true,
    })
    expect(originOf(port)).toBe('[::1]:5432')
    expect(port?.routeOf('anything.example')?.identifiers).toEqual(['a', 'b'])
    expect(['10.2.3.4', '10.1.2.3', '192.0.2.1', '::ffff:10.2.3.4'].map(address => port?.admits(address))).toEqual([
      true,
      false,
      false,
      true,
    ])
  })

  test('may be ranges, whose origins have the same port, one port, or a range of the same length', () => {
    const ports = parse('  20000-20002: {hostname: a}\n  3000-3001: {hostname: b, port: 9}\n  4000-4001: {hostname: c, port: 500-501}\n')
    expect(ports.map(port => `${port.options.port} ${originOf(port)!}`)).toEqual([
      '3000 b:9',
      '3001 b:9',
      '4000 c:500',
      '4001 c:501',
      '20000 a:20000',
      '20001 a:20001',
      '20002 a:20002',
    ])
  })

  test('find the origin by TLS name: exact, then one label, then the rest', () => {
    const names = '"db.example.com": {hostname: a}, "*.example.com": {hostname: b, port: 1, identifier: x}, "bücher.example": {hostname: c}'
    const [port, open] = parse(
      `  443: {tls: passthrough, identifier: y, names: {${names}}}\n  444: {tls: passthrough, names: {"*": {hostname: d}}}\n`,
    )
    expect(originOf(port, 'db.example.com')).toBe('a:443')
    expect(originOf(port, 'web.example.com')).toBe('b:1')
    expect(originOf(port, 'xn--bcher-kva.example')).toBe('c:443')
    expect([originOf(port, 'a.b.example.com'), originOf(port, 'example.com'), originOf(port)]).toEqual([undefined, undefined, undefined])
    expect([originOf(open, 'example.com'), originOf(open)]).toEqual(['d:444', 'd:444'])
    expect(['db.example.com', 'x.example.com'].map(name => port?.routeOf(name)?.identifiers)).toEqual([['y'], ['x']])
  })
})

describe('a bad section', () => {
  test('is refused with all its faults, each with its place', () => {
    expect(
      faultsOf(
        [
          '  "0": {hostname: a}',
          '  "22-20": {hostname: a}',
          '  "80": {hostname: a, prot: 1}',
          '  "70-90": {hostname: b, port: 1-3}',
          '  "91": {port: 1}',
          '  "92": {hostname: a, names: {"*": {hostname: b}}}',
          '  "93": {tls: true, names: {"a b": {hostname: b}, "*.x": {hostname: c}, "*.X": {hostname: d}}}',
          '  "94": {hostname: a, clientCa: ca.crt}',
          '  "95": {hostname: a, allow: [10.0.0.0/33]}',
          '  "96": {hostname: a/b, proxyProtocol: 3}',
          '  "97": {hostname: a, clientNames: [x], identity: true}',
          '',
        ].join('\n'),
      ).map(fault => fault.replace(/^t\.yaml:/, '')),
    ).toEqual([
      '3:3: tcp.0: expected a port from 1 to 65535, or a range such as "20000-20010"',
      '4:3: tcp.22-20: expected a port from 1 to 65535, or a range such as "20000-20010"',
      expect.stringMatching(/^5:23: tcp\.80\.prot: unknown key, did you mean "port"\?$/),
      '6:3: tcp.70-90: overlaps with 80 of line 5; a port can be opened once',
      expect.stringMatching(/^6:\d+: tcp\.70-90\.port: expected one port or a range of 21, as long as the public one, got "1-3"$/),
      '7:3: tcp.91: expected the key hostname, or names',
      expect.stringMatching(/^8:\d+: tcp\.92\.hostname: expected either hostname or names, got both/),
      expect.stringMatching(/^8:\d+: tcp\.92\.names: expected tls: true or tls: passthrough beside names/),
      expect.stringMatching(/^9:\d+: tcp\.93\.names\."a b": expected a name such as "db\.example\.com"/),
      expect.stringMatching(/^9:\d+: tcp\.93\.names\."\*\.X": duplicate name: the same as the one of line 9/),
      expect.stringMatching(/^10:\d+: tcp\.94\.clientCa: expected tls: true beside clientCa/),
      expect.stringMatching(/^11:\d+: tcp\.95\.allow(?:\[0\])?: expected an address, a CIDR/),
      expect.stringMatching(/^12:\d+: tcp\.96\.hostname: expected a host name or IP address: .*has a path/),
      expect.stringMatching(/^12:\d+: tcp\.96\.proxyProtocol: expected false, 1 or 2, got 3$/),
      expect.stringMatching(/^13:\d+: tcp\.97\.clientNames: expected clientCa beside clientNames/),
      expect.stringMatching(/^13:\d+: tcp\.97\.identity: expected proxyProtocol: 2 beside identity/),
      expect.stringMatching(/^13:\d+: tcp\.97\.identity: expected clientCa beside identity/),
    ])
  })

  test('may not open more ports than there can be use for', () => {
    expect(faultsOf('  1000-2000: {hostname: a}\n')).toEqual(['t.yaml:2:1: tcp: expected at most 1000 ports, got 1001'])
  })

  test('names a file of authorities that is not there', () => {
    expect(faultsOf('  99: {hostname: a, tls: true, clientCa: /nowhere.crt}\n')[0]).toMatch(
      /tcp\.99\.clientCa: \/nowhere\.crt: cannot be read/,
    )
  })

  test.each(['  - 1\n', '  "1": x\n', '  "1": {hostname: a, names: x, tls: true}\n'])('of another shape is a fault: %j', text => {
    expect(faultsOf(text)).toHaveLength(1)
  })
})

test('docs/tcp.md and targets.example.yaml have every key', async () => {
  const read = (name: string): Promise<string> => readFile(new URL(`../../${name}`, import.meta.url), 'utf8')
  const [page, example] = [await read('docs/tcp.md'), await read('targets.example.yaml')]
  for (const key of Object.keys(tcpEntrySchema.shape)) {
    expect(page).toMatch(new RegExp(`^\\| \`${key}\``, 'm'))
    // The first names a file, which the example could not be read without, and the others need it.
    if (!['clientCa', 'clientCrl', 'clientNames', 'identity'].includes(key)) expect(example).toMatch(new RegExp(`^    ${key}:`, 'm'))
  }
})
