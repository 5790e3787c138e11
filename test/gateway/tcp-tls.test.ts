import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { connect, createServer as createTlsServer, type ConnectionOptions } from 'node:tls'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { attentionOf } from '../../console/operator/attention.ts'
import type { OuterStatus } from '../../src/admin/status.ts'
import type { MintedPair } from '../../src/identity/certificate.ts'
import { parseProxyHeader } from '../../src/net/read-proxy-header.ts'
import type { CreateCertificates } from '../../src/outer/tcp-edge/tcp-terminator.ts'
import { valuesOf } from '../support/proxy-values.ts'
import { CertificateStore } from '../../src/tls/certificate-store.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { issuerOf, mintAuthority, mintServer, writePair, type PairFiles } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { freePort, listen } from '../support/ports.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startTcpLayers, toOrigin, type TcpLayers } from '../support/tcp-layers.ts'
import { startLayers } from '../support/layers.ts'
import type { GatewayEvent } from '../../src/events/event.ts'
import { Events } from '../../src/events/events.ts'
import { tcpSection } from '../support/tcp-layers.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { testWith } from '../support/needs.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { once, until } from '../support/wait.ts'

let authority: MintedPair
let files: PairFiles

beforeAll(async () => {
  authority = await mintAuthority()
  files = writePair(await mintServer(['db.example.com', '*.wild.example', 'localhost'], authority))
})

const certificates: CreateCertificates = (clientCa, clientCrl) =>
  new CertificateStore({
    ...{ certificates: [files.certificate], keys: [files.key], clientCrl, pollMs: 20 },
    ...(clientCa !== undefined && { clientCa }),
  })

const startTls = (keys: string, more: Parameters<typeof startTcpLayers>[1] = {}): Promise<TcpLayers> =>
  startTcpLayers(keys, { ...more, outer: { ...more.outer, tcpCertificates: certificates } })

const trusting = (servername: string, more: ConnectionOptions = {}): { readonly tls: ConnectionOptions } => ({
  tls: { ca: authority.certificatePem, servername, ...more },
})

/** The list of an authority, by OpenSSL. @param folder  of its own */
async function revocationList(
  folder: string,
  { certificatePem, privateKeyPem }: MintedPair,
  revoked: readonly MintedPair[],
): Promise<string> {
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const [cert, key] = [file('ca.crt', certificatePem), file('ca.key', privateKeyPem)]
  const settings = `database=${file('index.txt', '')}\ncrlnumber=${file('number', '01\n')}\ndefault_md=sha256\ndefault_crl_days=30\n`
  const config = file('ca.cnf', `[ca]\ndefault_ca=d\n[d]\n${settings}`)
  const openssl = (...args: string[]) => promisify(execFile)('openssl', ['ca', '-config', config, '-cert', cert, '-keyfile', key, ...args])
  for (const [i, pair] of revoked.entries()) await openssl('-revoke', file(`${i}.crt`, pair.certificatePem))
  return (await openssl('-gencrl')).stdout
}

