/** Whatever a client, an origin or a peer sends, reading it takes time in proportion to its length. The linter judges the expressions; this, the functions. */
import { describe, expect, test } from '@jest/globals'
import { parseHostPort } from '../../src/address/host-port.ts'
import { parseHost } from '../../src/address/host.ts'
import { messageOf } from '../../src/errors.ts'
import { acceptsHtml, acceptsJson } from '../../src/http/accept.ts'
import { admitRequest } from '../../src/http/admission.ts'
import { identifyClient } from '../../src/http/client.ts'
import { allowedTrailers, nominated } from '../../src/http/hop-by-hop.ts'
import { http2Request } from '../../src/http2/http2-request.ts'
import { loggedPath } from '../../src/http/logged-path.ts'
import { HrefMapping } from '../../src/http/multistatus.ts'
import { requestFields, requestTrailers } from '../../src/http/request-fields.ts'
import { interimHead, responseHead } from '../../src/http/response-fields.ts'
import { rewriteLink, rewriteRefresh, rewriteSetCookie, rewriteUrl, type PublicOrigin } from '../../src/http/rewrite.ts'
import { parseAuthorization } from '../../src/identity/token.ts'
import { isTunnelProof } from '../../src/identity/tunnel-proof.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { admit } from '../../src/route/admit.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { canonicalPath, parseRequestTarget } from '../../src/route/path.ts'
import { withSecondPaths } from '../../src/route/second-paths.ts'
import { parseTunnelName } from '../../src/route/tunnel.ts'
import { cleanPath, pathOf } from '../../src/sokken/path.ts'
import { printable } from '../../src/telemetry/pretty.ts'
import { encodeClose } from '../../src/tunnel/wire.ts'

const names: PublicOrigin = {
  private: { protocol: 'http', hostname: 'api.lan', port: 80 },
  public: { scheme: 'https', host: 'www.example.com' },
  prefixes: { public: '/app', private: '' },
}
const peer = { address: '10.0.0.1', isTrusted: true, scheme: 'http', localPort: 80 } as const
const client = { address: '192.0.2.1', hops: [], scheme: 'https', host: 'a.test', port: '443' }
const located = admit(parseTargets('targets: { a.test: { hostname: b } }', 'targets.yaml').match('a.test')!, 'PUT', '/')
const context = { method: 'GET', canChunk: true, removeCsps: false, names }
const admitted = (target: string, ...fields: readonly string[]): ReturnType<typeof admitRequest> =>
  admitRequest({ method: 'GET', target, httpVersion: '1.1', fields: ['Host', 'a.test', ...fields] })
const REQUEST_FIELDS = ['TE', 'Via', 'Cookie', 'Connection', 'X-Forwarded-For', 'Max-Forwards', 'Destination', 'If', 'Forwarded']
const RESPONSE_FIELDS = ['Location', 'Content-Location', 'Refresh', 'Link', 'Set-Cookie', 'Connection']

