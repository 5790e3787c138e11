/** Client certificates: asked for by the hosts that want them, verified by their authorities, and by nothing else. */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { dirname, join } from 'node:path'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { startLaneLayers, type LaneLayers } from '../support/lanes.ts'
import { testWith } from '../support/needs.ts'
import { rawResponse } from '../support/raw-origin.ts'
import { tempDir } from '../support/temp.ts'
import { mint, type Pair, type Wanted } from '../support/visitor-certificates.ts'
import { within } from '../support/wait.ts'

const exec = promisify(execFile)

const authority = { ...mint({ commonName: 'Staff CA', isAuthority: true }), name: 'Staff CA' }
const stranger = { ...mint({ commonName: 'Other CA', isAuthority: true }), name: 'Other CA' }
const twin = { ...mint({ commonName: 'Staff CA', isAuthority: true }), name: 'Staff CA' }
const dns = (value: string): { readonly type: number; readonly value: string } => ({ type: 2, value })

let made: LaneLayers
let port: number
let directory: string

/** Status of a request to a host, over a connection of its own. */
async function ask(
  host: string,
  client?: Pair,
  { serverName = host, lines = {} }: { readonly serverName?: string; readonly lines?: object } = {},
): Promise<number> {
  const sent = new Promise<number>((resolve, reject) => {
    request(
      {
        host: '127.0.0.1',
        port,
        servername: serverName,
        path: '/',
        headers: { host, ...lines },
        rejectUnauthorized: false,
        agent: false,
        ...client,
      },
      response => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
      .on('error', reject)
      .end()
  })
  return within(sent, `an answer of ${host}`)
}

beforeAll(async () => {
  directory = tempDir()
  writeFileSync(join(directory, 'ca.pem'), authority.cert)
  writeFileSync(join(directory, 'other.pem'), stranger.cert)
  const store = await startStore([writePair(await mintServer(['*.test', 'plain.test']))])
  const target = 'protocol: http, hostname: 127.0.0.1, port: {port}'
  const ca = join(directory, 'ca.pem')
  made = await startLaneLayers(
    `
targets:
  any.test: {${target}, access: {certificates: {ca: '${ca}'}}}
  staff.test: {${target}, access: {certificates: {ca: '${ca}', names: ['*.staff.example.com', ada@example.com, 'spiffe://example.com/ci']}}}
  other.test: {${target}, access: {tokens: true, certificates: {ca: '${join(directory, 'other.pem')}'}}}
  plain.test: {${target}}
`,
    { outer: { appCertificates: store, trustProxy: [] } },
  )
  port = made.layers.port
})
beforeEach(() => {
  made.origin.clear()
  made.origin.handle((_, socket) => void socket.write(rawResponse(200, 'ok')))
})

describe('a certificate', () => {
  test('of the authority lets in, and says who it is', async () => {
    expect(await ask('any.test', mint({ commonName: 'Ada', names: [{ type: 1, value: 'ada@example.com' }], issuer: authority }))).toBe(200)
    const { last } = made.origin
    expect([last.values('x-auth-name'), last.values('x-auth-email')]).toEqual([['Ada'], ['ada@example.com']])
    expect(last.values('x-sg-identity')).toHaveLength(1)
    expect((await made.layers.accessLine(1)).visitor).toBe('ada@example.com')
    expect(await ask('any.test')).toBe(401)
  })

  test.each<[string, Wanted, number]>([
    ['has expired', { toMs: -3_600_000 }, 401],
    ['is not good yet', { fromMs: 3_600_000 }, 401],
    ['is of another authority', { issuer: stranger }, 401],
    ['is signed by itself', {}, 401],
    ['is for servers', { usage: { serverAuth: true } }, 401],
    ['is by an authority that is none', { issuer: { ...mint({ commonName: 'leaf', issuer: authority }), name: 'leaf' } }, 401],
  ])('that %s lets nobody in', async (_, wanted, status) => {
    const isOwn = _ === 'is signed by itself'
    expect(await ask('any.test', mint({ ...(isOwn ? {} : { issuer: authority }), ...wanted }))).toBe(status)
    expect(made.origin.hits).toBe(0)
  })

  test('of an authority that has the same name and another key lets nobody in, or ends in the handshake', async () => {
    // OpenSSL leaves a fault behind of which Node.js 20 makes the end of the connection.
    expect([401, 'cut']).toContain(await ask('any.test', mint({ issuer: twin })).catch(() => 'cut'))
    expect(made.origin.hits).toBe(0)
  })

  test.each<[string, Wanted, number]>([
    ['a name below', { names: [dns('ada.staff.example.com')] }, 200],
    ['a name in capitals', { names: [dns('ADA.Staff.Example.com')] }, 200],
    ['the common name, where there is no other', { commonName: 'ada.staff.example.com' }, 200],
    ['an address', { names: [{ type: 1, value: 'Ada@Example.com' }] }, 200],
    ['a URI', { names: [{ type: 6, value: 'spiffe://example.com/ci' }] }, 200],
    ['two labels', { names: [dns('a.b.staff.example.com')] }, 403],
    ['no label', { names: [dns('staff.example.com')] }, 403],
    ['a longer domain', { names: [dns('ada.staff.example.com.evil.test')] }, 403],
    ['another domain', { names: [dns('ada.evilstaff.example.com')] }, 403],
    ['the common name beside others', { commonName: 'ada.staff.example.com', names: [dns('evil.test')] }, 403],
    ['a text that reads as two names', { names: [dns('evil.test, DNS:ada.staff.example.com')] }, 403],
    ['an address in a name of DNS', { names: [dns('ada@example.com')] }, 403],
    ['another URI', { names: [{ type: 6, value: 'spiffe://example.com/ci/x' }] }, 403],
    ['nothing', { commonName: 'Ada' }, 403],
  ])('with %s among names: %#', async (_, wanted, status) => {
    expect(await ask('staff.test', mint({ issuer: authority, ...wanted }))).toBe(status)
  })

  test('counts at its own host alone: neither by another authority nor over a connection for another host', async () => {
    const good = mint({ commonName: 'Ada', issuer: authority })
    expect(await ask('other.test', good)).toBe(401)
    expect(await ask('other.test', mint({ issuer: stranger }))).toBe(200)
    expect(await ask('any.test', good, { serverName: 'other.test' })).toBe(421)
    expect(await ask('any.test', good, { serverName: 'plain.test' })).toBe(421)
    expect(await ask('any.test', mint({ issuer: stranger }), { serverName: 'other.test' })).toBe(421)
    expect(made.origin.hits).toBe(1)
  })

  test('is asked for by hosts that want one, and by no other', async () => {
    const isAsked = async (servername: string): Promise<boolean> => {
      const socket = connect({
        host: '127.0.0.1',
        port,
        servername,
        rejectUnauthorized: false,
        maxVersion: 'TLSv1.2',
        ...mint({ issuer: authority }),
      })
      await within(new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)), 'TLS')
      // Sent where it was asked for: in TLS 1.2 nothing else is ever sent.
      const sent = socket.getCertificate() as { readonly subject?: object } | null
      const finished = socket.getSession()
      socket.destroy()
      return sent !== null && finished !== undefined
    }
    expect(await isAsked('any.test')).toBe(true)
    expect(await ask('plain.test', mint({ issuer: stranger }))).toBe(200)
    expect(made.origin.last.values('x-auth-name')).toEqual([])
  })

  test('of a first message that comes byte by byte is found all the same', async () => {
    const { Duplex } = await import('node:stream')
    const { connect: dial } = await import('node:net')
    const raw = dial(port, '127.0.0.1')
    let isFirst = true
    const slow = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _, done) => {
        if (!isFirst) return void raw.write(chunk, done)
        isFirst = false
        for (const byte of chunk) raw.write(Buffer.from([byte]))
        done()
      },
    })
    raw.setNoDelay(true).on('data', chunk => slow.push(chunk))
    const socket = connect({
      socket: slow,
      servername: 'any.test',
      rejectUnauthorized: false,
      ...mint({ commonName: 'Ada', issuer: authority }),
    })
    socket.write('GET / HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n')
    const answer = await within(new Promise<string>(resolve => socket.once('data', chunk => resolve(String(chunk)))), 'an answer')
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    socket.destroy()
    raw.destroy()
  })
})