describe('tls: true', () => {
  test('ends TLS; the origin gets plain TCP, and each half ends on its own', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTls(toOrigin(origin.port, 'tls: true'))
    const client = await RawConnection.open(layers.tcpPort, trusting('db.example.com'))
    expect(client.socket).toMatchObject({ encrypted: true, authorized: true })
    const sent = Buffer.alloc(1_000_000, 'x')
    client.socket.end(sent)
    expect(await client.closed).toBe('fin')
    expect(client.bytes.equals(sent)).toBe(true)
    const line = await layers.connectionLine()
    expect(line).toMatchObject({ name: 'db.example.com', bytesIn: 1_000_000, bytesOut: 1_000_000, identifier: 'inner-layer' })
    expect(line.error).toBeUndefined()
    await until(() => layers.outer.tcpConnections === 0 && layers.inner.streamCount === 0)
  })

  test('a reset of the origin does not look like a clean end', async () => {
    const origin = await startTcpOrigin(socket => socket.once('data', () => socket.resetAndDestroy()))
    const layers = await startTls(toOrigin(origin.port, 'tls: true'))
    const client = await RawConnection.open(layers.tcpPort, trusting('db.example.com'))
    expect(await client.write('x').closed).toBe('rst')
    expect(await layers.connectionLine()).toMatchObject({ error: 'ORIGIN_CLOSED' })
  })

  test('finds the origin by name; a name without one is cut and logged', async () => {
    const [one, two] = [await startTcpOrigin(socket => socket.write('one')), await startTcpOrigin(socket => socket.write('two'))]
    const names = `"db.example.com": {${toOrigin(one.port)}}, "*.wild.example": {${toOrigin(two.port)}}`
    const layers = await startTls(`tls: true, names: {${names}}`)
    expect(await (await RawConnection.open(layers.tcpPort, trusting('db.example.com'))).read(/one|two/)).toBe('one')
    expect(await (await RawConnection.open(layers.tcpPort, trusting('a.wild.example'))).read(/one|two/)).toBe('two')
    const lost = await RawConnection.open(layers.tcpPort, trusting('localhost'))
    expect(await lost.closed).toBe('rst')
    expect(await layers.connectionLine()).toMatchObject({ error: 'UNKNOWN_HOST', name: 'localhost' })
  })

  test('demands client certificates of its authorities', async () => {
    const origin = await startTcpOrigin(echo)
    const clientCa = tempFile('clients.crt', authority.certificatePem)
    const layers = await startTls(toOrigin(origin.port, `tls: true, proxyProtocol: 2, clientCa: "${clientCa}"`))
    const user = await mintKeyPair({ type: 'ec', commonName: 'alice', validityYears: 1, purpose: 'client', issuer: issuerOf(authority) })
    const stranger = await mintKeyPair({ type: 'ec', commonName: 'alice', validityYears: 1, purpose: 'client' })
    const withCertificate = ({ certificatePem: cert, privateKeyPem: key }: MintedPair) => trusting('db.example.com', { cert, key })

    const refused = await RawConnection.open(layers.tcpPort, trusting('db.example.com'))
    expect(await refused.closed).toBe('rst')
    const strange = await RawConnection.open(layers.tcpPort, withCertificate(stranger))
    expect(await strange.closed).toBe('rst')
    expect(await layers.connectionLine(2)).toMatchObject({
      error: 'CLIENT_TLS',
      reason: expect.stringContaining('client certificate'),
      bytesIn: 0,
    })
    expect(origin.accepted).toBe(0)

    const client = await RawConnection.open(layers.tcpPort, withCertificate(user))
    client.end()
    await client.closed
    expect(client.text).toContain('alice')
    expect(await layers.connectionLine(3)).toMatchObject({ visitor: 'alice', lane: 'certificate' })
  })

  test('lets in certificates with one of its names alone, and tells the origin whose it is', async () => {
    const origin = await startTcpOrigin(echo)
    const clientCa = tempFile('clients.crt', authority.certificatePem)
    const keys = `tls: true, proxyProtocol: 2, identity: true, clientCa: "${clientCa}", clientNames: ["alice"]`
    const layers = await startTls(toOrigin(origin.port, keys), { outer: { admin: { host: '127.0.0.1', port: 0 } } })
    const visit = async (commonName: string): Promise<RawConnection> => {
      const mint = { type: 'ec', commonName, validityYears: 1, purpose: 'client', issuer: issuerOf(authority) } as const
      const { certificatePem: cert, privateKeyPem: key } = await mintKeyPair(mint)
      return RawConnection.open(layers.tcpPort, trusting('db.example.com', { cert, key }))
    }
    const refused = await visit('eve')
    expect(await refused.closed).toBe('rst')
    expect(await layers.connectionLine()).toMatchObject({ error: 'VISITOR_FORBIDDEN', reason: expect.stringContaining('eve'), bytesIn: 0 })
    const client = await visit('alice')
    client.end()
    await client.closed
    const values = valuesOf(client.bytes)
    expect([0xe0, 0xe1, 0xe2, 0xe3, 0xe5].map(type => values.get(type)?.toString())).toEqual([
      'certificate',
      expect.stringMatching(/^certificate\|[0-9a-f]{64}$/),
      undefined,
      'alice',
      undefined,
    ])
    const metrics = parseMetrics((await ask(layers.outer.adminPort, '/metrics')).text)
    for (const outcome of ['admitted', 'refused'])
      expect(metrics.get(`socket_gateway_visitors_total{lane="certificate",outcome="${outcome}"}`)).toBe(1)
  })

  testWith(['openssl'], 'asks the lists of what was revoked, which are followed, of each authority in the file', async () => {
    const origin = await startTcpOrigin(echo)
    const other = await mintKeyPair({ type: 'ec', commonName: 'other CA', validityYears: 1, purpose: 'ca' })
    const [folder, otherFolder] = [tempDir(), tempDir()]
    const clientCa = tempFile('clients.crt', authority.certificatePem + other.certificatePem)
    const clientOf = (commonName: string, by: MintedPair): Promise<MintedPair> =>
      mintKeyPair({ type: 'ec', commonName, validityYears: 1, purpose: 'client', issuer: issuerOf(by) })
    const [alice, eve, bob] = [await clientOf('alice', authority), await clientOf('eve', authority), await clientOf('bob', other)]
    const lists = async (revoked: readonly MintedPair[]): Promise<string> =>
      (await revocationList(folder, authority, revoked)) + (await revocationList(otherFolder, other, []))
    const clientCrl = tempFile('clients.crl', await lists([eve]))
    const events = new Events({ nowMs: Date.now, onFault: thrown => expect(thrown).toBeUndefined(), holdScale: 0.001 })
    onCleanUp(() => events.close())
    const layers = await startTls(toOrigin(origin.port, `tls: true, clientCa: "${clientCa}", clientCrl: "${clientCrl}"`), {
      outer: { events, admin: { port: 0 } },
    })
    const comesIn = async ({ certificatePem: cert, privateKeyPem: key }: MintedPair): Promise<boolean> => {
      const client = await RawConnection.open(layers.tcpPort, trusting('db.example.com', { cert, key }))
      client.socket.end('hello')
      await client.closed
      return client.text === 'hello'
    }
    expect([await comesIn(alice), await comesIn(eve), await comesIn(bob)]).toEqual([true, false, true])
    expect(await layers.connectionLine(2)).toMatchObject({ error: 'CLIENT_TLS', reason: expect.stringMatching(/CERT_REVOKED|revoked/) })
    writeFileSync(clientCrl, await lists([eve, alice]))
    await until(async () => !(await comesIn(alice)), { what: 'the newer list' })
    expect([await comesIn(eve), await comesIn(bob)]).toEqual([false, true])
    // What is no list changes nothing.
    writeFileSync(clientCrl, 'nothing')
    expect([await comesIn(alice), await comesIn(bob)]).toEqual([false, true])
    const told = (name: string): Promise<GatewayEvent> =>
      until(() => events.book.list({ limit: 1_000 }).items.find(event => event.name === name), { what: name })
    const what = 'authorities of the TCP ports'
    expect(await told('reload.refused')).toMatchObject({
      subject: what,
      fields: { what, reason: expect.stringContaining(clientCrl) },
    })
    // And operators see it as long as it is so.
    const seen = async (path = '/status'): Promise<OuterStatus> => JSON.parse((await ask(layers.outer.adminPort, path)).text) as OuterStatus
    const degraded = 'authorities of clients of TCP ports are not valid; the last good ones are in force'
    expect((await seen()).tcp.faults).toEqual([expect.stringContaining(clientCrl)])
    expect((await seen('/readyz')).degraded).toEqual([degraded])
    expect(attentionOf(await seen(), Date.now()).map(({ text }) => text)).toEqual([
      expect.stringMatching(/^Not in force: .*list/),
      degraded,
    ])
    writeFileSync(clientCrl, await lists([eve, alice]))
    expect(await told('reload.well')).toMatchObject({ subject: what })
    expect((await seen()).tcp.faults).toEqual([])
    expect((await seen('/readyz')).degraded).toBeUndefined()
    // The authorities themselves are told of in the same way, and those in force stay.
    writeFileSync(clientCa, 'nothing')
    const again = (): GatewayEvent | undefined =>
      events.book.list({ limit: 1_000 }).items.find(({ fields }) => String(fields['reason']).includes(clientCa))
    expect(await until(again, { what: 'the authorities' })).toMatchObject({ name: 'reload.refused', subject: what })
    expect(await comesIn(bob)).toBe(true)
  })

  test('a client that speaks something else is reset, and the log says what it was', async () => {
    const layers = await startTls(toOrigin(1, 'tls: true'))
    const client = await RawConnection.open(layers.tcpPort)
    client.write('GET / HTTP/1.1\r\n\r\n')
    await client.closed
    expect(await layers.connectionLine()).toMatchObject({ error: 'CLIENT_TLS', reason: expect.stringContaining('http request') })
  })

  test.each([
    ['an SSLRequest', '0000000804d2162f', 'S'],
    ['a GSSENCRequest before it', '0000000804d21630', 'N'],
  ])('understands %s of PostgreSQL', async (_what, request, answer) => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTls(toOrigin(origin.port, 'tls: true'))
    const socket = connectTcp({ port: layers.tcpPort, host: '127.0.0.1' })
    onCleanUp(() => socket.destroy())
    socket.write(Buffer.from(request, 'hex'))
    const [said] = (await once(socket, 'data')) as [Buffer]
    expect(said.toString()).toBe(answer)
    const client = connect({ socket, ca: authority.certificatePem, servername: 'db.example.com' })
    await once(client, 'secureConnect')
    client.write('inside')
    const [echoed] = (await once(client, 'data')) as [Buffer]
    expect(echoed.toString()).toBe('inside')
  })

  test('what comes in the clear behind an SSLRequest is not taken for what comes inside TLS (CVE-2021-23214)', async () => {
    const layers = await startTls(toOrigin(1, 'tls: true'))
    const client = await RawConnection.open(layers.tcpPort)
    client.write(Buffer.from(`0000000804d2162f${Buffer.from('injected').toString('hex')}`, 'hex'))
    expect(await client.closed).toBe('rst')
    expect(await layers.connectionLine()).toMatchObject({ error: 'CLIENT_TLS' })
  })

  test('without certificates of the gateway such a port is an error at the start', async () => {
    const section = tcpSection({ [await freePort()]: toOrigin(1, 'tls: true') })
    await expect(startLayers({ targets: section, inners: 0 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('--tls-certificate'),
    })
  })

  test('nor do other ports suffer when a reload asks for one', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port))
    const other = await freePort()
    writeFileSync(layers.targetsFile, tcpSection({ [layers.tcpPort]: toOrigin(origin.port), [other]: toOrigin(origin.port, 'tls: true') }))
    await until(() => layers.outerLogs.some(({ level, msg }) => level === 'error' && msg.includes('--tls-certificate')))
    expect(layers.outer.tcpPorts).toEqual([layers.tcpPort])
    const client = await RawConnection.open(layers.tcpPort)
    expect(await client.write('x').read('x')).toBe('x')
    expect(await (await fetch(`http://127.0.0.1:${layers.socketPort}/readyz`)).text()).toContain(`1 TCP port is not open: ${other}`)
  })
})

