import { chmodSync, copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import tls, { type ConnectionOptions, type Server, type TLSSocket } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { CertificateStore, type CertificateStoreOptions } from '../../src/tls/certificate-store.ts'
import { followCertificates, tlsOptions } from '../../src/tls/server.ts'
import { issuerOf, mintAuthority, mintServer, startStore, writePair, type PairFiles } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { programPath, testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { runProcess } from '../support/process.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { once, until } from '../support/wait.ts'

const startServer = async (store: CertificateStore, ticketKeyMs?: number): Promise<number> => {
  const server: Server = tls.createServer(tlsOptions(store), socket => socket.on('error', () => undefined).pipe(socket))
  onCleanUp(followCertificates(server, store, ticketKeyMs))
  return listen(server)
}

const connect = async (port: number, options: ConnectionOptions = {}): Promise<TLSSocket> => {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  onCleanUp(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** The common name that a client sees that asks for `servername`. */
const nameFor = async (port: number, servername?: string): Promise<string> => {
  const socket = await connect(port, servername === undefined ? {} : { servername })
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}

const server = async (...names: string[]): Promise<PairFiles> => writePair(await mintServer(names))

describe('the certificate of a handshake', () => {
  test('is chosen by the name asked for: exact, then wildcard of one label, then the first pair', async () => {
    const pairs = [await server('first.example'), await server('*.example.com', 'example.com'), await server('a.example.com')]
    const port = await startServer(await startStore(pairs))
    for (const [asked, got] of [
      ['a.example.com', 'a.example.com'],
      ['A.Example.COM', 'a.example.com'],
      ['b.example.com', '*.example.com'],
      ['example.com', '*.example.com'],
      ['x.b.example.com', 'first.example'],
      ['com', 'first.example'],
      ['unknown.example', 'first.example'],
      [undefined, 'first.example'],
    ] as const)
      expect([asked, await nameFor(port, asked)]).toEqual([asked, got])
  })

  testWith(['openssl'], 'is the first for names that no host has, and the server lives', async () => {
    const port = await startServer(await startStore([await server('first.example')]))
    for (const odd of ['*', '*.example', '..', '.', '__proto__', 'constructor', 'a b', 'x'.repeat(255), '\u00e4\u00f6']) {
      // Standard input is empty, so it ends after the handshake.
      const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', odd]
      const { stdout: seen } = await runProcess(args, { program: programPath('openssl')! })
      expect(seen).toContain('subject=CN = first.example')
    }
  })

  test('comes by TLS 1.2 and 1.3 alone, without ciphers of old', async () => {
    const port = await startServer(await startStore([await server('a.example')]))
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await connect(port, { minVersion: version, maxVersion: version })
      expect(socket.getProtocol()).toBe(version)
    }
    // Even where the machine's policy lets the client try.
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(connect(port, old)).rejects.toThrow(/protocol version|unsupported protocol/)
    await expect(connect(port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' })).rejects.toThrow(/handshake failure/)
  })

  test('has ten seconds, and a connection that says something else is closed at once', async () => {
    const store = await startStore([await server('a.example')])
    expect(tlsOptions(store).handshakeTimeout).toBe(10_000)
    const socket = connectPlain(await startServer(store), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write('hello, this is no TLS')
    socket.resume()
    await once(socket, 'close')
  })

  test('is followed by a session that can be resumed', async () => {
    const port = await startServer(await startStore([await server('a.example'), await server('b.example')]))
    const first = await connect(port, { servername: 'b.example' })
    const [session] = (await once(first, 'session')) as [Buffer]
    const again = await connect(port, { servername: 'b.example', session })
    expect(again.isSessionReused()).toBe(true)
  })

  test('is not followed by a session for ever: the keys of tickets change', async () => {
    const port = await startServer(await startStore([await server('a.example'), await server('b.example')]), 20)
    for (const servername of ['a.example', 'b.example']) {
      const first = await connect(port, { servername })
      const [session] = (await once(first, 'session')) as [Buffer]
      await until(async () => !(await connect(port, { servername, session })).isSessionReused())
    }
  })
})

describe('client certificates', () => {
  test('are demanded where there is an authority for them, whatever name the client asks for', async () => {
    const authority = await mintAuthority()
    const clientCa = tempFile('ca.crt', authority.certificatePem)
    const port = await startServer(await startStore([await server('a.example'), await server('b.example')], { clientCa }))
    const mint = (issuer?: typeof authority): ReturnType<typeof mintKeyPair> =>
      mintKeyPair({ type: 'ec', commonName: 'x', validityYears: 1, ...(issuer && { issuer: issuerOf(issuer) }) })
    const [known, stranger] = [await mint(authority), await mint()]
    for (const servername of ['a.example', 'b.example']) {
      const socket = await connect(port, { servername, key: known.privateKeyPem, cert: known.certificatePem })
      socket.write('ping')
      expect(String((await once(socket, 'data'))[0])).toBe('ping')
      // In TLS 1.3 the client believes it is connected before the server has judged its certificate.
      for (const pair of [{}, { key: stranger.privateKeyPem, cert: stranger.certificatePem }]) {
        const refused = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, servername, ...pair })
        const seen: Buffer[] = []
        refused.on('error', () => undefined).on('data', (bytes: Buffer) => seen.push(bytes))
        refused.write('ping')
        await new Promise(resolve => refused.once('close', resolve))
        expect(seen).toEqual([])
      }
    }
  })
})

test('under client certificates nothing is resumed: each connection is judged by the authorities of its time', async () => {
  const authority = await mintAuthority()
  const clientCa = tempFile('ca.crt', authority.certificatePem)
  const port = await startServer(await startStore([await server('a.example')], { clientCa }))
  const pair = await mintKeyPair({ type: 'ec', commonName: 'x', validityYears: 1, issuer: issuerOf(authority) })
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { key: pair.privateKeyPem, cert: pair.certificatePem, maxVersion: version }
    const first = await connect(port, options)
    let session = first.getSession()
    first.on('session', later => (session = later))
    first.write('ping')
    await once(first, 'data')
    expect((await connect(port, { ...options, session: session! })).isSessionReused()).toBe(false)
  }
})

describe('certificate files that change', () => {
  test('are in force for new handshakes, and the connections that are up stay', async () => {
    const [files, other] = [await server('old.example'), await server('other.example')]
    const store = await startStore([files, other])
    const port = await startServer(store)
    const before = await connect(port)
    writePair(await mintServer(['new.example']), 'server', join(files.certificate, '..'))
    await until(async () => (await nameFor(port)) === 'new.example')
    expect(await nameFor(port, 'new.example')).toBe('new.example')
    expect(await nameFor(port, 'other.example')).toBe('other.example')
    before.write('still here')
    expect(String((await once(before, 'data'))[0])).toBe('still here')
    expect(store.faults).toEqual([])
  })

  test('leave the last good pair in force when they break, with a fault that is said once and goes away', async () => {
    const faults: string[] = []
    const files = await server('good.example')
    let recoveries = 0
    const store = await startStore([files, await server('other.example')], {
      onFault: fault => faults.push(fault.message),
      onRecovery: () => recoveries++,
    })
    const port = await startServer(store)
    writeFileSync(files.certificate, 'broken')
    await until(() => store.faults.length > 0)
    expect(await nameFor(port, 'good.example')).toBe('good.example')
    chmodSync(files.key, 0o644)
    writeFileSync(files.certificate, files.pair.certificatePem)
    await until(() => faults.length > 1)
    expect(await nameFor(port, 'good.example')).toBe('good.example')
    rmSync(files.key)
    await until(() => faults.length > 2)
    expect(await nameFor(port, 'good.example')).toBe('good.example')
    writePair(files.pair, 'server', join(files.certificate, '..'))
    expect(recoveries).toBe(0)
    await until(() => store.faults.length === 0)
    expect(recoveries).toBe(1)
    expect(faults).toEqual([
      expect.stringMatching(/server\.crt: no certificate found/),
      expect.stringMatching(/server\.key: the private key can be used by other accounts \(mode 0644\); run: chmod 600/),
      expect.stringMatching(/server\.key: .*ENOENT/),
    ])
  })

  test('may come one after the other: a pair that does not belong together for one look is no fault', async () => {
    const faults: string[] = []
    const files = await server('old.example')
    let looks = 0
    // A look that reads asks for the time.
    const options = { pollMs: 250, now: () => (looks++, Date.now()), onFault: (fault: Error) => faults.push(fault.message) }
    const store = await startStore([files], options)
    const pair = await mintServer(['new.example'])
    const seen = looks
    writeFileSync(files.certificate, pair.certificatePem)
    await until(() => looks > seen)
    writeFileSync(files.key, pair.privateKeyPem)
    await until(() => store.match('new.example').names.includes('new.example'))
    expect(faults).toEqual([])
  })

  test('in a directory come and go by name, also all at once', async () => {
    const directory = tempDir()
    const add = async (name: string): Promise<PairFiles> => writePair(await mintServer([name]), name, directory)
    await add('b.example')
    const store = await startStore([], { certificates: [directory] })
    const port = await startServer(store)
    expect(await nameFor(port, 'a.example')).toBe('b.example')
    await add('a.example')
    await until(async () => (await nameFor(port, 'a.example')) === 'a.example')
    rmSync(join(directory, 'a.example.crt'))
    await until(async () => (await nameFor(port, 'a.example')) === 'b.example')
    expect(store.faults).toEqual([])
    renameSync(directory, `${directory}.away`)
    await until(() => store.faults.length > 0)
    expect(await nameFor(port)).toBe('b.example')
    renameSync(`${directory}.away`, directory)
    await until(() => store.faults.length === 0)
  })

  test('that have expired serve on, and are a fault', async () => {
    let now = Date.now()
    const store = await startStore([await server('a.example')], { now: () => now })
    now += 400 * 86_400_000
    await until(() => store.faults.length > 0)
    expect(store.faults[0]!.message).toMatch(/the certificate expired at .*; renew it/)
    expect(store.match('a.example').names).toEqual(['a.example'])
  })
})

describe('a store', () => {
  const started = async (options: Partial<CertificateStoreOptions>): Promise<string> => {
    const store = new CertificateStore({ certificates: [], keys: [], ...options })
    onCleanUp(() => store.close())
    return store.start().then(
      () => 'started',
      (error: unknown) => (error as Error).message,
    )
  }

  test('does not start with files that cannot be used, and names file and remedy', async () => {
    const [one, two] = [await server('one.example'), await server('two.example')]
    const rsa = tempFile('weak.key', '')
    const weak = tempFile('weak.crt', '')
    const args = ['req', '-x509', '-newkey', 'rsa:1024', '-nodes', '-keyout', rsa, '-out', weak, '-subj', '/CN=weak', '-days', '9']
    execFileSync('openssl', args, { stdio: 'ignore' })
    const encrypted = tempFile('encrypted.key', '')
    execFileSync('openssl', ['pkey', '-aes128', '-passout', 'pass:x', '-in', one.key, '-out', encrypted], { stdio: 'ignore' })
    for (const key of [rsa, encrypted]) chmodSync(key, 0o600)
    const open = join(tempDir(), 'open.key')
    copyFileSync(one.key, open)
    chmodSync(open, 0o640)
    const old = writePair(await mintServer(['a'], undefined, { now: new Date('2020-01-01') }))
    const early = writePair(await mintServer(['a'], undefined, { now: new Date(Date.now() + 86_400_000) }))
    const both = tempFile('both.pem', one.pair.certificatePem + one.pair.privateKeyPem)
    const reversed = tempFile('reversed.pem', two.pair.certificatePem + one.pair.certificatePem)
    const bad = tempFile('bad.pem', one.pair.certificatePem.replace(/\n[^-\n]{10}/, '\nAAAAAAAAAA'))
    for (const [certificate, key, text] of [
      [one.certificate, two.key, /server\.crt and .*server\.key do not belong together/],
      [reversed, one.key, /reversed\.pem: the certificate of the server has to be the first in the file/],
      [one.key, one.key, /server\.key: holds a private key beside the certificate/],
      [both, one.key, /both\.pem: holds a private key beside the certificate/],
      [bad, one.key, /bad\.pem: certificate 1 cannot be read/],
      [one.key, one.certificate, /server\.key holds the key and .*server\.crt the certificate: the two are swapped/],
      [one.certificate, one.certificate, /server\.crt: this is a certificate; expected the private key/],
      [one.certificate, encrypted, /encrypted\.key: the private key is encrypted; decrypt it/],
      [one.certificate, open, /open\.key: the private key can be used by other accounts \(mode 0640\); run: chmod 600/],
      [one.certificate, '/nowhere.key', /\/nowhere\.key: .*ENOENT.*; correct the path in --tls-certificate or --tls-key$/],
      ['/nowhere.crt', one.key, /\/nowhere\.crt: .*ENOENT.*; correct the path in --tls-certificate or --tls-key$/],
      [old.certificate, old.key, /server\.crt: the certificate expired at 2021-01-01T00:00:00\.000Z; renew it/],
      [early.certificate, early.key, /server\.crt: the certificate is not valid before .*; check the clock/],
      [weak, rsa, /weak\.key: RSA key of 1024 bits; expected 2048 or more/],
    ] as const)
      expect(await started({ certificates: [certificate], keys: [key] })).toMatch(text)
    // All faults at once.
    const all = await started({ certificates: ['/nowhere.crt', one.certificate], keys: [one.key, two.key] })
    expect(all).toMatch(/nowhere\.crt: .*; .*do not belong together/)
  })

  test('needs a key for each file and none for a directory', async () => {
    const { certificate, key } = await server('a.example')
    const directory = join(certificate, '..')
    const names = { optionNames: { certificate: '--socket-tls-certificate', key: '--socket-tls-key' } }
    expect(await started({ certificates: [certificate], ...names })).toMatch(
      /^--socket-tls-key: 0 keys for 1 certificate file; expected one/,
    )
    expect(await started({ certificates: [directory], keys: [key] })).toMatch(/^--tls-key: 1 key for 0 certificate files/)
    expect(await started({ certificates: [directory, certificate], keys: [key] })).toBe('started')
  })

  test('starts with the good pairs of a directory, and not without any', async () => {
    const directory = tempDir()
    mkdirSync(join(directory, 'empty'))
    expect(await started({ certificates: [join(directory, 'empty')] })).toMatch(/empty: no certificate with its key found/)
    const lonely = writePair(await mintServer(['lonely.example']), 'lonely', directory)
    rmSync(lonely.key)
    expect(await started({ certificates: [directory] })).toMatch(/lonely\.crt: its key .*lonely\.key is missing/)
    writePair(await mintServer(['good.example']), 'good', directory)
    const store = await startStore([], { certificates: [directory] })
    expect(store.pairs.map(({ names }) => names)).toEqual([['good.example']])
    expect(store.faults.map(({ message }) => message)).toEqual([expect.stringMatching(/lonely\.key is missing/)])
  })

  test('knows which hosts a certificate is for', async () => {
    const store = await startStore([await server('a.example', '*.b.example', '127.0.0.1', '2001:db8::1')])
    const { covers } = store.match(undefined)
    for (const host of ['a.example', 'x.b.example', '127.0.0.1', '[2001:db8::1]']) expect([host, covers(host)]).toEqual([host, true])
    for (const host of ['b.example', 'x.y.b.example', 'a.example.', '127.0.0.2', '[::1]', 'c', ''])
      expect([host, covers(host)]).toEqual([host, false])
  })
})
