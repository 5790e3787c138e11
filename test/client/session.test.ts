/** Logins: the file that keeps them, and tokens that are renewed. */
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { CredentialsFile } from '../../src/client/credentials.ts'
import { parseServerUrl } from '../../src/client/server-url.ts'
import { Session, type SessionOptions } from '../../src/client/session.ts'
import { startApi } from '../support/api.ts'
import { ACCOUNT } from '../support/service-stand-in.ts'
import { tempDir } from '../support/temp.ts'

const LOGIN = { token: 'x.y.z', email: 'ada@example.com', accountId: ACCOUNT.id, expiresAt: '2026-11-28T07:00:00.000Z' }
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
    const file = newFile()
    const options: SessionOptions = { server: parseServerUrl(api.url), env: {}, file, now: () => Date.now() }
    return { api, file, options, at: (hours: number): SessionOptions => ({ ...options, now: () => Date.now() + hours * HOUR }) }
  }

  test('of a login is there for the next command', async () => {
    const { api, file, options } = await start()
    await expect(new Session(options).open()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('socket-gateway login'),
    })
    await new Session(options).login('ada@example.com', 'right password')
    expect(await file.read(api.url)).toMatchObject({ token: 'ada', email: 'ada@example.com', accountId: ACCOUNT.id })
    expect((await (await new Session(options).open()).client.account()).email).toBe('ada@example.com')
  })

  test('renews its token in its last hour, once for all who ask, and keeps it', async () => {
    const { api, file, options, at } = await start()
    await new Session(options).login('ada@example.com', 'right password')
    await new Session(at(3)).open()
    expect((await file.read(api.url))?.token).toBe('ada')
    const session = await new Session(at(4.5)).open()
    expect((await file.read(api.url))?.token).toBe('ada-renewed')
    api.tokens.delete('ada')
    await expect(session.client.account()).resolves.toHaveProperty('email')
  })

  test('goes on with a good token while the API cannot renew it', async () => {
    const { api, options, at } = await start()
    await new Session(options).login('ada@example.com', 'right password')
    api.fail = new Error('away')
    await expect((await new Session(at(4.5)).open()).client.account()).resolves.toHaveProperty('email')
  })

  test('that is over, or was ended, says to log in again', async () => {
    const { api, options, at } = await start()
    await new Session(options).login('ada@example.com', 'right password')
    await expect(new Session(at(5.1)).open()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('is over'),
    })
    api.tokens.clear()
    await expect(new Session(at(4.5)).open()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('was ended'),
    })
  })

  test('with a token for programs needs no file and changes none', async () => {
    const { file, options } = await start()
    const session = await new Session({ ...options, apiToken: 'ada' }).open()
    await expect(session.client.account()).resolves.toHaveProperty('email')
    await session.renewWhenDue()
    expect(existsSync(file.path)).toBe(false)
  })
})