testWith(['curl'], 'curl comes in with its certificate, over HTTP/2 as well', async () => {
  const client = mint({ commonName: 'curl', issuer: authority })
  const [cert, key] = [join(directory, 'curl.crt'), join(directory, 'curl.key')]
  writeFileSync(cert, client.cert)
  writeFileSync(key, client.key)
  const curl = async (...more: string[]): Promise<string> => {
    const { stdout } = await exec('curl', [
      '-sk',
      '--resolve',
      `any.test:${port}:127.0.0.1`,
      '-o',
      '/dev/null',
      '-w',
      '%{http_version} %{http_code}',
      ...more,
      `https://any.test:${port}/`,
    ])
    return stdout
  }
  expect(await curl('--cert', cert, '--key', key, '--http1.1')).toBe('1.1 200')
  expect(await curl('--cert', cert, '--key', key, '--http2')).toBe('2 200')
  expect(await curl('--http2')).toBe('2 401')
})

testWith(['openssl'], 'a certificate that its authority has revoked lets nobody in', async () => {
  const folder = join(directory, 'crl')
  mkdirSync(folder)
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  file('index.txt', '')
  file('number', '01\n')
  const [good, bad] = [mint({ commonName: 'good', issuer: authority }), mint({ commonName: 'bad', issuer: authority })]
  const config = file(
    'ca.cnf',
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${folder}/index.txt\ncrlnumber=${folder}/number\ndefault_md=sha256\ndefault_crl_days=30\n`,
  )
  const [ca, key, revoked] = [file('ca.pem', authority.cert), file('ca.key', authority.key), file('bad.pem', bad.cert)]
  const openssl = (...args: string[]): Promise<unknown> => exec('openssl', ['ca', '-config', config, '-cert', ca, '-keyfile', key, ...args])
  await openssl('-revoke', revoked)
  await openssl('-gencrl', '-out', join(folder, 'crl.pem'))
  const store = await startStore([writePair(await mintServer(['crl.test']))])
  const own = await startLaneLayers(
    `targets: {crl.test: {protocol: http, hostname: 127.0.0.1, port: {port}, access: {certificates: {ca: '${ca}', crl: '${join(dirname(ca), 'crl.pem')}'}}}}`,
    { outer: { appCertificates: store } },
  )
  const before = port
  port = own.layers.port
  try {
    expect([await ask('crl.test', good), await ask('crl.test', bad), own.origin.hits]).toEqual([200, 401, 1])
  } finally {
    port = before
  }
})
