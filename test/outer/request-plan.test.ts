/** Steps 2 to 5 of the path without a socket: a request in, a plan out. */
import { describe, expect, test } from '@jest/globals'
import { parseTargets } from '../../src/config/targets.ts'
import { identifyClient, type Peer } from '../../src/http/client.ts'
import { AccessCheck } from '../../src/outer/access/access-check.ts'
import { planRequest, type Plan, type PlanContext, type Seen } from '../../src/outer/exchange/request-plan.ts'
import { OriginProfiles } from '../../src/outer/inner-layers/origin-profiles.ts'
import { RepeatedFieldLists } from '../../src/payload/byte-codec.ts'
import { decodeRequestHead } from '../../src/payload/head-codec.ts'

const peer: Peer = { address: '192.0.2.1', isTrusted: false, scheme: 'http', localPort: 80 }
const HASH = '$scrypt$ln=10,r=1,p=1$c29tZSBzYWx0c29tZSBzYWx0$c29tZSBoYXNoIG9mIDMyIGJ5dGVzLCBtb3JlIG9yIGxlc3M'
const YAML = `
targets:
  a.test: { hostname: 10.0.0.1, port: 8080, protocol: http, policy: { '/open': [GET] }, limits: { body: 10, concurrency: 1 } }
  b.test: { redirect: 'https://c.test' }
  c.test: { hostname: 10.0.0.1, port: 8080, protocol: http, basicAuth: { realm: R, users: { alice: '${HASH}' } } }
`

const contextOf = (more: Partial<PlanContext> = {}): PlanContext => {
  const table = parseTargets(YAML, 'targets.yaml')
  return {
    table: () => table,
    limits: { rate: undefined, bodyBytes: undefined },
    accessCheck: new AccessCheck(() => 0),
    visitors: undefined,
    clientOf: (from, request) => identifyClient(from, request, () => false),
    tunnels: { owns: target => target.startsWith('/tunnel/') },
    dispatch: { profiles: new OriginProfiles() },
    trustFields: undefined,
    pseudonym: 'sg-test',
    visitorFields: new RepeatedFieldLists(),
    removeCsps: false,
    ...more,
  }
}

const nothingSeen = (): Seen => ({ request: undefined, client: undefined, target: undefined, visitor: undefined, span: undefined })

const ask = (
  host: string,
  target: string,
  context = contextOf(),
  seen = nothingSeen(),
  fields: readonly string[] = [],
): Plan | Promise<Plan> =>
  planRequest(context, { peer, request: { method: 'GET', target, httpVersion: '1.1', fields: ['Host', host, ...fields] } }, seen)

describe('a plan', () => {
  test('forwards, and its payload is what the inner layer reads', () => {
    const seen = nothingSeen()
    const plan = ask('a.test', '/open?x=1', contextOf(), seen)
    if (plan instanceof Promise || plan.kind !== 'forward') throw new Error('not forwarded')
    expect(decodeRequestHead(plan.payload as Buffer)).toMatchObject({ method: 'GET', path: '/open?x=1', hostname: '10.0.0.1', port: 8080 })
    expect([plan.target.name, plan.upgrade, plan.maxBodyBytes, plan.profile]).toEqual(['a.test', '', 10, 0])
    expect([seen.target?.name, seen.client?.address, seen.request?.host]).toEqual(['a.test', '192.0.2.1', 'a.test'])
  })

  test('gives back what it took', () => {
    const context = contextOf()
    const first = ask('a.test', '/open', context)
    expect(() => ask('a.test', '/open', context)).toThrow(expect.objectContaining({ code: 'OVERLOADED' }))
    if (!(first instanceof Promise) && first.kind === 'forward') first.leave?.()
    expect(ask('a.test', '/open', context)).toMatchObject({ kind: 'forward' })
  })

  test('answers where the target does', () => {
    expect(ask('b.test', '/x')).toMatchObject({ kind: 'answer', answer: { fields: expect.arrayContaining(['Location']) } })
  })

  test.each([
    ['a.test', '/closed', 'POLICY_REFUSED', 'a.test'],
    ['nobody.test', '/', 'UNKNOWN_HOST', undefined],
    ['a.test', '/tunnel/x', 'UPGRADE_REQUIRED', undefined],
    ['a b', '/', 'BAD_HOST', undefined],
  ])('of %s %s is refused with %s, and the log has what was seen', (host, target, code, name) => {
    const seen = nothingSeen()
    expect(() => ask(host, target, contextOf(), seen)).toThrow(expect.objectContaining({ code }))
    expect(seen.target?.name).toBe(name)
  })

  test('is a promise where a password is to be verified, and a refusal brings its challenge', async () => {
    expect(() => ask('c.test', '/')).toThrow(
      expect.objectContaining({ code: 'CREDENTIALS_REQUIRED', fields: ['WWW-Authenticate', 'Basic realm="R", charset="UTF-8"'] }),
    )
    const basic = `Basic ${Buffer.from('alice:wrong').toString('base64')}`
    const pending = ask('c.test', '/', contextOf(), nothingSeen(), ['Authorization', basic])
    expect(pending).toBeInstanceOf(Promise)
    await expect(pending).rejects.toMatchObject({ code: 'CREDENTIALS_REQUIRED' })
  })
})