describe('tls: passthrough', () => {
  /** A TLS server of its own, which says its name. */
  const startSecret = async (name: string): Promise<number> => {
    const pair = await mintServer([name], authority)
    const server = createTlsServer({ key: pair.privateKeyPem, cert: pair.certificatePem }, socket => socket.write(name))
    return listen(server)
  }

  test('finds the origin by name without opening TLS', async () => {
    const [a, b, other] = [await startSecret('a.example'), await startSecret('x.b.example'), await startSecret('other.example')]
    const names = `a.example: {${toOrigin(a)}}, "*.b.example": {${toOrigin(b)}}, "*": {${toOrigin(other)}}`
    const layers = await startTcpLayers(`tls: passthrough, names: {${names}}`)
    for (const [i, name] of ['a.example', 'x.b.example', 'other.example'].entries()) {
      const client = await RawConnection.open(layers.tcpPort, trusting(name)) // the certificate is the origin's
      expect(await client.read(/example$/)).toBe(name)
      client.end()
      await client.closed
      await layers.connectionLine(i + 1)
    }
    expect(layers.connectionLog.map(({ name }) => name)).toEqual(['a.example', 'x.b.example', 'other.example'])
    // No name at all goes to "*".
    const nameless = await RawConnection.open(layers.tcpPort, { tls: { servername: '', rejectUnauthorized: false } })
    expect(await nameless.read(/example$/)).toBe('other.example')
  })

  test('a name without an entry, and none, gets the alert unrecognized_name', async () => {
    const layers = await startTcpLayers(`tls: passthrough, names: {a.example: {${toOrigin(1)}}}`)
    for (const servername of ['b.example', '']) {
      await expect(RawConnection.open(layers.tcpPort, { tls: { servername, rejectUnauthorized: false } })).rejects.toThrow(
        /unrecognized name/,
      )
    }
    await layers.connectionLine(2)
    expect(layers.connectionLog).toMatchObject([{ error: 'UNKNOWN_HOST', name: 'b.example' }, { error: 'UNKNOWN_HOST' }])
    expect(layers.outer.tcpConnections).toBe(0)
  })

  test('reads a hello that comes byte by byte', async () => {
    const a = await startSecret('a.example')
    const layers = await startTcpLayers(`tls: passthrough, names: {a.example: {${toOrigin(a)}}}`)
    const { startRelay } = await import('../support/relay.ts')
    const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.tcpPort }, splitAt: 1 })
    expect(await (await RawConnection.open(relay.port, trusting('a.example'))).read('a.example')).toBe('a.example')
  })

  test('a client that speaks something else is reset', async () => {
    const layers = await startTcpLayers(`tls: passthrough, names: {a.example: {${toOrigin(1)}}}`)
    const client = await RawConnection.open(layers.tcpPort)
    expect(await client.write('SSH-2.0-x\r\n').closed).toBe('rst')
    expect(await layers.connectionLine()).toMatchObject({ error: 'BAD_REQUEST', reason: 'this is no TLS' })
  })
})

