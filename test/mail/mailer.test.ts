import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { createMailer, type Mailer, type MailerOptions } from '../../src/mail/mailer.ts'
import { parseSmtpUrl } from '../../src/mail/smtp-url.ts'
import { mintAuthority, mintServer } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const LETTER = { to: 'ada@example.com', subject: 'Grüße', text: `Hello,\n\nhttps://api.example.com/user/confirm/${'x'.repeat(120)}\n` }

interface Received {
  readonly from: string
  readonly to: readonly string[]
  readonly isEncrypted: boolean
  readonly source: string
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port

/** A real server on a free port of this machine. */
const startSmtp = async (
  options: SMTPServerOptions = {},
  port = 0,
): Promise<{ port: number; received: Received[]; stop: () => Promise<void> }> => {
  const received: Received[] = []
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    disabledCommands: ['STARTTLS'],
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          isEncrypted: session.secure,
          source: Buffer.concat(chunks).toString('utf8'),
        })
        done()
      })
    },
    ...options,
  })
  server.on('error', () => undefined)
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const stop = (): Promise<void> => new Promise(resolve => server.close(() => resolve()))
  onCleanUp(stop)
  return { port: portOf(server.server), received, stop }
}

/** A server certificate for localhost, and a file with the authority that has signed it. */
const certificates = async (): Promise<{ ca: string; cert: string; key: string }> => {
  const authority = await mintAuthority()
  const pair = await mintServer(['localhost'], authority)
  return { ca: tempFile('ca.pem', authority.certificatePem), cert: pair.certificatePem, key: pair.privateKeyPem }
}

const FROM = 'Gateway <gateway@example.com>'

const smtp = async (url: string, more: Partial<MailerOptions> = {}): Promise<{ mailer: Mailer; told: string[] }> => {
  const told: string[] = []
  const mailer = await createMailer({
    place: { kind: 'smtp', url, from: FROM },
    directory: '/',
    retryMs: 5,
    onAway: why => told.push(`away: ${why}`),
    onBack: () => told.push('back'),
    onLost: why => told.push(`lost: ${why}`),
    ...more,
  })
  onCleanUp(() => mailer.close())
  return { mailer, told }
}

/** The text of a message, with soft line breaks and escapes undone. */
const textOf = (source: string): string =>
  Buffer.from(
    source
      .slice(source.indexOf('\r\n\r\n') + 4)
      .replaceAll('=\r\n', '')
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
      .replaceAll('\r\n', '\n'),
    'latin1',
  ).toString('utf8')

test('a letter arrives as it was written, to one person, and asks nobody to answer by itself', async () => {
  const { port, received } = await startSmtp()
  const { mailer } = await smtp(`smtp://127.0.0.1:${port}`)
  await mailer.send(LETTER)
  await until(() => received.length === 1)
  const [{ from, to, source }] = received as [Received]
  expect([from, to]).toEqual(['gateway@example.com', ['ada@example.com']])
  expect(textOf(source)).toBe(LETTER.text)
  expect(source).toContain('From: Gateway <gateway@example.com>')
  expect(source).toMatch(/^Subject: =\?UTF-8\?[QB]\?/m)
  expect(source).toContain('Auto-Submitted: auto-generated')
  expect(source).toMatch(/^Message-ID: <[0-9a-f-]{36}@example\.com>\r$/m)
  await until(() => mailer.waiting === 0)
})

test('with STARTTLS and a login nothing is said before the certificate is known', async () => {
  const { ca, cert, key } = await certificates()
  const logins: string[] = []
  const { port, received } = await startSmtp({
    authOptional: false,
    disabledCommands: [],
    cert,
    key,
    onAuth({ username, password }, session, done) {
      logins.push(`${String(username)}:${String(password)}:${session.secure}`)
      done(null, { user: username })
    },
  })
  const { mailer, told } = await smtp(`smtp://user@localhost:${port}?ca=${ca}`, { password: 'p:ä' })
  await mailer.send(LETTER)
  await until(() => received.length === 1)
  expect(received[0]!.isEncrypted).toBe(true)
  expect(logins).toEqual(['user:p:ä:true'])
  expect(told).toEqual([])
  // Another authority than the one that has signed: no login is sent.
  const other = await certificates()
  const stranger = await smtp(`smtp://user:secret@localhost:${port}?ca=${other.ca}`)
  await stranger.mailer.send(LETTER)
  await until(() => stranger.told.length > 0)
  expect(stranger.told[0]).toMatch(/away: .*(certificate|self-signed|signature)/i)
  expect(logins).toHaveLength(1)
})