const FUNCTIONS: Readonly<Record<string, (text: string) => unknown>> = {
  rewriteUrl: text => rewriteUrl(text, names),
  rewriteRefresh: text => rewriteRefresh(text, names),
  rewriteLink: text => rewriteLink(text, names),
  rewriteSetCookie: text => rewriteSetCookie(text, names),
  responseHead: text =>
    RESPONSE_FIELDS.map(name => responseHead({ status: 200, reason: '', body: { kind: 'none' }, fields: [name, text] }, context)),
  HrefMapping: text => {
    const mapping = new HrefMapping(names)
    return [mapping.push(Buffer.from(`<D:href>/x</D:href>${text}`)), mapping.push(Buffer.from(text)), mapping.end()]
  },
  interimHead: text => interimHead({ status: 103, reason: text, body: { kind: 'none' }, fields: [] }, context),
  requestFields: text =>
    REQUEST_FIELDS.map(name => requestFields(admitted('/', name, text), { client, isTrustedPeer: true, pseudonym: 'sg-1' })),
  'requestFields, name': text => requestFields(admitted('/', text, ''), { client, isTrustedPeer: true, pseudonym: 'sg-1' }),
  requestTrailers: text => requestTrailers([text, '']),
  allowedTrailers: text => allowedTrailers([text, '']),
  nominated: text => nominated(['connection', text], ['connection']),
  admitRequest: text => admitted(text),
  'admitRequest, length': text => admitted('/', 'Content-Length', text),
  'identifyClient, plain': text => identifyClient(peer, { fields: ['', text], names: ['x-forwarded-for'], host: '' }, () => true),
  'identifyClient, Forwarded': text => identifyClient(peer, { fields: ['', text], names: ['forwarded'], host: '' }, () => true),
  'identifyClient, proto': text => identifyClient(peer, { fields: ['', text], names: ['x-forwarded-proto'], host: text }, () => true),
  http2Request: text => http2Request([':method', 'GET', ':path', text, ':authority', text, ':scheme', 'http', 'cookie', text], true),
  withSecondPaths: text =>
    withSecondPaths({ method: 'PUT', fields: ['If', text], names: ['if'] }, { located, publicHosts: ['a.test'], originHost: 'b' }),
  loggedPath,
  acceptsHtml,
  acceptsJson,
  parseHost,
  parseHostPort,
  parseRequestTarget,
  'canonicalPath, merging': text => canonicalPath(text, true),
  'canonicalPath, as sent': text => canonicalPath(text, false),
  parseTunnelName,
  parseAuthorization,
  isTunnelProof,
  AllowList: text => new AllowList(['*.lan:*', 'a-*-b:80']).check(text, 80),
  pathOf,
  cleanPath,
  printable,
  messageOf: text => messageOf(new Error(text)),
  encodeClose: text => encodeClose(1000, text),
}

/** Beginnings after which an expression looks for more. */
const STARTS = [
  '<href>/',
  '<a',

  '',
  '/',
  'http://',
  '0;url=a',
  '0;url="',
  '<',
  'a=b; Domain=x',
  'a=b; Path=/x',
  'a=b;',
  'Basic ',
  'application/',
  'for="[',
  'a.b.',
]
const REPEATED = [' ', '\n', 'a', '0', '/', ':', '.', ',', ';', '=', '"', '\\', '<', '[', '?', '+', '%41', '/..', '; ', '\u00e9']
const ENDS = ['y', '\u0000']
const CHARACTERS = 30_000
/** Linear reading takes a millisecond or two; what looks at each character once for every other one, half a second and more. */
const LIMIT_SECONDS = 0.2

/** Seconds of this process, which do not grow when others keep the machine busy. */
const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

const secondsOf = (read: (text: string) => unknown, text: string): number => {
  const before = cpuSeconds()
  try {
    read(text)
  } catch {
    // Refused, which is as good as read.
  }
  return cpuSeconds() - before
}

describe('long texts take no time', () => {
  test.each(Object.entries(FUNCTIONS))('%s', (_, read) => {
    for (const start of STARTS)
      for (const repeated of REPEATED) {
        const middle = repeated.repeat(CHARACTERS / repeated.length)
        for (const end of ENDS) {
          const text = start + middle + end
          // Once more where a collection of garbage fell into it.
          let took = secondsOf(read, text)
          for (let tries = 0; took > LIMIT_SECONDS && tries < 2; tries++) took = Math.min(took, secondsOf(read, text))
          if (took > LIMIT_SECONDS)
            throw new Error(`${took} s for ${JSON.stringify(start)}, ${JSON.stringify(repeated)} …, ${JSON.stringify(end)}`)
        }
      }
    expect(read).toBeDefined()
  })

  test('the inputs that stood still for ten seconds', () => {
    const spaces = ' '.repeat(60_000)
    const before = cpuSeconds()
    expect(rewriteRefresh(`0;url=a${spaces}b`, names)).toBe(`0;url=a${spaces}b`)
    expect(rewriteSetCookie(`a=b; Domain=x${spaces}y`, names)).toBe(`a=b; Domain=x${spaces}y`)
    expect(rewriteSetCookie(`a=b; Path=/x${spaces}y`, names)).toBe(`a=b; Path=/app/x${spaces}y`)
    expect(cpuSeconds() - before).toBeLessThan(2)
  })
})
