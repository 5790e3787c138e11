/** Which fields of requests origins get to believe: overrides from nobody, names of users from a proxy that is trusted and named. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { compileTrustFields } from '../../src/http/believed-fields.ts'
import { H2Client } from '../support/h2-client.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin, type RawRequest } from '../support/raw-origin.ts'

const OVERRIDES = [
  ...[
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-Forwarded-Prefix',
    'X-Forwarded-URI',
    'X-Forwarded-Method',
    'X-Original-Method',
    'X-HTTP-Path-Override',
    'X-Override-URL',
    'X-Script-Name',
  ],
  ...[
    'X-HTTP-Method-Override',
    'X-HTTP-Method',
    'X-Method-Override',
    'X-Original-Host',
    'X-Host',
    'X-Forwarded-Server',
    'X-Forwarded-Scheme',
  ],
  ...[
    'X-Client-IP',
    'True-Client-IP',
    'Client-IP',
    'X-Cluster-Client-IP',
    'CF-Connecting-IP',
    'Fastly-Client-IP',
    'X-Remote-Addr',
    'Remote-Addr',
  ],
  ...['X-Originating-IP', 'X-Envoy-External-Address', 'X-Original-Forwarded-For', 'X-Forwarded-SSL', 'Front-End-Https', 'Proxy'],
  ...['X-Middleware-Subrequest', 'X-Accel-Mapping', 'X-Sendfile-Type', 'X-Auth-Email', 'X-Auth-Name', 'X-Auth-Groups', 'X-SG-Identity'],
]
const IDENTITIES = [
  ...[
    'X-Remote-User',
    'Remote-User',
    'Remote-Groups',
    'X-Auth-Request-User',
    'X-Auth-Request-Email',
    'X-Forwarded-User',
    'X-Forwarded-Email',
  ],
  ...['X-Forwarded-Groups', 'X-Forwarded-Anything', 'X-WEBAUTH-USER', 'X-SSL-Client-Cert', 'SSL-Client-S-DN', 'X-Forwarded-Client-Cert'],
  ...['X-Forwarded-Tls-Client-Cert', 'X-Client-Cert', 'Client-Cert', 'Client-Cert-Chain', 'Tailscale-User-Login', 'X-Authentik-Username'],
  ...[
    'X-Goog-Authenticated-User-Email',
    'X-MS-Client-Principal',
    'Cf-Access-Authenticated-User-Email',
    'OIDC_CLAIM_sub',
    'X-Consumer-Username',
  ],
]
const ORDINARY = [
  'X-Request-Id',
  'X-Auth-Token',
  'X-Auth-User',
  'X-Csrf-Token',
  'X-Requested-With',
  'X-Client-Version',
  'X-Middleware-Prefetch',
  'X-Api-Key',
]

/** The ways in which one name reads like another to some origin. */
const twinsOf = (name: string): string[] => [
  ...new Set([name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('-', '_'), name.replace('-', '_'), name.replaceAll('-', '.')]),
]

let origin: RawOrigin
beforeAll(async () => {
  origin = await startRawOrigin()
})

const target = (rest = ''): string => `targets: { a.test: { protocol: http, hostname: 127.0.0.1, port: ${origin.port}${rest} } }`
const post = (names: readonly string[], trailers: readonly string[] = []): string =>
  [
    'POST /x HTTP/1.1',
    'Host: a.test',
    'Connection: close',
    'Transfer-Encoding: chunked',
    ...names.map(name => `${name}: spoofed`),
    '',
    '1',
    'x',
    '0',
    ...trailers.map(name => `${name}: spoofed`),
    '',
    '',
  ].join('\r\n')

/** Names of the fields that came through with their value, in lower case. */
const spoofed = (fields: RawRequest['lines']): string[] =>
  fields.filter(line => line.endsWith(': spoofed')).map(line => line.slice(0, line.indexOf(':')).toLowerCase())

async function sent(layers: Layers, names: readonly string[]): Promise<string[]> {
  const arrived: string[] = []
  // At most 200 fields in one head.
  for (let i = 0; i < names.length; i += 100) {
    const { text } = await rawRequest(layers.port, post(names.slice(i, i + 100)))
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
    arrived.push(...spoofed(origin.last.lines))
  }
  return arrived
}