test('a server that does not offer STARTTLS gets nothing', async () => {
  const { port, received } = await startSmtp()
  const { ca } = await certificates()
  const { mailer, told } = await smtp(`smtp://user:secret@localhost:${port}?ca=${ca}`)
  await mailer.send(LETTER)
  await until(() => told.length > 0)
  expect(told[0]).toMatch(/away: .*STARTTLS/i)
  expect(received).toEqual([])
})

test('TLS from the first byte', async () => {
  const { ca, cert, key } = await certificates()
  const { port, received } = await startSmtp({ secure: true, cert, key })
  const { mailer } = await smtp(`smtps://localhost:${port}?ca=${ca}`)
  await mailer.send(LETTER)
  await until(() => received.length === 1)
  expect(received[0]!.isEncrypted).toBe(true)
})

test('a server that is away keeps nobody waiting, and gets every letter once when it is back', async () => {
  const gone = await startSmtp()
  await gone.stop()
  const { mailer, told } = await smtp(`smtp://127.0.0.1:${gone.port}`)
  for (let i = 0; i < 5; i += 1) await mailer.send({ ...LETTER, to: `ada${i}@example.com` })
  await until(() => told.length > 0)
  expect(mailer.waiting).toBe(5)
  const { received } = await startSmtp({}, gone.port)
  await until(() => mailer.waiting === 0)
  expect(received.map(({ to }) => to[0]).sort()).toEqual([0, 1, 2, 3, 4].map(i => `ada${i}@example.com`))
  expect(told).toEqual([expect.stringContaining('away: ') as string, 'back'])
})

test('a server that takes connections and says nothing is given up, and nothing of it is left at the end', async () => {
  let connections = 0
  const silent = createServer(socket => {
    connections += 1
    socket.on('error', () => undefined)
  }).listen(0, '127.0.0.1')
  onCleanUp(() => silent.close())
  await until(() => silent.listening)
  const { mailer, told } = await smtp(`smtp://127.0.0.1:${portOf(silent)}`, {
    times: { connectMs: 50, silentMs: 50, totalMs: 10_000 },
  })
  await mailer.send(LETTER)
  await until(() => connections >= 3)
  expect(told[0]).toMatch(/away: .*(greeting|timeout)/i)
  expect(told).toHaveLength(1)
  expect(mailer.waiting).toBe(1)
  await mailer.close()
  await expect(mailer.send(LETTER)).rejects.toMatchObject({ code: 'OVERLOADED' })
})

test('a letter that is refused for good is given up, one that is refused for now comes again, and neither holds up others', async () => {
  const attempts = new Map<string, number>()
  const { port, received } = await startSmtp({
    onRcptTo({ address }, _, done) {
      const count = (attempts.get(address) ?? 0) + 1
      attempts.set(address, count)
      const refuse = (responseCode: number): void => done(Object.assign(new Error('no'), { responseCode }))
      if (address.startsWith('never')) refuse(550)
      else if (address.startsWith('later') && count < 3) refuse(451)
      else done()
    },
  })
  const { mailer, told } = await smtp(`smtp://127.0.0.1:${port}`)
  for (const name of ['never', 'later', 'now']) await mailer.send({ ...LETTER, to: `${name}@example.com` })
  await until(() => mailer.waiting === 0)
  expect(received.map(({ to }) => to[0])).toEqual(['now@example.com', 'later@example.com'])
  expect(Object.fromEntries(attempts)).toEqual({ 'never@example.com': 1, 'later@example.com': 3, 'now@example.com': 1 })
  expect(told).toEqual([expect.stringContaining('lost: ') as string])
})

test('a letter that is an hour old is given up', async () => {
  const gone = await startSmtp()
  await gone.stop()
  let now = 0
  const { mailer, told } = await smtp(`smtp://127.0.0.1:${gone.port}`, { now: () => now })
  await mailer.send(LETTER)
  await until(() => told.length > 0)
  now = 3_600_001
  await until(() => mailer.waiting === 0)
  expect(told[1]).toContain('for an hour')
})

test.each([
  ['another header field', { to: 'a@example.com\r\nBcc: b@example.com' }],
  ['a second recipient', { to: 'a@example.com, b@example.com' }],
  ['a name', { to: 'Ada <a@example.com>' }],
  ['a group', { to: 'all:a@example.com;' }],
  ['a line break in the subject', { subject: 'Hello\r\nBcc: b@example.com' }],
  ['a line separator of Unicode in the subject', { subject: 'Hello\u2028Bcc: b@example.com' }],
  ['a line break of SMTP in the text', { text: 'Hello\r\n.\r\nMAIL FROM:<x@example.com>' }],
  ['no address', { to: 'ada' }],
])('%s is refused before anything is sent', async (_, part) => {
  const directory = tempDir()
  const mailer = await createMailer({ place: { kind: 'outbox', directory: join(directory, 'outbox'), from: FROM }, directory })
  await expect(mailer.send({ ...LETTER, ...part })).rejects.toMatchObject({ code: 'INVALID' })
  expect(mailer.waiting).toBe(0)
  expect(readdirSync(directory)).toEqual([])
})

