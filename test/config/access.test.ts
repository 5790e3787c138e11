/** The key `access` of targets and routes, and the file of logins. */
import { describe, expect, test } from '@jest/globals'
import { X509Certificate } from 'node:crypto'
import { ConfigError } from '../../src/config/document/fault.ts'
import { explain } from '../../src/config/explain.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { parseVisitorsConfig, visitorsPlaces } from '../../src/config/visitors/visitors-config.ts'
import { isPublic, type Access } from '../../src/route/access.ts'
import type { Target } from '../../src/route/table.ts'
import type { VisitorsConfig } from '../../src/visitors/config.ts'
import { mintAuthority } from '../support/certificates.ts'
import { mintIdp } from '../support/saml.ts'
import { tempFile } from '../support/temp.ts'

const faultsIn = (parse: () => unknown): readonly string[] => {
  try {
    parse()
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message.split('\n')
  }
}
const targetOf = (keys: string, host = 'a.test'): Target =>
  parseTargets(`targets: {'${host}': {hostname: x, ${keys}}}`, 't.yaml').targets[0]!
const accessOf = (keys: string): Access => targetOf(`access: {${keys}}`).treatment!.access!
const faultsOf = (keys: string, host?: string): readonly string[] => faultsIn(() => targetOf(keys, host))

describe('access', () => {
  test('is what the file says', () => {
    const access = accessOf(
      "login: {provider: [a, b], emails: [Ada@Example.io], domains: [Corp.test], groups: [ops], claims: {team: [x, 1], active: true}, origins: ['https://app.test']}, tokens: true, jwt: {issuer: 'https://ci.test', audience: deploy}, public: ['/open', '^/hooks/.*'], sessionHours: 0.5",
    )
    expect(access.login).toEqual({
      providers: ['a', 'b'],
      emails: new Set(['ada@example.io']),
      domains: new Set(['corp.test']),
      groups: new Set(['ops']),
      claims: new Map([
        ['team', new Set(['x', '1'])],
        ['active', new Set(['true'])],
      ]),
      anyone: false,
      origins: new Set(['https://app.test']),
    })
    expect(access).toMatchObject({ tokens: true, jwt: [{ issuer: 'https://ci.test', audiences: ['deploy'] }], sessionMs: 1_800_000 })
  })

  test.each([
    ['access: {}', /expected at least one of login, tokens/],
    ['access: {tokens: false}', /expected at least one of login, tokens/],
    ['access: {login: {}}', /expected one of emails, domains, groups and claims/],
    ['access: {login: {emails: []}}', /expected one of emails, domains, groups and claims/],
    ['access: {login: {provider: a}}', /expected one of emails, domains, groups and claims/],
    ['access: {login: {anyone: true, groups: [x]}}', /expected either anyone or groups/],
    ['access: {login: {emails: [ada]}}', /expected an e-mail address/],
    ["access: {login: {emails: ['a@b@c.test']}}", /expected an e-mail address/],
    ["access: {login: {domains: ['*.test']}}", /expected the domain/],
    ["access: {login: {anyone: true, origins: ['https://a.test/']}}", /expected the origin of pages/],
    ["access: {public: ['^(']}", /regular expression/],
    ["access: {public: ['open']}", /expected a path/],
    ['access: {tokens: true, sessionHours: 0}', /expected a number of hours/],
    ['access: {tokens: true, session: 1}', /session/],
    ['access: true', /expected a map with login/],
  ])('is refused where it is not meant so: %s', (keys, fault) => {
    expect(faultsOf(keys)).toEqual([expect.stringMatching(fault)])
  })

  test('has no login at a host that also stands for those of strangers', () => {
    expect(faultsOf('access: {login: {anyone: true}}', '*')).toEqual([expect.stringMatching(/expected a host with a name/)])
    expect(faultsOf('routes: [{path: /a, access: {login: {anyone: true}}}]', '*')).toEqual([
      expect.stringMatching(/expected a host with a name/),
    ])
    expect(faultsOf('access: {tokens: true}', '*')).toEqual([])
    expect(faultsOf('access: {login: {anyone: true}}', '*.b.test')).toEqual([])
  })

  test('is that of the target in its routes, unless they say otherwise', () => {
    const target = targetOf(
      'access: {tokens: true}, routes: [{path: /same}, {path: /none, access: false}, {path: /other, access: {login: {anyone: true}}}]',
    )
    const [same, none, other] = ['/same', '/none', '/other'].map(path => target.routes!.match(path))
    expect(same?.treatment?.access).toMatchObject({ tokens: true })
    expect(none?.treatment?.access).toBeUndefined()
    expect(other?.treatment?.access).toMatchObject({ tokens: false, login: { anyone: true } })
  })

  test('leaves a path to all only if it is for all however the origin reads it', () => {
    const access = accessOf("public: ['/open', '^/hooks/[a-z]+']")
    const asked = ['/open', '/hooks/x', '/hooks/x;y', '/hooks/;x/../admin', '/open/', '/Open', '/hooks/x/y', '/', '/open;x', '/hooks/x%2Fy']
    expect(asked.filter(path => isPublic(access, path))).toEqual(['/open', '/hooks/x'])
  })

  test('refuses paths with two readings, once some are for all', () => {
    const table = parseTargets("targets: {a.test: {hostname: x, access: {public: ['^/open/.*']}}}", 't.yaml')
    expect(explain(table, 'GET', 'http://a.test/open/..%2fadmin')).toMatchObject({ verdict: 'refused', code: 'AMBIGUOUS_PATH' })
    expect(explain(table, 'GET', 'http://a.test/open/../admin').path).toBe('/admin')
  })

  test('is explained in words', () => {
    const table = parseTargets(
      "targets: {a.test: {hostname: x, access: {login: {provider: p, emails: [a@b.test], groups: [ops]}, tokens: true, public: ['/open']}}}",
      't.yaml',
    )
    const effectAt = (path: string): string | undefined =>
      explain(table, 'GET', `http://a.test${path}`).effects.find(([key]) => key === 'access')?.[1]
    expect(effectAt('/')).toBe('a login at p of a@b.test with the group ops, or a service token')
    expect(effectAt('/open')).toBe('this path is for all')
  })
})

