/** Logins: the file that keeps them, and tokens that are renewed. */
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { CredentialsFile } from '../../src/client/credentials.ts'
import { parseServerUrl } from '../../src/client/server-url.ts'
import { Session, type SessionOptions } from '../../src/client/session.ts'
import { PASSWORD, startApi } from '../support/api.ts'
import { tempDir } from '../support/temp.ts'

const LOGIN = { token: 'x.y.z', email: 'ada@example.com', accountId: 'a', expiresAt: '2026-11-28T07:00:00.000Z' }
const newFile = (): CredentialsFile => new CredentialsFile(join(tempDir(), 'socket-gateway', 'credentials.json'))

describe('the file of logins', () => {
  test('keeps one login for each server, for its owner alone, and leaves nothing beside it', async () => {
    const file = newFile()
    expect([await file.read('https://a'), await file.currentServer()]).toEqual([undefined, undefined])
    await file.write('https://a', LOGIN)
    await file.write('https://b', { ...LOGIN, token: 'b' })
    expect([await file.read('https://a'), (await file.read('https://b'))?.token, await file.currentServer()]).toEqual([
      LOGIN,
      'b',
      'https://b',
    ])
    expect(statSync(file.path).mode & 0o777).toBe(0o600)
    expect(statSync(dirname(file.path)).mode & 0o777).toBe(0o700)
    expect(readdirSync(dirname(file.path))).toEqual(['credentials.json'])
    expect(await file.read('constructor')).toBeUndefined()
  })

  test('forgets a login, and the other one is the current one', async () => {
    const file = newFile()
    await file.write('https://a', LOGIN)
    await file.write('https://b', LOGIN)
    expect([await file.remove('https://b'), await file.remove('https://b')]).toEqual([true, false])
    expect([await file.currentServer(), await file.read('https://b')]).toEqual(['https://a', undefined])
    await file.remove('https://a')
    expect([await file.currentServer(), readFileSync(file.path, 'utf8').includes('x.y.z')]).toEqual([undefined, false])
  })

  test('renews a token only where there still is a login', async () => {
    const file = newFile()
    await file.renew('https://a', { token: 'new', expiresAt: 'later' })
    expect(existsSync(file.path)).toBe(false)
    await file.write('https://a', LOGIN)
    await file.renew('https://a', { token: 'new', expiresAt: 'later' })
    expect(await file.read('https://a')).toEqual({ ...LOGIN, token: 'new', expiresAt: 'later' })
  })

  test('that others can read, or that is something else, is refused with what to do', async () => {
    const file = newFile()
    await file.write('https://a', LOGIN)
    chmodSync(file.path, 0o640)
    await expect(file.read('https://a')).rejects.toMatchObject({ code: 'FILE_UNREADABLE', message: expect.stringContaining('chmod 600') })
    chmodSync(file.path, 0o600)
    for (const text of ['', '[', 'null', '{"servers":7}']) {
      writeFileSync(file.path, text)
      await expect(file.read('https://a')).rejects.toMatchObject({
        code: 'FILE_UNREADABLE',
        message: expect.stringContaining('log in again'),
      })
    }
    writeFileSync(file.path, JSON.stringify({ servers: { 'https://a': null, 'https://b': { token: 7 }, 'https://c': LOGIN } }))
    expect([await file.read('https://a'), await file.read('https://b'), await file.read('https://c')]).toEqual([
      undefined,
      undefined,
      LOGIN,
    ])
  })
})

describe('a session', () => {
  const HOUR = 3_600_000
  const start = async () => {
    const api = await startApi()
    const { clock, service } = api.given
    const file = newFile()
    const options: SessionOptions = { server: parseServerUrl(api.url), env: {}, file, now: clock.now }
    const login = (): Promise<unknown> => new Session(options).login('ada@example.com', PASSWORD)
    const endAll = (): Promise<void> =>
      service.sessions.endAll({ accountId: api.ids.ada, role: 'user', scopes: undefined, kind: 'session', address: '' })
    return { api, file, options, login, endAll, later: (hours: number) => clock.advance(hours * HOUR) }
  }

  test('of a login is there for the next command', async () => {
    const { api, file, options, login } = await start()
    await expect(new Session(options).open()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('socket-gateway login'),
    })
    await login()
    expect(await file.read(api.url)).toMatchObject({ email: 'ada@example.com', accountId: api.ids.ada })
    expect((await (await new Session(options).open()).client.account()).email).toBe('ada@example.com')
  })

  test('renews its token in its last hour, once for all who ask, and keeps it', async () => {
    const { api, file, options, login, later } = await start()
    await login()
    const first = await file.read(api.url)
    later(3)
    await new Session(options).open()
    expect(await file.read(api.url)).toEqual(first)
    later(1.5)
    const session = await new Session(options).open()
    await Promise.all([session.renewWhenDue(), session.renewWhenDue()])
    expect(api.seen.filter(([call]) => call === 'sessions.refresh').length).toBe(1)
    const second = await file.read(api.url)
    expect(Date.parse(second!.expiresAt) - Date.parse(first!.expiresAt)).toBe(4.5 * HOUR)
    later(1) // the first one is over by now
    await expect(session.client.account()).resolves.toHaveProperty('email')
  })

  test('renews it once for calls at the same time', async () => {
    const { api, options, login, later } = await start()
    await login()
    const session = await new Session(options).open()
    later(4.5)
    await Promise.all([session.renewWhenDue(), session.renewWhenDue()])
    expect(api.seen.filter(([call]) => call === 'sessions.refresh').length).toBe(1)
  })

  test('goes on with a good token while the API cannot renew it', async () => {
    const { api, options, login, later } = await start()
    await login()
    later(4.5)
    api.fail = new Error('away')
    await expect((await new Session(options).open()).client.account()).resolves.toHaveProperty('email')
  })

  test('that is over, or was ended, says to log in again', async () => {
    const { options, login, endAll, later } = await start()
    await login()
    later(4.5)
    await endAll()
    await expect(new Session(options).open()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('was ended'),
    })
    later(0.6)
    await expect(new Session(options).open()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('is over'),
    })
  })

  test('with a token for programs needs no file and changes none', async () => {
    const { api, file, options } = await start()
    const session = await new Session({ ...options, apiToken: api.tokens.ada }).open()
    await expect(session.client.account()).resolves.toHaveProperty('email')
    await session.renewWhenDue()
    expect(existsSync(file.path)).toBe(false)
  })
})