test('a text that has a single dot on a line arrives with it', async () => {
  const { port, received } = await startSmtp()
  const { mailer } = await smtp(`smtp://127.0.0.1:${port}`)
  const text = 'one\n.\n..two\nFrom here\n'
  await mailer.send({ ...LETTER, text })
  await until(() => received.length === 1)
  expect(textOf(received[0]!.source)).toBe(text)
})

test('the outbox has a file for each letter, for the owner alone, and shows it at the terminal', async () => {
  const directory = join(tempDir(), 'state', 'outbox')
  const shown: string[] = []
  const now = Date.UTC(2026, 10, 28, 2, 30)
  const mailer = await createMailer({
    place: { kind: 'outbox', directory, from: FROM },
    directory: '/',
    onLetter: ({ subject }) => shown.push(subject),
    now: () => now,
  })
  await mailer.send(LETTER)
  await until(() => shown.length === 1)
  const [name] = readdirSync(directory) as [string]
  expect(name).toMatch(/^20261128T023000000Z-[0-9a-f-]{36}\.txt$/)
  expect([statSync(directory).mode & 0o777, statSync(join(directory, name)).mode & 0o777]).toEqual([0o700, 0o600])
  expect(readFileSync(join(directory, name), 'utf8')).toBe(
    `Date: Sat, 28 Nov 2026 02:30:00 GMT\nFrom: ${FROM}\nTo: ada@example.com\nSubject: Grüße\n\n${LETTER.text}`,
  )
  await mailer.close()
})

test('the outbox keeps the newest thousand, and touches nothing else', async () => {
  const directory = join(tempDir(), 'outbox')
  mkdirSync(directory)
  const old = (i: number): string => `20200101T${String(i).padStart(9, '0')}Z-00000000-0000-4000-8000-000000000000.txt`
  for (let i = 0; i < 1_000; i += 1) writeFileSync(join(directory, old(i)), '')
  writeFileSync(join(directory, 'notes.txt'), '')
  const mailer = await createMailer({ place: { kind: 'outbox', directory, from: FROM }, directory: '/' })
  await mailer.send(LETTER)
  await until(() => mailer.waiting === 0)
  const files = readdirSync(directory)
  expect(files).toHaveLength(1_001)
  expect(files).toContain('notes.txt')
  expect(files).not.toContain(old(0))
  expect(files).toContain(old(1))
})

test('an outbox that cannot be written is tried again, and waiting letters have a bound', async () => {
  const directory = tempDir()
  const inTheWay = join(directory, 'outbox')
  writeFileSync(inTheWay, '')
  const told: string[] = []
  const mailer = await createMailer({
    place: { kind: 'outbox', directory: inTheWay, from: FROM },
    directory,
    retryMs: 60_000,
    onAway: why => told.push(why),
  })
  for (let i = 0; i < 1_000; i += 1) await mailer.send(LETTER)
  await expect(mailer.send(LETTER)).rejects.toMatchObject({ code: 'OVERLOADED' })
  await until(() => told.length === 1)
  await mailer.close()
})

test('a URL of a server says how TLS is spoken, and a wrong one is refused without being repeated', () => {
  const parse = (url: string): unknown => parseSmtpUrl(url, '/etc/gateway')
  expect(parse('smtps://mail.example.com')).toMatchObject({ host: 'mail.example.com', port: 465, tls: 'immediate' })
  expect(parse('smtp://a%40b:p%2F@mail.example.com?ca=ca.pem')).toEqual({
    host: 'mail.example.com',
    port: 587,
    user: 'a@b',
    password: 'p/',
    tls: 'starttls',
    caFile: '/etc/gateway/ca.pem',
  })
  expect(parse('smtp://mail.example.com:25?tls=off')).toMatchObject({ port: 25, tls: 'off' })
  expect(parse('smtp://[::1]:25')).toMatchObject({ host: '::1', tls: 'off' })
  for (const url of [
    'http://secret@h',
    'smtp://',
    'smtp://secret:x@h:99999',
    'smtp://h/path',
    'smtp://h?tls=no',
    'smtps://h?tls=off',
    'smtp://h?pool=1',
    'smtp://%zz@h',
  ])
    expect(() => parse(url)).toThrow(/^mail\.smtp: (?!.*secret)/)
})

test.each(['gateway', 'a@b\r\nBcc: c@d', 'a@b, c@d', '@b', 'Gateway <a@>'])('the sender %j is refused', async from => {
  await expect(createMailer({ place: { kind: 'outbox', directory: '/nowhere', from }, directory: '/' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  })
})