describe('the file of logins', () => {
  const parse = (text: string): VisitorsConfig =>
    parseVisitorsConfig(text, '/etc/sg/visitors.yaml', {
      secret: file => `secret of ${file}`,
      text: file => `text of ${file}`,
      logo: () => ({ type: 'image/png', bytes: Buffer.alloc(1) }),
    })

  test('has files beside it, and known providers by their names', () => {
    const config = parse('auth: https://Auth.test\nproviders:\n  google: { kind: google, clientId: g, clientSecretFile: g.secret }\n')
    expect(config).toMatchObject({
      authUrl: 'https://auth.test',
      authHost: 'auth.test',
      keysFile: '/etc/sg/visitors.key',
      revokedFile: '/etc/sg/visitors.revoked',
    })
    expect(config.providers.get('google')).toMatchObject({
      issuer: 'https://accounts.google.com',
      title: 'Google',
      clientSecret: 'secret of /etc/sg/g.secret',
    })
  })

  test('has SAML providers by metadata in a file or at a URL', () => {
    const { providers } = parse(
      'auth: https://a.test\nproviders:\n  f: { kind: saml, metadata: idp.xml }\n  u: { kind: saml, metadata: "https://idp.test/m?app=1", entityId: us, groupsAttribute: roles, landing: https://wiki.test/ }\n',
    )
    expect(providers.get('f')).toMatchObject({
      kind: 'saml',
      title: 'f',
      saml: {
        entityId: 'https://a.test/saml/f',
        metadata: { kind: 'file', place: '/etc/sg/idp.xml', text: 'text of /etc/sg/idp.xml' },
        landing: undefined,
      },
    })
    expect(providers.get('u')?.saml).toMatchObject({
      entityId: 'us',
      metadata: { kind: 'url', url: 'https://idp.test/m?app=1' },
      groupNames: ['roles'],
      landing: 'https://wiki.test/',
    })
  })

  test('has a key of SAML with its certificate, followed as every file that it names, and neither of them alone', () => {
    const { key, cert } = mintIdp('auth')
    const text = (keys: string) => `auth: https://a.test\nproviders:\n  f: { kind: saml, metadata: idp.xml, ${keys} }\n`
    const both = text('keyFile: f.key, certificateFile: f.crt')
    const files = { secret: () => key.trim(), text: () => cert, logo: () => ({ type: 'image/png', bytes: Buffer.alloc(1) }) } as const
    const { keys } = parseVisitorsConfig(both, '/etc/sg/visitors.yaml', files).providers.get('f')!.saml!
    expect(keys?.certificate).toBe(new X509Certificate(cert).raw.toString('base64'))
    expect(visitorsPlaces(both, '/etc/sg/visitors.yaml').named).toEqual(['/etc/sg/idp.xml', '/etc/sg/f.key', '/etc/sg/f.crt'])
    for (const one of ['keyFile: f.key', 'certificateFile: f.crt'])
      expect(faultsIn(() => parse(text(one)))).toEqual([expect.stringContaining('expected keyFile and certificateFile, or none')])
    const faults = faultsIn(() => parse(both))
    expect(faults).toEqual([expect.stringContaining('keyFile: expected a private key in PEM')])
    expect(faults.join()).not.toContain('text of')
  })

  test('has every provider for sockets, or those that it names', () => {
    const client = '{ issuer: https://idp.test, clientId: x, clientSecretFile: y }'
    const socketsOf = (more: string) => parse(`auth: https://a.test\nproviders: { p: ${client}, q: ${client} }\n${more}`).socketProviders
    expect(['', 'sockets: q', 'sockets: [q, p]'].map(socketsOf)).toEqual([['p', 'q'], ['q'], ['q', 'p']])
    expect(parse('auth: https://a.test').socketProviders).toEqual([])
  })

  test.each([
    ['auth: https://a.test\nsockets: p\n', /the name of one of the providers/],
    ['auth: https://a.test\nsockets: []\n', /expected at least one/],
    ['auth: http://auth.test\n', /expected the URL of the auth host/],
    ['auth: https://auth.test/login\n', /expected the URL of the auth host/],
    ['auth: https://a.test\nproviders: { p: { issuer: http://idp.test, clientId: x, clientSecretFile: y } }\n', /provider|URL/],
    ['auth: https://a.test\nproviders: { P_: { issuer: https://idp.test, clientId: x, clientSecretFile: y } }\n', /short name/],
    ['auth: https://a.test\nproviders: { p: { clientId: x, clientSecretFile: y } }\n', /provider|issuer|URL/],
    ['auth: https://a.test\nsessionHours: 0\n', /hours/],
    ['auth: https://a.test\nproviders: { p: { kind: saml } }\n', /metadata/],
    ['auth: https://a.test\nproviders: { p: { kind: saml, metadata: "http://idp.test/m" } }\n', /metadata/],
    ['auth: https://a.test\nproviders: { p: { kind: saml, metadata: m.xml, clientId: x } }\n', /clientId|metadata/],
    ['auth: https://a.test\nproviders: { p: { kind: saml, metadata: m.xml, landing: "javascript:x" } }\n', /landing|page|metadata/],
    ['auth: https://a.test\nkey: x\n', /key/],
  ])('is refused with its place: %j', (text, fault) => {
    const faults = faultsIn(() => parse(text))
    expect(faults).toEqual([expect.stringMatching(fault)])
    expect(faults[0]).toMatch(/visitors\.yaml:\d+:\d+/)
  })
})

test('authorities of certificates are the same for all paths of a host', async () => {
  const { certificatePem: pem } = await mintAuthority()
  const [a, b] = [tempFile('a.pem', pem), tempFile('b.pem', pem)]
  const routes = (access: string): string => `routes: [{path: /x, access: {certificates: {names: [x], ${access}}}}]`
  const own = `access: {certificates: {ca: '${a}'}}`
  const faults = (keys: string): string => faultsOf(keys).join('\n')
  expect(faultsIn(() => targetOf(`${own}, ${routes(`ca: '${a}'`)}`))).toEqual([])
  expect(faults(`${own}, ${routes(`ca: '${b}'`)}`)).toMatch(
    /access\.certificates\.ca: expected the ca "\S+a\.pem", as in line 1: a host asks for one kind/,
  )
  expect(faults(`${own}, ${routes(`ca: '${a}', crl: '${b}'`)}`)).toMatch(/access\.certificates\.crl: expected no crl, as in line 1/)
})
