/** TLS towards origins, with each of the ways to reach them. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createSecureServer } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { OriginProfile } from '../../src/payload/origin-profile.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { startAsking, type Ask, type Asking } from './asking.ts'

let asking: Asking
beforeAll(async () => {
  asking = await startAsking()
})

describe('TLS towards origins', () => {
  const mint = async (name: string): Promise<{ certificate: string; key: string }> => {
    const pair = await mintKeyPair({ type: 'ec', commonName: name, validityYears: 1, purpose: 'server', names: [name] })
    return { certificate: pair.certificatePem, key: pair.privateKeyPem }
  }

  const startSecure = async (
    allowHTTP1 = false,
  ): Promise<{ port: number; ca: string; names: (string | false | null)[]; clients: string[] }> => {
    const { certificate, key } = await mint('origin.test')
    const server = createSecureServer({ cert: certificate, key, ca: certificate, requestCert: true, rejectUnauthorized: false, allowHTTP1 })
    const names: (string | false | null)[] = []
    const clients: string[] = []
    server.on('secureConnection', (socket: TLSSocket) => {
      names.push(socket.servername ?? null)
      clients.push(String((socket.getPeerCertificate() as { subject?: { CN?: string } }).subject?.CN))
    })
    server.on('session', session => {
      session.on('error', () => undefined)
      onCleanUp(() => session.destroy())
    })
    server.on('request', (req, res) => res.end(req.httpVersion))
    return { port: await listen(server), ca: certificate, names, clients }
  }

  test.each([true, false])('http2: %p: an authority that is not known is refused, one that is named is trusted', async http2 => {
    const { port, ca, names } = await startSecure(true)
    const ask = (tls: OriginProfile['tls']): Promise<Ask> =>
      asking.ask({ protocol: 'https', port, profile: asking.announce(tls === undefined ? { http2 } : { http2, tls }) }).over()
    expect(await ask(undefined)).toMatchObject({ outcome: 'ORIGIN_TLS' })
    expect(await ask({ ca })).toMatchObject({ outcome: 'ORIGIN_TLS' }) // the certificate is for another name
    const good = await ask({ ca, servername: 'origin.test' })
    expect(good).toMatchObject({ outcome: 'end', body: Buffer.from(http2 ? '2.0' : '1.1') })
    expect(names.at(-1)).toBe('origin.test')
    expect(await ask({ verify: false })).toMatchObject({ outcome: 'end' })
    // K4: what one target may do does not open the way for the next.
    expect(await ask(undefined)).toMatchObject({ outcome: 'ORIGIN_TLS' })
    expect(await ask({ ca, servername: 'other.test' })).toMatchObject({ outcome: 'ORIGIN_TLS' })
    // Nor does the Host field say whose certificate is expected: it may be the public one.
    const profile = asking.announce({ http2, tls: { ca } })
    expect(await asking.ask({ protocol: 'https', port, host: 'origin.test', profile }).over()).toMatchObject({ outcome: 'ORIGIN_TLS' })
  })

  test.each([true, false])(
    'http2: %p: the name in SNI is that in Host where the target says so, each with connections of its own',
    async http2 => {
      const { port, names } = await startSecure(true)
      const profile = asking.announce({ http2, tls: { verify: false, servernameOfHost: true } })
      for (const host of ['a.test', 'b.test:8443', 'a.test', '127.0.0.1', '[::1]:8443'])
        expect(await asking.ask({ protocol: 'https', port, host, profile }).over()).toMatchObject({ outcome: 'end' })
      // The third request goes by the first connection, and an address is no name: what is dialled says what SNI is.
      expect(names.slice(0, 2)).toEqual(['a.test', 'b.test'])
      expect(names.slice(2).every(name => name === false || name === null || name === 'localhost')).toBe(true)
    },
  )

  test.each([true, false])('http2: %p: a client certificate is shown', async http2 => {
    const { port, clients } = await startSecure(true)
    const { certificate, key } = await mint('client.test')
    const profile = asking.announce({ http2, tls: { verify: false, certificate, key } })
    expect(await asking.ask({ protocol: 'https', port, profile }).over()).toMatchObject({ outcome: 'end' })
    const without = asking.announce({ http2, tls: { verify: false } })
    expect(await asking.ask({ protocol: 'https', port, profile: without }).over()).toMatchObject({ outcome: 'end' })
    expect(clients).toEqual(['client.test', 'undefined'])
  })

  test('the driver for odd requests verifies and trusts in the same way', async () => {
    const { port, ca } = await startSecure(true)
    const fields = ['TE', 'trailers']
    expect(await asking.ask({ protocol: 'https', port, fields }).over()).toMatchObject({ outcome: 'ORIGIN_TLS' })
    const profile = asking.announce({ tls: { ca, servername: 'origin.test' } })
    expect(await asking.ask({ protocol: 'https', port, fields, profile }).over()).toMatchObject({
      outcome: 'end',
      body: Buffer.from('1.1'),
    })
  })

  test('an origin without ALPN is told from one that is broken', async () => {
    const { certificate, key } = await mint('origin.test')
    const origin = await startRawOrigin(undefined, { tls: { cert: certificate, key } })
    const refusing = await startRawOrigin(undefined, { tls: { cert: certificate, key, ALPNProtocols: ['http/1.1'] } })
    for (const { port } of [origin, refusing]) {
      const ask = await asking.ask({ protocol: 'https', port, profile: asking.announce({ http2: true, tls: { verify: false } }) }).over()
      expect(ask).toMatchObject({ outcome: 'ORIGIN_TLS', reason: expect.stringContaining('remove "http2: true"') as unknown })
    }
  })

  test('certificates that cannot be read are the fault of the target', async () => {
    const { port } = await startSecure()
    for (const http2 of [true, false]) {
      const profile = asking.announce({ http2, tls: { ca: '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n' } })
      const ask = await asking.ask({ protocol: 'https', port, profile }).over()
      expect(ask.outcome).toBe('ORIGIN_TLS')
    }
  })
})