describe('the PROXY protocol tells the origin who the client is', () => {
  const startHeader = async (
    keys: string,
    tls?: ConnectionOptions,
  ): Promise<{ header: Buffer; client: RawConnection; layers: TcpLayers; rest: string }> => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTls(toOrigin(origin.port, keys))
    const client = await RawConnection.open(layers.tcpPort, tls === undefined ? {} : { tls })
    client.write('payload')
    const header = Buffer.from((await client.read('payload')).slice(0, -'payload'.length), 'latin1')
    client.end()
    const line = await layers.connectionLine()
    expect(line.bytesIn).toBe('payload'.length) // the header is ours, not the client's
    return { header, client, layers, rest: header.toString('latin1') }
  }

  test('version 1', async () => {
    const { rest, layers } = await startHeader('proxyProtocol: 1')
    expect(rest).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${layers.connectionLog[0]!.clientPort} ${layers.tcpPort}\r\n`)
  })

  test('version 2', async () => {
    const { header, layers } = await startHeader('proxyProtocol: 2')
    const port = (number: number): string => number.toString(16).padStart(4, '0')
    const { clientPort } = layers.connectionLog[0]!
    expect(header.toString('hex')).toBe(`0d0a0d0a000d0a515549540a2111000c7f0000017f000001${port(clientPort)}${port(layers.tcpPort)}`)
  })

  test('version 2, with what TLS knew where it was ended', async () => {
    const { header } = await startHeader('proxyProtocol: 2, tls: true', trusting('db.example.com').tls)
    expect(parseProxyHeader(header)).toMatchObject({ length: header.length, source: { address: '127.0.0.1' } })
    const values = new Map<number, Buffer>()
    for (let at = 28; at < header.length; at += 3 + header.readUInt16BE(at + 1))
      values.set(header[at]!, header.subarray(at + 3, at + 3 + header.readUInt16BE(at + 1)))
    expect([...values.keys()]).toEqual([0x02, 0x20])
    expect(values.get(0x02)?.toString()).toBe('db.example.com')
    const ssl = values.get(0x20)!
    expect(ssl.subarray(0, 5).toString('hex')).toBe('0100000001') // TLS, no client certificate
    expect(ssl.subarray(5, 8 + 7).toString('latin1')).toBe('\x21\x00\x07TLSv1.3')
    expect(ssl.subarray(15).toString('latin1')).toMatch(/^\x23\x00.TLS_/)
  })
})
