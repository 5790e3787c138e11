/** The section `blind` of the targets file: which name ends where, and what is wrong with it. */
import { describe, expect, test } from '@jest/globals'
import { ConfigError } from '../../src/config/document/fault.ts'
import { explain } from '../../src/config/explain.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { LayeredTable } from '../../src/directory/layered-table.ts'
import type { SocketTable } from '../../src/directory/socket-table.ts'
import type { Readiness } from '../../src/admin/health.ts'
import { readinessOf } from '../../src/outer/readiness.ts'
import type { ServedBy } from '../../src/route/target.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { run } from '../cli/context.ts'

const faultsOf = (text: string): readonly string[] => {
  try {
    parseTargets(text, 'targets.yaml')
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ line, message }) => `${line}: ${message}`)
    throw error
  }
  return []
}

const TEXT = `targets:
  a.lab.example.com: http://a
  '*.example.com': http://b
  '*': http://c
blind:
  Secret.example.com: { identifier: lan-1, deny: 192.0.2.1, idle: 10m }
  '*.lab.example.com': { identifier: [lan-1, lan-2, lan-1] }
`

describe('names that are blind', () => {
  const table = parseTargets(TEXT, 'targets.yaml')

  test('an exact name goes before a wildcard, whichever section it is in', () => {
    const whereTo = (host: string): string => table.blindName(host)?.options.key ?? table.match(host)?.name ?? 'nowhere'
    const hosts = [
      'secret.example.com',
      'a.lab.example.com',
      'b.lab.example.com',
      'x.example.com',
      'lab.example.com',
      'x.b.lab.example.com',
    ]
    expect(hosts.map(whereTo)).toEqual([
      'Secret.example.com',
      'a.lab.example.com',
      '*.lab.example.com',
      '*.example.com',
      '*.example.com',
      '*',
    ])
    // What is blind has no target, however many would match.
    expect([table.match('secret.example.com'), table.match('b.lab.example.com')]).toEqual([undefined, undefined])
  })

  test('and a socket, or a host of the service, before a wildcard that is blind', () => {
    const sockets = {
      match: (host: string) => (host === 'own.lab.example.com' ? { socket: { dnsName: host }, target: { name: host } } : undefined),
    }
    const service = new Map([['api.lab.example.com', { name: 'api.lab.example.com' }]])
    const layered = new LayeredTable(
      table,
      sockets as unknown as SocketTable,
      service as unknown as ConstructorParameters<typeof LayeredTable>[2],
    )
    const isBlind = (host: string): boolean => layered.blindName(host) !== undefined
    expect(['own', 'api', 'a', 'b'].map(label => isBlind(`${label}.lab.example.com`))).toEqual([false, false, false, true])
    expect([layered.match('own.lab.example.com')?.name, layered.match('b.lab.example.com')]).toEqual(['own.lab.example.com', undefined])
  })

  test('have their own rules for connections', () => {
    const port = table.blindName('secret.example.com')!
    expect([port.admits('192.0.2.1'), port.admits('192.0.2.2'), port.options.idleMs]).toEqual([false, true, 600_000])
    expect(table.blindName('b.lab.example.com')!.options.routes[0]).toMatchObject({ identifiers: ['lan-1', 'lan-2'], endsTls: true })
  })

  test('want inner layers: without them the outer layer is of less use, or of none', () => {
    const readiness = (text: string): Readiness =>
      readinessOf({
        isDraining: () => false,
        targets: { table: parseTargets(text, 'targets.yaml') },
        registry: { hasOperators: true, serves: ({ identifiers }: ServedBy) => identifiers?.includes('lan-1') !== true },
        tcp: { faults: [], clientFaults: [] },
        certificates: [],
        keys: {},
      } as unknown as Parameters<typeof readinessOf>[0])
    expect(readiness(TEXT).degraded).toEqual(['2 targets want inner layers that are not connected'])
    expect(readiness('blind: { a.example.com: { identifier: lan-1 } }').reasons).toEqual([
      'no inner layer that any target wants is connected',
    ])
  })

  test('are explained, and listed by targets check', async () => {
    expect(explain(table, 'GET', 'https://secret.example.com/x')).toMatchObject({ verdict: 'refused', code: 'MISDIRECTED' })
    const { stdout } = await run(['targets', 'check', tempFile('targets.yaml', TEXT)])
    expect(stdout).toMatch(/BLIND NAME +INNER LAYER\nSecret\.example\.com +lan-1\n\*\.lab\.example\.com +lan-1, lan-2\n/)
  })
})

test('what is wrong with the section has its place', () => {
  expect(
    faultsOf(`blind:
  a.example.com: {}
  '*': { identifier: x }
  'a b': { identifier: x }
  b.example.com: { identifier: x, policy: '*' }
targets:
  B.example.com: http://b
`),
  ).toEqual([
    expect.stringMatching(/^2: expected the identifier of an inner layer/),
    expect.stringMatching(/^3: expected a name/),
    expect.stringMatching(/^4: expected a host such as/),
    expect.stringMatching(/^5: unknown key/),
    expect.stringMatching(/^7: duplicate host: the same as the one of line 5/),
  ])
})

test('an outer layer whose port speaks no TLS has no use for it', async () => {
  const { status, stderr } = await run([
    'outer-layer',
    '--public-key',
    tempDir(),
    '--targets',
    tempFile('targets.yaml', TEXT),
    '--app-port',
    '0',
    '--socket-port',
    '0',
    '--admin-port',
    'none',
  ])
  expect(status).not.toBe(0)
  expect(stderr).toMatch(/is blind, so clients say its name in TLS, which the app port does not speak: give --tls-certificate or --acme/)
})