describe.each([
  ['a stranger', []],
  ['a trusted proxy', ['127.0.0.1']],
])('from %s', (_, trustProxy) => {
  let layers: Layers
  beforeAll(async () => {
    layers = await startLayers({ targets: target(), outer: { trustProxy } })
  })

  test('no override and no identity comes through, however it is spelled', async () => {
    expect(await sent(layers, [...OVERRIDES, ...IDENTITIES].flatMap(twinsOf))).toEqual([])
  })

  test('nor over HTTP/2', async () => {
    const plain = await startLayers({ targets: target(), outer: { trustProxy, appH2c: true } })
    const client = H2Client.open(plain.port)
    const fields = Object.fromEntries([...OVERRIDES, ...IDENTITIES].map(name => [name.toLowerCase(), 'spoofed']))
    expect(await client.get({ ...fields, 'x-request-id': 'spoofed' })).toMatchObject({ status: 200 })
    expect(spoofed(origin.last.lines)).toEqual(['x-request-id'])
  })

  test('nor as trailers', async () => {
    await rawRequest(
      layers.port,
      post(
        [],
        [...OVERRIDES, ...IDENTITIES].flatMap(name => [name, name.replaceAll('-', '_')]),
      ),
    )
    expect(origin.last.trailers).toEqual([])
  })

  test('what is none of this passes', async () => {
    expect(await sent(layers, ORDINARY)).toEqual(ORDINARY.map(name => name.toLowerCase()))
  })
})

describe('fields that are named', () => {
  const trustFields = ['X-Remote-User', 'OIDC_CLAIM_sub', 'X-Our-User']
  const named = ['x-remote-user', 'oidc_claim_sub', 'x-our-user']

  test('pass from a trusted proxy as they are spelled, and no other', async () => {
    const layers = await startLayers({ targets: target(), outer: { trustProxy: ['127.0.0.1'], trustFields } })
    expect(await sent(layers, [...trustFields, ...IDENTITIES.slice(1, 8), 'X_Remote_User', 'OIDC-CLAIM-sub', 'X_Our_User'])).toEqual(named)
    await rawRequest(layers.port, post([], trustFields))
    expect(origin.last.trailers).toEqual([])
  })

  test('come from no stranger, also where nobody knows them for what they are', async () => {
    const layers = await startLayers({ targets: target(), outer: { trustProxy: [], trustFields } })
    expect(await sent(layers, [...trustFields, 'X_Our_User', 'X-Other'])).toEqual(['x-other'])
  })

  test('a target names its own beside those of the layer', async () => {
    const layers = await startLayers({
      targets: target(', trustFields: [X-WEBAUTH-USER]'),
      outer: { trustProxy: ['127.0.0.1'], trustFields: ['X-Remote-User'] },
    })
    expect(await sent(layers, ['X-WEBAUTH-USER', 'X-Remote-User', 'Remote-User'])).toEqual(['x-webauth-user', 'x-remote-user'])
  })
})

describe('what the gateway says of a visitor itself, where a target names it', () => {
  const names = ['X-Auth-Email', 'X-Auth-Name', 'X-Auth-Groups', 'X-SG-Identity']
  const naming = (): string => target(`, trustFields: [${names.join(', ')}]`)

  test('passes from a trusted proxy as it is spelled, and nothing else of ours does', async () => {
    const layers = await startLayers({ targets: naming(), outer: { trustProxy: ['127.0.0.1'] } })
    const others = ['X-SG-Token', 'X-SG-Passed', 'X-Real-IP', 'X-Forwarded-For', 'X-Auth-Request-Email']
    expect(await sent(layers, [...names, ...names.map(name => name.replaceAll('-', '_')), ...others])).toEqual(
      names.map(name => name.toLowerCase()),
    )
    await rawRequest(layers.port, post([], names))
    expect(origin.last.trailers).toEqual([])
    const one = await startLayers({ targets: target(', trustFields: X-Auth-Email'), outer: { trustProxy: ['127.0.0.1'] } })
    expect(await sent(one, names)).toEqual(['x-auth-email'])
  })

  test('comes from no stranger', async () => {
    const layers = await startLayers({ targets: naming(), outer: { trustProxy: [] } })
    expect(await sent(layers, names.flatMap(twinsOf))).toEqual([])
  })

  test.each(names)('is named by no layer, whose hosts of the service believe it: %s', async name => {
    await expect(startLayers({ targets: target(), outer: { trustFields: [name] } })).rejects.toThrow(/named by each target that wants it/)
    expect(() => compileTrustFields([name.replaceAll('-', '_')], 'layer')).toThrow(/named by each target that wants it/)
  })
})

test.each(['X-SG-Token', 'X_SG_Share', 'X-SG-Identity-Of', 'X-Real-IP', 'X-Forwarded-For', 'Host', 'X-Original-URL', 'Connection'])(
  'nobody is believed for %s, whoever names it',
  name => {
    for (const owner of ['layer', 'target'] as const) expect(() => compileTrustFields([name], owner)).toThrow(/expected another field/)
  },
)

test('X-Forwarded-Prefix comes from us alone, under stripPrefix', async () => {
  const layers = await startLayers({ targets: target(', stripPrefix: /app'), outer: { trustProxy: ['127.0.0.1'] } })
  await rawRequest(layers.port, 'GET /app/x HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Prefix: /evil\r\nConnection: close\r\n\r\n')
  expect(origin.last.values('x-forwarded-prefix')).toEqual(['/app'])
})
