/** WebDAV: the second path of a request is under the same rules as the first, and Apache and litmus find nothing to complain about. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { startApache } from '../support/apache.ts'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { H2Client } from '../support/h2-client.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { programPath, testWith } from '../support/needs.ts'
import { startProcess } from '../support/process.ts'
import { rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { tempDir } from '../support/temp.ts'

describe('Destination and If', () => {
  let origin: RawOrigin
  let layers: Layers
  beforeAll(async () => {
    origin = await startRawOrigin()
    layers = await startLayers({
      outer: { appH2c: true },
      targets: `targets:
  dav.test:
    protocol: http
    hostname: 127.0.0.1
    port: ${origin.port}
    policy: { '^/dav/pub(/.*)?': '*' }
  app.test: { protocol: http, hostname: 127.0.0.1, port: ${origin.port}, stripPrefix: /app, preserveHost: true }
`,
    })
  })

  const ask = async (host: string, path: string, ...lines: readonly string[]): Promise<string> => {
    const { text } = await rawRequest(
      layers.port,
      ['COPY ' + path + ' HTTP/1.1', `Host: ${host}`, 'Connection: close', ...lines, '', ''].join('\r\n'),
    )
    return text.slice(0, 12)
  }

  test('reach the origin in its own terms', async () => {
    const told = `http://127.0.0.1:${origin.port}/dav/pub/b`
    expect(await ask('dav.test', '/dav/pub/a', 'Destination: http://dav.test/dav/pub/b', 'If: <http://dav.test/dav/pub/b> (<urn:x>)')).toBe(
      'HTTP/1.1 200',
    )
    expect(origin.last.values('destination')).toEqual([told])
    expect(origin.last.values('if')).toEqual([`<${told}> (<urn:x>)`])
    expect(await ask('app.test', '/app/a', 'Destination: https://app.test/app/b')).toBe('HTTP/1.1 200')
    expect(origin.last.values('destination')).toEqual(['http://app.test/b'])
  })

  test.each([
    ['what the policy forbids', 'http://dav.test/dav/private/s.txt', 403],
    ['what it forbids, by a detour', 'http://dav.test/dav/pub/%2e%2e/private/s.txt', 403],
    ['two readings', 'http://dav.test/dav/pub/..%2fprivate/s.txt', 400],
    ['another host', 'http://app.test/dav/pub/b', 502],
    ['the origin', 'http://127.0.0.1/dav/pub/b', 502],
  ])('are refused for %s, and nothing is sent', async (_, url, status) => {
    const before = origin.hits
    expect(await ask('dav.test', '/dav/pub/a', `Destination: ${url}`)).toBe(`HTTP/1.1 ${status}`)
    expect(await ask('dav.test', '/dav/pub/a', 'Destination: /dav/pub/b', `If: <${url}> (<urn:x>)`)).toBe(`HTTP/1.1 ${status}`)
    const client = H2Client.open(layers.port)
    const answer = await client.get({ ':method': 'MOVE', ':authority': 'dav.test', ':path': '/dav/pub/a', destination: url })
    expect(answer.status).toBe(status)
    const lower = await client.get({ ':method': 'copy', ':authority': 'dav.test', ':path': '/dav/pub/a', destination: url })
    expect(lower.status).toBe(status)
    expect(origin.hits).toBe(before)
  })
})

describe('hrefs of a multistatus', () => {
  const body =
    '<D:multistatus xmlns:D="DAV:"><D:href>/a%20b/</D:href><D:href>http://127.0.0.1:PORT/c</D:href><D:href>mailto:x</D:href></D:multistatus>'
  const answers = async (path: string, ...lines: readonly string[]): Promise<string> => {
    const origin = await startRawOrigin()
    const sent = body.replace('PORT', String(origin.port))
    origin.handle((_request, socket) => void socket.write(rawResponse(207, sent, lines)))
    const layers = await startLayers({
      targets: `targets: { dav.test: { protocol: http, hostname: 127.0.0.1, port: ${origin.port}, routes: [{ path: /app, stripPrefix: true }] } }`,
    })
    const { text } = await rawRequest(layers.port, `PROPFIND ${path} HTTP/1.1\r\nHost: dav.test\r\nConnection: close\r\n\r\n`)
    return text.replaceAll(String(origin.port), 'PORT')
  }

  test('have the paths of the client under stripPrefix', async () => {
    const text = await answers('/app/', 'Content-Type: application/xml; charset="utf-8"', 'Content-MD5: x')
    for (const href of ['/app/a%20b/', 'http://dav.test/app/c', 'mailto:x']) expect(text).toContain(`<D:href>${href}</D:href>`)
    expect(text).not.toMatch(/^content-(?:md5|length):/im)
  })

  test.each([
    ['where no path is mapped', '/', 'Content-Type: text/xml'],
    ['in another type', '/app/', 'Content-Type: text/plain'],
    ['in a coding', '/app/', 'Content-Type: text/xml\r\nContent-Encoding: br'],
    ['with no-transform', '/app/', 'Content-Type: text/xml\r\nCache-Control: private, no-transform'],
  ])('stay %s', async (_, path, line) => {
    expect(await answers(path, line)).toContain(body)
  })
})

describe('Apache', () => {
  testWith(['apache2'], 'a file outside of the policy is not overwritten by COPY', async () => {
    const { port, root } = await startApache(['dav', 'dav/pub', 'dav/private'])
    const layers = await startLayers({
      targets: `targets: { dav.test: { protocol: http, hostname: 127.0.0.1, port: ${port}, policy: { '^/dav/pub(/.*)?': '*' } } }`,
    })
    writeFileSync(join(root, 'dav/pub/a.txt'), 'public')
    writeFileSync(join(root, 'dav/private/s.txt'), 'secret')
    const copy = async (to: string): Promise<string> => {
      const lines = ['COPY /dav/pub/a.txt HTTP/1.1', 'Host: dav.test', `Destination: http://dav.test${to}`, 'Connection: close', '', '']
      return (await rawRequest(layers.port, lines.join('\r\n'))).text.slice(0, 12)
    }
    expect(await copy('/dav/private/s.txt')).toBe('HTTP/1.1 403')
    expect(readFileSync(join(root, 'dav/private/s.txt'), 'utf8')).toBe('secret')
    expect(await copy('/dav/pub/b.txt')).toBe('HTTP/1.1 201')
    expect(existsSync(join(root, 'dav/pub/b.txt'))).toBe(true)
  })

  /** The last words of the five programs of litmus, then what failed. */
  const litmus = async (url: string): Promise<string[]> => {
    const child = startProcess(['-k', url], { program: programPath('litmus')!, cwd: tempDir() })
    await child.exit
    const summaries = child.output.match(/^<- summary for .*$/gm) ?? []
    if (summaries.length !== 5) throw new Error(child.output)
    return [...summaries, ...(child.output.match(/^.*(?:FAIL|SKIPPED).*$/gm) ?? [])]
  }
  const passed = (summaries: readonly string[]): number =>
    summaries.map(line => Number(/ (\d+) passed/.exec(line)?.[1] ?? 0)).reduce((sum, each) => sum + each, 0)

  testWith(
    ['apache2', 'litmus'],
    'litmus passes 104 of 104, on a plain and on a TLS edge, plain and under stripPrefix, with either Host',
    async () => {
      const { port } = await startApache()
      const store = await startStore([writePair(await mintServer(['127.0.0.1']))])
      for (const outer of [{}, { appCertificates: store }])
        for (const rest of ['', ', preserveHost: true', ', stripPrefix: /app', ', stripPrefix: /app, preserveHost: true']) {
          const layers = await startLayers({
            outer,
            targets: `targets: { 127.0.0.1: { protocol: http, hostname: 127.0.0.1, port: ${port}${rest} } }`,
          })
          const scheme = 'appCertificates' in outer ? 'https' : 'http'
          const url = `${scheme}://127.0.0.1:${layers.port}${rest.includes('stripPrefix') ? '/app' : ''}/`
          const summaries = await litmus(url)
          // One test is for plain HTTP alone: litmus skips it itself.
          const rests = scheme === 'https' ? [expect.stringContaining('SKIPPED (skipping for SSL server)')] : []
          expect({ url, rest, passed: passed(summaries), rests: summaries.slice(5) }).toEqual({
            url,
            rest,
            passed: 104 - rests.length,
            rests,
          })
        }
    },
    300_000,
  )
})
