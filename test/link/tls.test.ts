import { generateKeyPairSync } from 'node:crypto'
import { createServer, type Server as HttpsServer } from 'node:https'
import { describe, expect, test } from '@jest/globals'
import forge from 'node-forge'
import { dial } from '../../src/link/dialer.ts'
import { createListener } from '../../src/link/listener.ts'
import type { Link } from '../../src/mux/link.ts'
import { namesOfCertificate } from '../../src/tls/trust-remedy.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { until, within } from '../support/wait.ts'
import { inbox, pattern } from './pair.ts'

/** A certificate for 127.0.0.1 that is its own authority. */
const mint = (altNames: readonly object[] = [{ type: 7, ip: '127.0.0.1' }]): { readonly key: string; readonly cert: string } => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const signing = forge.pki.privateKeyFromPem(key)
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.rsa.setPublicKey(signing.n, signing.e)
  certificate.serialNumber = '01'
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000)
  const name = [{ name: 'commonName', value: 'test' }]
  certificate.setSubject(name)
  certificate.setIssuer(name)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true },
    { name: 'subjectAltName', altNames },
  ])
  certificate.sign(signing, forge.md.sha256.create())
  return { key, cert: forge.pki.certificateToPem(certificate) }
}

interface TlsPair {
  readonly dialled: Link
  readonly accepted: Link
  readonly relay: Relay
  readonly cert: string
}

const rethrow = (thrown: unknown): never => {
  throw thrown
}

/** The port of a listener with this certificate. */
const startListener = async (pair: { readonly key: string; readonly cert: string }, links: Link[] = []): Promise<number> => {
  const server: HttpsServer = createServer(pair)
  // The listener uses of the server what HTTP and HTTPS have in common.
  const listener = createListener(server, { admit: () => undefined, onLink: link => links.push(link), onFault: rethrow })
  const port = await listen(server)
  onCleanUp(() => listener.close())
  return port
}

/** Why there is no link. */
const failureOf = (port: number, ca: string, host = '127.0.0.1'): Promise<string> =>
  new Promise((resolve, reject) => {
    dial({ url: `wss://${host}:${port}`, ca }, { onLink: () => reject(new Error('a link')), onFailure: resolve })
  })

const tlsPair = async (): Promise<TlsPair> => {
  const { key, cert } = mint()
  const links: Link[] = []
  const port = await startListener({ key, cert }, links)
  const relay = await startRelay({ target: { host: '127.0.0.1', port }, maxInFlightBytes: 65_536 })
  const dialled = await new Promise<Link>((resolve, reject) => {
    onCleanUp(dial({ url: `wss://127.0.0.1:${relay.port}`, ca: cert }, { onLink: resolve, onFailure: reason => reject(new Error(reason)) }))
  })
  return { dialled, accepted: await until(() => links[0]), relay, cert }
}

describe('a link over TLS', () => {
  test.each(['dialled', 'accepted'] as const)('fires onDrain and loses nothing, sending from the %s end', async which => {
    const pair = await tlsPair()
    const from = pair[which]
    const receiver = inbox(which === 'dialled' ? pair.accepted : pair.dialled)
    let sent = 0
    for (const size of [5_000, 70_000]) {
      pair.relay.pause()
      const sinceMs = { value: performance.now() }
      // Until something has stayed for a while.
      while (from.bufferedBytes === 0 || performance.now() - sinceMs.value < 200) {
        if (from.bufferedBytes === 0) {
          from.send(pattern(size, sent++))
          sinceMs.value = performance.now()
        }
        await new Promise(setImmediate)
      }
      const drained = new Promise<void>(resolve => {
        from.onDrain = resolve
      })
      pair.relay.resume()
      await within(drained, 'onDrain')
    }
    await until(() => receiver.messages.length === sent)
    receiver.messages.forEach((message, i) => expect(message.equals(pattern(message.length, i))).toBe(true))
  })

  test('is refused for an authority that is not the one to trust', async () => {
    const pair = await tlsPair()
    expect(await failureOf(pair.relay.port, mint().cert)).toMatch(/certificate|signature/)
  })

  test.each(['127.0.0.1', 'localhost'])('that was dialled as %s says which names the certificate has, and which was wanted', async host => {
    const pair = mint(['link.example', '*.link.example'].map(value => ({ type: 2, value })))
    const said = await failureOf(await startListener(pair), pair.cert, host)
    expect(said).toContain(`; the certificate is for link.example, *.link.example, not for ${host}: dial a name that is in it`)
  })

  test('tells few of very many names, and nothing that is none', () => {
    const entries = [...Array.from({ length: 9 }, (_, i) => `DNS:n${i}.example`), 'DNS:a\u001b[2J', `DNS:${'x'.repeat(5_000)}`, 'email:a@b']
    expect(namesOfCertificate(entries.join(', '))).toBe('n0.example, n1.example, n2.example, n3.example, n4.example and 4 more')
    expect([namesOfCertificate(undefined), namesOfCertificate('')]).toEqual(['', ''])
  })
})
