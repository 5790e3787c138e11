import { describe, expect, test } from '@jest/globals'
import { formatTunnels } from '../../src/cli/run/targets-tunnels.ts'
import { ConfigError, formatFault } from '../../src/config/document/fault.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { hashToken, mintToken } from '../../src/identity/token.ts'
import type { Tunnels } from '../../src/route/tunnel.ts'

const token = mintToken()
const tokens = `tokens: ["${hashToken(token)}"]`
const parse = (tunnels: string): Tunnels => parseTargets(`targets: {}\ntunnels:\n${tunnels}`, 't.yaml').tunnels

const faultsOf = (tunnels: string): readonly string[] => {
  try {
    parse(tunnels)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.faults.map(fault => formatFault(fault).replace(/^t\.yaml:/, ''))
  }
}

describe('the section tunnels', () => {
  test('says nothing of a token that somebody put where its hash belongs', () => {
    const secret = mintToken()
    const faults = faultsOf(`  "a.lan:1": {tokens: [${secret}]}`)
    expect(faults).toEqual([expect.stringContaining('expected the hash of a token')])
    expect(faults.join()).not.toContain(secret)
  })

  test('gives names, places and credentials', () => {
    const tunnels = parse(
      `  "DB.lan:5432": {${tokens}, identifier: [a, a, b], idle: 10m, maxConnections: 7, allow: 10.0.0.0/8}\n  "[::1]:22": {${tokens}}\n`,
    )
    const [db, ssh] = [tunnels.get('db.lan:5432')!, tunnels.get('[::1]:22')!]
    expect(db).toMatchObject({
      name: 'db.lan:5432',
      line: 3,
      hostname: 'db.lan',
      port: 5432,
      identifiers: ['a', 'b'],
      idleMs: 600_000,
      maxConnections: 7,
    })
    expect([db.tokens.has(token), db.tokens.has(mintToken()), db.allow?.has('10.1.2.3'), db.allow?.has('11.1.2.3')]).toEqual([
      true,
      false,
      true,
      false,
    ])
    expect(ssh).toMatchObject({ hostname: '::1', port: 22, maxConnections: 100, idleMs: 0, users: undefined, identifiers: undefined })
  })

  test('is empty when it is not there', () => {
    expect(parseTargets('targets: {}', 't.yaml').tunnels.size).toBe(0)
  })

  test.each([
    ['  "db.lan": {TOKENS}', '3:3: tunnels."db.lan": expected HOST:PORT'],
    ['  "db.lan:0": {TOKENS}', '3:3: tunnels."db.lan:0": expected HOST:PORT'],
    ['  "::1:22": {TOKENS}', '3:3: tunnels."::1:22": expected HOST:PORT'],
    ['  "a.lan:1": {TOKENS}\n  "A.lan:1": {TOKENS}', '4:3: tunnels."A.lan:1": duplicate tunnel: the same as the one of line 3'],
    [
      '  "a.lan:1": {}',
      '3:3: tunnels."a.lan:1": expected tokens, users, publicKeys or access: without credentials nobody may open a tunnel',
    ],
    ['  "a.lan:1": {tokens: []}', '3:3: tunnels."a.lan:1": expected tokens, users, publicKeys or access'],
    ['  "a.lan:1": {tokens: [sgt_abc]}', 'expected the hash of a token'],
    ['  "a.lan:1": {publicKeys: [abc]}', 'expected the thumbprint of a key'],
    ['  "a.lan:1": {users: {alice: secret}}', 'expected a hash such as'],
    ['  "a.lan:1": {TOKENS, token: x}', 'unknown key, did you mean "tokens"?'],
    ['  "a.lan:1": {TOKENS, maxConnections: 0}', 'expected an integer from 1 to 1000000'],
    ['  - a', 'expected a map of HOST:PORT to who may open it'],
    ['  "a.lan:1": {TOKENS, identity: true, proxyProtocol: 2}', 'expected access and proxyProtocol: 2 beside identity'],
    ['  "a.lan:1": {access: {}}', 'expected tokens, users, publicKeys or access'],
    [
      '  "a.lan:1": {access: {tokens: false}}',
      '3:15: tunnels."a.lan:1".access: expected at least one of login, tokens, jwt and certificates',
    ],
    ['  "a.lan:1": {access: {login: {}}}', 'access.login: expected one of emails, domains, groups and claims'],
    ['  "a.lan:1": {access: {public: [/a]}}', 'tunnels."a.lan:1".access'],
  ])('%s is refused with its place', (source, fault) => {
    expect(faultsOf(`${source.replaceAll('TOKENS', tokens)}\n`).join('\n')).toContain(fault)
  })
})

test('targets check lists tunnels, what opens them and through whom', () => {
  const tunnels = parse(`  "db.lan:5432": {${tokens}, publicKeys: [NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs], identifier: lan-1}\n`)
  expect(formatTunnels(tunnels)).toBe('TUNNEL       OPENED BY       INNER LAYER\ndb.lan:5432  1 token, 1 key  lan-1\n\n')
  expect(formatTunnels(new Map())).toBe('')
})
