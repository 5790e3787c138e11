/** The socket port with TLS: wss://, and client certificates that have to be those of the key in use. */
import { createPrivateKey } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { mintKeyPair, type MintedPair } from '../../src/identity/certificate.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import { KeyFiles } from '../../src/identity/public-keys.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { createInnerLayer, type InnerLayerOptions } from '../../src/inner/inner-layer.ts'
import type { CertificateStore } from '../../src/tls/certificate-store.ts'
import { run } from '../cli/context.ts'
import { issuerOf, mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { captureLog, startLayers, testKeyPair, type Layers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

let authority: MintedPair
let origin: RawOrigin

beforeAll(async () => {
  origin = await startRawOrigin()
  authority = await mintAuthority()
})

const startWss = async (more: { clientCa?: string } = {}): Promise<{ layers: Layers; store: CertificateStore }> => {
  const store = await startStore([writePair(await mintServer(['127.0.0.1', 'localhost'], authority))], more)
  return { store, layers: await startLayers({ origin: origin.port, inners: 0, outer: { socketCertificates: store } }) }
}

/** What the inner layers say, all of them. */
const innerLog = captureLog()

/** Begins to dial; whether it gets through is another matter. */
const dialWith = (layers: Layers, options: Partial<InnerLayerOptions> = {}): void => {
  const { privateKey } = layers
  const inner = createInnerLayer(
    {
      privateKey,
      outerLayers: [`wss://127.0.0.1:${layers.socketPort}`],
      outerLayerCa: authority.certificatePem,
      identifier: 'inner-layer',
      connections: 1,
      allowList: new AllowList([]),
      drainTimeoutMs: 5_000,
      ...options,
    },
    { log: innerLog.log },
  )
  onCleanUp(() => inner.destroy())
  void inner.start()
}

const statusOf = async ({ port }: Layers): Promise<string> =>
  (await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')).text.slice(0, 12)

/** A certificate for the key that inner layers of tests prove, signed by `issuer`. */
const mintFor = async (issuer: MintedPair | undefined): Promise<MintedPair> =>
  mintKeyPair({ type: 'ec', commonName: 'inner-layer', validityYears: 1, ...(issuer && { issuer: issuerOf(issuer) }) })

const privateKeyOf = (pair: MintedPair): PrivateKey => ({
  key: createPrivateKey(pair.privateKeyPem),
  kid: pair.thumbprint,
  algorithm: 'ES256',
})

describe('wss:// at the socket port', () => {
  test('carries links, and the links survive new certificates, which the next link gets', async () => {
    const { layers, store } = await startWss()
    dialWith(layers)
    await layers.connected(1)
    expect(await statusOf(layers)).toBe('HTTP/1.1 200')
    const [first] = layers.outer.registry.connections
    const before = store.match(undefined).cert
    const { source } = store.match(undefined)
    writePair(await mintServer(['127.0.0.1'], authority), 'server', source.slice(0, source.lastIndexOf('/')))
    await until(() => store.match(undefined).cert !== before)
    dialWith(layers)
    await layers.connected(2)
    expect(layers.outer.registry.connections).toContain(first)
    expect(await statusOf(layers)).toBe('HTTP/1.1 200')
  })

  test('is not ws://, and not for inner layers that trust another authority; both are told so', async () => {
    const { layers } = await startWss()
    dialWith(layers, { outerLayers: [`ws://127.0.0.1:${layers.socketPort}`] })
    dialWith(layers, { outerLayerCa: (await mintAuthority()).certificatePem })
    const said = (pattern: RegExp): boolean => innerLog.records.some(({ msg }) => pattern.test(msg))
    await until(() => said(/cannot connect to ws:.*socket hang up; .*wss:/) && said(/cannot connect to wss:.*certificate/))
    expect(layers.outer.registry.connections).toHaveLength(0)
  })

  test('a swapped scheme, and a path in the URL, are named with what to do about them, by the inner layer and by doctor', async () => {
    const { layers: tls } = await startWss()
    const plain = await startLayers({ inners: 0 })
    const key = tempFile('swapped.key', (await testKeyPair()).privateKeyPem)
    chmodSync(key, 0o600)
    for (const [url, said, doctored] of [
      [`wss://127.0.0.1:${plain.socketPort}`, /speaks no TLS; .* write ws:\/\/ instead of wss:\/\//, /^FAIL {2}TLS .*ws:\/\//],
      [`ws://127.0.0.1:${tls.socketPort}`, /if this port speaks TLS, write wss:\/\/ instead of ws:\/\//, undefined],
      [
        `ws://127.0.0.1:${plain.socketPort}/link`,
        /404; an outer layer itself knows no path \/link: leave it out of --outer-layer/,
        undefined,
      ],
      [
        `wss://127.0.0.1:${tls.socketPort}/link`,
        /404; an outer layer itself knows no path \/link: leave it out of --outer-layer/,
        undefined,
      ],
    ] as const) {
      dialWith(plain, { outerLayers: [url] })
      await until(() => innerLog.records.some(({ msg }) => msg.startsWith(`cannot connect to ${url}: `) && said.test(msg)))
      const ca = url.startsWith('wss:') ? ['--outer-layer-ca', tempFile('ca.crt', authority.certificatePem)] : []
      const { stdout } = await run(['doctor', '--private-key', key, '--outer-layer', url, ...ca])
      expect(stdout.split('\n').find(line => (doctored ?? said).test(line))).toMatch(/^FAIL/)
    }
  })

  test('has the health pages by https:', async () => {
    const { layers } = await startWss()
    const socket = connectTls({ host: '127.0.0.1', port: layers.socketPort, ca: authority.certificatePem })
    onCleanUp(() => socket.destroy())
    socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    let text = ''
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
    await until(() => text.includes('no inner layer is connected'))
  })
})

describe('client certificates at the socket port', () => {
  /** An outer layer that trusts `authority` for clients and takes the keys of `pairs`. */
  const startDemanding = async (clientCa: string, pairs: readonly MintedPair[]): Promise<Layers> => {
    const keys = new KeyFiles(pairs.map(pair => tempFile('key.crt', pair.certificatePem)))
    await keys.start()
    onCleanUp(() => keys.close())
    const store = await startStore([writePair(await mintServer(['127.0.0.1'], authority))], { clientCa })
    return startLayers({ origin: origin.port, inners: 0, outer: { socketCertificates: store, keys } })
  }

  test('let in an inner layer with one of the authority for its own key', async () => {
    const pair = await mintFor(authority)
    const layers = await startDemanding(tempFile('ca.crt', authority.certificatePem), [pair])
    dialWith(layers, { privateKey: privateKeyOf(pair), clientCertificate: pair.certificatePem })
    await layers.connected(1)
    expect(await statusOf(layers)).toBe('HTTP/1.1 200')
  })

  test('may be those that sign themselves, one after the other in the file', async () => {
    const [one, two] = [await mintFor(undefined), await mintFor(undefined)]
    const layers = await startDemanding(tempFile('clients.pem', one.certificatePem + two.certificatePem), [one, two])
    for (const pair of [one, two]) dialWith(layers, { privateKey: privateKeyOf(pair), clientCertificate: pair.certificatePem })
    await layers.connected(2)
  })

  test('keep out who has none, or one of another authority, before anything is read of it; the log names who', async () => {
    const [pair, other] = [await mintFor(authority), await mintFor(await mintAuthority())]
    const layers = await startDemanding(tempFile('ca.crt', authority.certificatePem), [pair, other])
    dialWith(layers, { privateKey: privateKeyOf(pair) })
    dialWith(layers, { privateKey: privateKeyOf(other), clientCertificate: other.certificatePem })
    const refusals = (): readonly string[] =>
      layers.outerLogs
        .filter(({ level, msg }) => level === 'warn' && msg.startsWith('refused the client certificate'))
        .map(({ msg }) => msg)
    await until(() => refusals().length >= 2)
    expect(refusals().join('\n')).toMatch(/of 127\.0\.0\.1 \(--socket-client-ca\): there is none/)
    expect(refusals().join('\n')).toMatch(/of 127\.0\.0\.1 \(--socket-client-ca\): UNABLE_TO_VERIFY_LEAF_SIGNATURE/)
    await until(() => innerLog.records.filter(({ msg }) => msg.includes('asks for a client certificate of its authorities')).length >= 2)
    expect(layers.outer.registry.connections).toHaveLength(0)
  })

  test('of the authority but for another key than the proof are refused', async () => {
    const [pair, other] = [await mintFor(authority), await mintFor(authority)]
    const layers = await startDemanding(tempFile('ca.crt', authority.certificatePem), [pair, other])
    // Somebody on the way, with a certificate of its own, and both keys are known to the outer layer.
    const thief = createServer((socket: Socket) => {
      const outside = connectTls({
        host: '127.0.0.1',
        port: layers.socketPort,
        ca: authority.certificatePem,
        cert: other.certificatePem,
        key: other.privateKeyPem,
      })
      for (const end of [socket, outside]) end.on('error', () => (socket.destroy(), outside.destroy()))
      socket.pipe(outside).pipe(socket)
    })
    const port = await listen(thief)
    dialWith(layers, { privateKey: privateKeyOf(pair), outerLayers: [`ws://127.0.0.1:${port}`] })
    const refused = await until(() => layers.outerLogs.find(({ msg }) => msg.startsWith('refused an inner layer')))
    expect(refused).toMatchObject({
      code: 'AUTH',
      msg: expect.stringContaining('the client certificate of the TLS connection is for another key'),
    })
    expect(layers.outer.registry.connections).toHaveLength(0)
    // With its own key it is welcome on the same way.
    dialWith(layers, { privateKey: privateKeyOf(other), outerLayers: [`ws://127.0.0.1:${port}`] })
    await layers.connected(1)
  })

  test('are judged by the authorities of the moment: a new file counts for new links', async () => {
    const [pair, second] = [await mintFor(authority), await mintAuthority()]
    const later = await mintFor(second)
    const file = tempFile('ca.crt', authority.certificatePem)
    const layers = await startDemanding(file, [pair, later])
    dialWith(layers, { privateKey: privateKeyOf(pair), clientCertificate: pair.certificatePem })
    await layers.connected(1)
    writeFileSync(file, authority.certificatePem + second.certificatePem)
    dialWith(layers, { privateKey: privateKeyOf(later), clientCertificate: later.certificatePem })
    await layers.connected(2)
  })
})
