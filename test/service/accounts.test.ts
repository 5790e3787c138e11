import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createMailer } from '../../src/mail/mailer.ts'
import { inviteFirstAdmin } from '../../src/service/accounts/invitations.ts'
import type { Actor } from '../../src/service/model.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { ADDRESS, FAST_PASSWORDS, nextAddress, PASSWORD, peopleOf, startService, type TestService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const HOUR_MS = 3_600_000
const ED25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBDUeWO4NATJH5avKl1GnEcZ2OvLAMCBeSJj9cUqO2HT ada@laptop'
describe.each(await databases())('accounts on $name', database => {
  let given: TestService
  let admin: Actor
  beforeAll(async () => {
    given = await startService(await database.empty())
    admin = await given.actor('admin')
    await given.actor('admin') // so that the first one is not the only one
  })
  const { login, newAccount, signUp } = peopleOf(() => given)

  describe('sign-up', () => {
    test('makes an account that its owner confirms by a link, once, within a day', async () => {
      await signUp('one@example.com', { sshKey: ED25519 })
      await expect(login('one@example.com')).rejects.toMatchObject({ code: 'LOGIN_FAILED' })
      const token = await given.tokenFor('one@example.com')
      expect(given.letters.findLast(({ to }) => to === 'one@example.com')?.text).toContain(
        `\nhttps://api.example.com/user/confirm/${token}\n`,
      )
      expect(await given.service.accounts.confirm(token)).toMatchObject({
        name: 'Ada',
        email: 'one@example.com',
        role: 'user',
        state: 'active',
        limits: {},
      })
      await expect(given.service.accounts.confirm(token)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringMatching(/sign up again/),
      })
      const actor = await given.service.sessions.authenticate((await login('One@Example.com')).token, ADDRESS)
      expect((await given.service.accounts.keys(actor)).map(({ line }) => line)).toEqual([ED25519])
      await signUp('late@example.com')
      const late = await given.tokenFor('late@example.com')
      given.clock.advance(24 * HOUR_MS)
      await expect(given.service.accounts.confirm(late)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await until(
        async () =>
          (await given.store.db.selectFrom('accounts').select('id').where('email', '=', 'late@example.com').execute()).length === 0,
        {
          what: 'the account that nobody confirmed to go',
        },
      )
    })

    test('with a known address says nothing; the mail says that there is an account', async () => {
      await newAccount('known@example.com')
      await signUp('KNOWN@example.com', { password: 'another horse', name: 'Mallory', sshKey: ED25519 })
      const letter = await until(() =>
        given.letters.findLast(({ to, subject }) => to.toLowerCase() === 'known@example.com' && subject.includes('already')),
      )
      expect(letter.text).not.toMatch(/sgo_|Mallory/)
      await expect(login('known@example.com', 'another horse')).rejects.toMatchObject({ code: 'LOGIN_FAILED' })
      const actor = await given.service.sessions.authenticate((await login('known@example.com')).token, ADDRESS)
      expect(await given.service.accounts.keys(actor)).toEqual([])
    })

    test('twice before the confirmation: the first letter is over, and nothing of the first is left', async () => {
      await signUp('twice@example.com', { password: 'of the stranger', sshKey: ED25519 })
      const first = await given.tokenFor('twice@example.com')
      await signUp('twice@example.com')
      const second = await until(async () => {
        const token = await given.tokenFor('twice@example.com')
        return token === first ? undefined : token
      })
      await expect(given.service.accounts.confirm(first)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      const { id } = await given.service.accounts.confirm(second)
      await expect(login('twice@example.com', 'of the stranger')).rejects.toMatchObject({ code: 'LOGIN_FAILED' })
      expect(await given.store.db.selectFrom('ssh_keys').select('id').where('account_id', '=', id).execute()).toEqual([])
    })

    test('is closed, or for some domains, where the operator says so', async () => {
      const before = given.config
      given.config = { ...before, signUp: 'closed' }
      await expect(signUp('x@example.com')).rejects.toMatchObject({ code: 'SIGN_UP_CLOSED' })
      given.config = { ...before, signUp: { domains: ['example.org'] } }
      await expect(signUp('x@example.com')).rejects.toMatchObject({
        code: 'SIGN_UP_CLOSED',
        message: expect.stringMatching(/example\.org/),
      })
      await expect(signUp('x@sub.example.org')).rejects.toMatchObject({ code: 'SIGN_UP_CLOSED' })
      await signUp('x@EXAMPLE.org')
      given.config = before
    })

    test('tells all faults at once, and repeats no password', async () => {
      const call = given.service.accounts.signUp({ name: 'a\nb', email: 'nobody', password: 'secret7', sshKey: 'x' }, nextAddress())
      const thrown = (await call.catch((error: unknown) => error)) as { code: string; message: string; details: { path: string }[] }
      expect(thrown.code).toBe('INVALID')
      expect(thrown.details.map(({ path }) => path)).toEqual(['name', 'email', 'password', 'sshKey'])
      expect(thrown.message).not.toContain('secret7')
    })

    test('floods are slowed down for each address, and letters to one person are few', async () => {
      const address = nextAddress()
      const attempt = () => given.service.accounts.signUp({ name: 'Ada', email: 'flood@example.com', password: PASSWORD }, address)
      for (let count = 0; count < 10; count++) await attempt()
      await expect(attempt()).rejects.toMatchObject({ code: 'RATE_LIMITED', fields: ['Retry-After', '6'] })
      given.clock.advance(6_000)
      await attempt()
      await given.service.accounts.signUp({ name: 'Ada', email: 'other@example.com', password: PASSWORD }, nextAddress())
      await given.tokenFor('other@example.com')
      expect(given.letters.filter(({ to }) => to === 'flood@example.com')).toHaveLength(3)
    })
  })

  describe('a login', () => {
    test('gives a token of 300 minutes', async () => {
      const actor = await newAccount('login@example.com')
      const { token, accountId, expiresAt } = await login('login@example.com')
      expect(expiresAt).toBe(given.clock.now() + 300 * 60_000)
      expect(await given.service.sessions.authenticate(token, '192.0.2.9')).toEqual({
        accountId,
        role: 'user',
        scopes: undefined,
        kind: 'session',
        address: '192.0.2.9',
      })
      given.clock.advance(60_000)
      const refreshed = await given.service.sessions.refresh(actor)
      expect(refreshed.expiresAt).toBe(expiresAt + 60_000)
      given.clock.advance(300 * 60_000 - 60_000)
      await expect(given.service.sessions.authenticate(token, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      await given.service.sessions.authenticate(refreshed.token, ADDRESS)
      await given.service.sessions.endAll(actor)
      await expect(given.service.sessions.authenticate(refreshed.token, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      for (const bad of ['', 'x', 'a.b.c', `sga_${'A'.repeat(43)}`])
        await expect(given.service.sessions.authenticate(bad, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    })

    test('fails in the same words and with the same work, whatever is wrong', async () => {
      await newAccount('right@example.com')
      const suspended = await newAccount('suspended@example.com')
      await given.service.accounts.suspend(admin, suspended.accountId)
      await signUp('pending@example.com')
      await given.service.accounts.invite(admin, { email: 'invited@example.com', role: 'user' })
      const verified: string[] = []
      const { verify } = FAST_PASSWORDS
      FAST_PASSWORDS.verify = (hash, password) => {
        verified.push(hash)
        return verify(hash, password)
      }
      const attempts: [string, string][] = [
        ['right@example.com', 'wrong horse'],
        ['nobody@example.com', PASSWORD],
        ['suspended@example.com', PASSWORD],
        ['pending@example.com', PASSWORD],
        ['invited@example.com', ''],
        ['no address', PASSWORD],
      ]
      for (const [email, password] of attempts)
        await expect(login(email, password)).rejects.toMatchObject({
          code: 'LOGIN_FAILED',
          message: 'The e-mail address or the password is wrong, or the account is not active.',
        })
      FAST_PASSWORDS.verify = verify
      expect(verified).toHaveLength(attempts.length)
    })

    test('may be tried five times for one account from one address, and nobody else is locked out', async () => {
      await newAccount('target@example.com')
      const address = nextAddress()
      for (let count = 0; count < 5; count++)
        await expect(login('target@example.com', 'wrong horse', address)).rejects.toMatchObject({ code: 'LOGIN_FAILED' })
      await expect(login('target@example.com', PASSWORD, address)).rejects.toMatchObject({
        code: 'RATE_LIMITED',
        fields: ['Retry-After', '30'],
      })
      await login('target@example.com')
      for (let count = 0; count < 5; count++)
        await expect(login(`x${count}@example.com`, 'wrong horse', address)).rejects.toMatchObject({ code: 'LOGIN_FAILED' })
      await expect(login('y@example.com', 'wrong horse', address)).rejects.toMatchObject({
        code: 'RATE_LIMITED',
        fields: ['Retry-After', '6'],
      })
      given.clock.advance(60_000)
      for (let count = 0; count < 20; count++) await login('target@example.com', PASSWORD, address) // what succeeds does not count
    })
  })

  describe('a password', () => {
    test('is changed with the current one, which ends all sessions', async () => {
      const actor = await newAccount('change@example.com')
      const { token } = await login('change@example.com')
      await expect(given.service.accounts.changePassword(actor, { current: 'wrong horse', next: 'another horse' })).rejects.toMatchObject({
        code: 'LOGIN_FAILED',
      })
      await expect(given.service.accounts.changePassword(actor, { current: PASSWORD, next: 'short' })).rejects.toMatchObject({
        details: [expect.objectContaining({ path: 'next' })],
      })
      await expect(
        given.service.accounts.changePassword({ ...actor, kind: 'token' }, { current: PASSWORD, next: 'another horse' }),
      ).rejects.toMatchObject({ code: 'FORBIDDEN' })
      await given.service.accounts.changePassword(actor, { current: PASSWORD, next: 'another horse' })
      await expect(given.service.sessions.authenticate(token, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      await login('change@example.com', 'another horse')
      await until(() => given.letters.some(({ to, subject }) => to === 'change@example.com' && subject.includes('has changed')))
    })

    test('that is forgotten is replaced by a link, once, within an hour', async () => {
      const actor = await newAccount('forgot@example.com')
      const { token: session } = await login('forgot@example.com')
      const sent = given.letters.length
      await given.service.accounts.requestReset('nobody@example.com', nextAddress())
      await given.service.accounts.requestReset('forgot@example.com', nextAddress())
      const letter = await until(() => given.letters.slice(sent).find(({ to }) => to === 'forgot@example.com'))
      const token = /https:\/\/api\.example\.com\/password#(sgo_[\w-]{43})\n/.exec(letter.text)![1]!
      expect(given.letters.slice(sent).some(({ to }) => to === 'nobody@example.com')).toBe(false)
      await expect(given.service.accounts.confirm(token)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      const { hash } = FAST_PASSWORDS
      FAST_PASSWORDS.hash = async () => {
        throw new Error('a password is hashed for a link that is not good')
      }
      await expect(given.service.accounts.reset(`sgo_${'A'.repeat(43)}`, 'another horse')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(given.service.accounts.acceptInvitation(token, { name: 'x', password: PASSWORD })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      })
      FAST_PASSWORDS.hash = hash
      await given.service.accounts.reset(token, 'another horse')
      await expect(given.service.accounts.reset(token, 'third horse')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(given.service.sessions.authenticate(session, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      expect((await login('forgot@example.com', 'another horse')).accountId).toBe(actor.accountId)
      given.clock.advance(24 * HOUR_MS)
      await given.service.accounts.requestReset('forgot@example.com', nextAddress())
      const late = await until(async () => {
        const next = await given.tokenFor('forgot@example.com')
        return next === token || next === '' ? undefined : next
      })
      given.clock.advance(HOUR_MS)
      await expect(given.service.accounts.reset(late, 'third horse')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })
  })

  test('the SSH key of a sign-up is named in the letter, and goes with a new password by letter: a stranger may have signed up', async () => {
    await signUp('taken@example.com', { password: 'of the stranger', sshKey: ED25519 })
    const token = await given.tokenFor('taken@example.com')
    const { text } = given.letters.findLast(({ to }) => to === 'taken@example.com')!
    expect(text).toMatch(/\nSHA256:[\w+/]{43}\n/)
    given.clock.advance(60_000)
    await given.service.accounts.confirm(token)
    const stranger = await given.service.sessions.authenticate((await login('taken@example.com', 'of the stranger')).token, ADDRESS)
    expect(await given.service.accounts.keys(stranger)).toHaveLength(1)
    const sent = given.letters.length
    await given.service.accounts.requestReset('taken@example.com', nextAddress())
    const letter = await until(() => given.letters.slice(sent).find(({ to }) => to === 'taken@example.com'))
    await given.service.accounts.reset(/password#(sgo_[\w-]{43})\n/.exec(letter.text)![1]!, PASSWORD)
    const owner = await given.service.sessions.authenticate((await login('taken@example.com')).token, ADDRESS)
    expect(await given.service.accounts.keys(owner)).toEqual([])
    const [entry] = (await given.service.audit.list(admin, { limit: 50 })).items.filter(({ action }) => action === 'account.reset')
    expect(entry?.details).toEqual({ removedKeys: [expect.stringMatching(/^SHA256:/)] })
  })

  describe('an invitation', () => {
    test('is accepted with a name and a password', async () => {
      const { link } = await given.service.accounts.invite(admin, { email: 'new@example.com', role: 'auditor' })
      const token = /^https:\/\/api\.example\.com\/invitation#(sgo_[\w-]{43})$/.exec(link)![1]!
      expect(await given.tokenFor('new@example.com')).toBe(token)
      const account = await given.service.accounts.acceptInvitation(token, { name: 'Eve', password: PASSWORD, sshKey: ED25519 })
      expect(account).toMatchObject({ name: 'Eve', email: 'new@example.com', role: 'auditor', state: 'active' })
      await expect(given.service.accounts.acceptInvitation(token, { name: 'Eve', password: PASSWORD })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      })
      await login('new@example.com')
      await expect(given.service.accounts.invite(admin, { email: 'new@example.com', role: 'user' })).rejects.toMatchObject({
        code: 'CONFLICT',
      })
    })

    test('says when its letter does not go, as the address has had too many', async () => {
      const invite = () => given.service.accounts.invite(admin, { email: 'often@example.com', role: 'user' })
      const invitations = [await invite(), await invite(), await invite(), await invite()]
      expect(invitations.map(({ isMailed }) => isMailed)).toEqual([true, true, true, false])
      const token = invitations[3]!.link.split('#')[1]!
      await given.service.accounts.acceptInvitation(token, { name: 'Eve', password: PASSWORD })
    })

    test('counts more than a sign-up that nobody has confirmed', async () => {
      await signUp('both@example.com', { password: 'of the stranger', sshKey: ED25519 })
      const first = await given.tokenFor('both@example.com')
      const { link } = await given.service.accounts.invite(admin, { email: 'both@example.com', role: 'user' })
      await expect(given.service.accounts.confirm(first)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await signUp('both@example.com', { password: 'of the stranger' })
      await given.service.accounts.acceptInvitation(link.split('#')[1]!, { name: 'Bo', password: PASSWORD })
      await expect(login('both@example.com', 'of the stranger')).rejects.toMatchObject({ code: 'LOGIN_FAILED' })
      await login('both@example.com')
    })

    test('is what the first admin gets', async () => {
      const fresh = await startService(await database.empty())
      const invite = () =>
        inviteFirstAdmin(fresh.store, { email: 'root@example.com', apiUrl: 'https://api.example.com', now: fresh.clock.now() })
      const first = await invite()
      const link = await invite()
      expect(link).not.toBe(first)
      await expect(
        fresh.service.accounts.acceptInvitation(first.split('#')[1]!, { name: 'Root', password: PASSWORD }),
      ).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(await fresh.service.accounts.acceptInvitation(link.split('#')[1]!, { name: 'Root', password: PASSWORD })).toMatchObject({
        role: 'admin',
      })
      await expect(invite()).rejects.toMatchObject({ code: 'CONFLICT' })
    })
  })

  test('SSH keys are added once, at most twenty, and removed by their owner alone', async () => {
    const actor = await given.actor()
    const key = await given.service.accounts.addKey(actor, ED25519)
    expect(key).toMatchObject({
      algorithm: 'ssh-ed25519',
      line: ED25519,
      comment: 'ada@laptop',
      fingerprint: expect.stringMatching(/^SHA256:/),
    })
    await expect(given.service.accounts.addKey(actor, ED25519)).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(given.service.accounts.removeKey(await given.actor(), key.id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const line = (count: number): string =>
      `ssh-ed25519 ${Buffer.concat([Buffer.from(ED25519.split(' ')[1]!, 'base64').subarray(0, 19), Buffer.alloc(32, count)]).toString('base64')}`
    for (let count = 1; count < 20; count++) await given.service.accounts.addKey(actor, line(count))
    await expect(given.service.accounts.addKey(actor, line(20))).rejects.toMatchObject({ code: 'LIMIT_REACHED' })
    await given.service.accounts.removeKey(actor, key.id)
    expect(await given.service.accounts.keys(actor)).toHaveLength(19)
  })

  test('a name can be changed, and others see no account', async () => {
    const actor = await given.actor()
    expect(await given.service.accounts.rename(actor, ' Ada L. ')).toMatchObject({ name: 'Ada L.' })
    await expect(given.service.accounts.rename(actor, '')).rejects.toMatchObject({ code: 'INVALID' })
    await expect(given.service.accounts.get(await given.actor(), actor.accountId)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect((await given.service.accounts.get(await given.actor('auditor'), actor.accountId)).name).toBe('Ada L.')
  })
})

test('letters go to the outbox, and their links work', async () => {
  const [database] = await databases()
  const directory = join(tempDir(), 'outbox')
  const mail = await createMailer({ place: { kind: 'outbox', directory, from: 'gateway@example.com' }, directory })
  onCleanUp(() => mail.close())
  const { service } = await startService(await database!.empty(), { mail })
  await service.accounts.signUp({ name: 'Ada', email: 'ada@example.com', password: PASSWORD }, ADDRESS)
  const file = await until(() => readdirSync(directory).find(name => name.endsWith('.txt')))
  const text = readFileSync(join(directory, file), 'utf8')
  expect(text).toContain('To: ada@example.com\nSubject: Confirm your account at edge.example.com\n')
  await service.accounts.confirm(/sgo_[\w-]{43}/.exec(text)![0])
  await service.sessions.login({ email: 'ada@example.com', password: PASSWORD }, ADDRESS)
})
