/** Pages behind links of mails, in a real browser; files for the old client. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { chromium } from 'playwright-core'
import { startApi, type ApiAnswer } from '../support/api.ts'
import { browserPath } from '../support/chromium.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { testWith } from '../support/needs.ts'
import { until } from '../support/wait.ts'
import { tempDir } from '../support/temp.ts'

describe('the pages behind links of mails', () => {
  testWith(['chromium'], 'send what people fill in with the token of the link, and then forget it', async () => {
    const api = await startApi()
    const admin = await api.given.actor('admin')
    const { link } = await api.given.service.accounts.invite(admin, { email: 'eve@example.com', role: 'user' })
    const tokenOf = (text: string): string => text.slice(text.indexOf('#') + 1)
    const browser = await chromium.launch({ executablePath: browserPath(), args: ['--no-sandbox'] })
    onCleanUp(() => browser.close())
    const tab = await browser.newPage()
    const login = (email: string, password: string): Promise<ApiAnswer> =>
      api.v1('POST', '/sessions', { token: null, body: { email, password } })
    const complaints: string[] = []
    tab.on('console', message => {
      if (['warning', 'error'].includes(message.type())) complaints.push(message.text())
    })
    await tab.goto(`${api.url}/invitation#${tokenOf(link)}`)
    await tab.getByLabel('Name').fill('Eve')
    await tab.getByLabel('Password').fill('correct horse')
    await tab.getByRole('button').click()
    await tab.getByText('Your account is ready').waitFor()
    expect((await login('eve@example.com', 'correct horse')).status).toBe(201)
    expect(tab.url()).toBe(`${api.url}/invitation`)

    await api.v1('POST', '/password-reset', { token: null, body: { email: 'ada@example.com' } })
    await until(() => api.given.letters.at(-1)?.text.includes('/password#'))
    await tab.goto(`${api.url}/password#${await api.given.tokenFor('ada@example.com')}`)
    await tab.getByLabel('Password').fill('short')
    await tab.getByRole('button').click()
    await tab.getByText('password: expected at least 8 characters').waitFor()
    await tab.getByLabel('Password').fill('correct horse')
    await tab.getByRole('button').click()
    await tab.getByText('The password was changed').waitFor()
    expect((await login('ada@example.com', 'correct horse')).status).toBe(201)
    // The browser itself tells of an answer of 400; of the policy there is nothing to tell.
    expect(complaints.filter(text => !text.includes('400'))).toEqual([])
  })

  test('may not be framed, cached or sent elsewhere', async () => {
    const api = await startApi()
    for (const path of ['/invitation', '/password']) {
      const { headers } = await api.old('GET', path, { token: null })
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none';.*frame-ancestors 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'$/,
      )
      expect([headers.get('cache-control'), headers.get('referrer-policy'), headers.get('x-content-type-options')]).toEqual([
        'no-store',
        'no-referrer',
        'nosniff',
      ])
    }
  })
})

describe('files for the old client', () => {
  test('are those of the folder that is configured, and no others', async () => {
    const folder = tempDir()
    mkdirSync(join(folder, 'linux_amd64'))
    for (const name of ['sha256-checksum.txt', 'mysocketctl', 'secret.txt', '.hidden'])
      writeFileSync(join(folder, 'linux_amd64', name), name)
    writeFileSync(join(folder, 'mysocketctl'), 'outside')
    const api = await startApi({ downloads: () => folder })
    const get = async (path: string): Promise<unknown[]> => {
      const { status, text } = await api.old('GET', path, { token: null })
      return status === 200 ? [status, text] : [status]
    }
    expect(await get('/linux_amd64/sha256-checksum.txt')).toEqual([200, 'sha256-checksum.txt'])
    expect(await get('/linux_amd64/mysocketctl')).toEqual([200, 'mysocketctl'])
    const others = [
      ...[
        '/linux_amd64/secret.txt',
        '/linux_amd64/.hidden',
        '/linux_amd64/../mysocketctl',
        '/linux_amd64/..%2fmysocketctl',
        '/darwin_arm64/mysocketctl',
      ],
      ...['/linux_amd64', '/mysocketctl', '/latest_version.txt', '/%2e%2e/mysocketctl'],
    ]
    for (const path of others) expect([path, ...(await get(path))]).toEqual([path, 404])
  })

  test('may lie in a folder whose own path has a hidden one', async () => {
    const folder = join(tempDir(), '.gateway', 'downloads')
    mkdirSync(join(folder, 'linux_amd64'), { recursive: true })
    writeFileSync(join(folder, 'linux_amd64', 'mysocketctl'), 'program')
    const api = await startApi({ downloads: () => folder })
    const { status, text } = await api.old('GET', '/linux_amd64/mysocketctl', { token: null })
    expect([status, text]).toEqual([200, 'program'])
  })

  test('have a sum also where nobody has written one, of the program as it is now', async () => {
    const folder = tempDir()
    const at = { linux: join(folder, 'linux_amd64'), windows: join(folder, 'windows_amd64') }
    for (const platform of [...Object.values(at), join(folder, 'darwin_arm64')]) mkdirSync(platform)
    writeFileSync(join(at.linux, 'mysocketctl'), 'first')
    writeFileSync(join(at.windows, 'mysocketctl.exe'), 'window')
    const api = await startApi({ downloads: () => folder })
    const sum = async (platform: string): Promise<unknown[]> => {
      const { status, text } = await api.old('GET', `/${platform}/sha256-checksum.txt`, { token: null })
      return status === 200 ? [status, text] : [status]
    }
    const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
    expect(await sum('linux_amd64')).toEqual([200, `${sha256('first')}\n`])
    expect(await sum('linux_amd64')).toEqual([200, `${sha256('first')}\n`])
    expect(await sum('windows_amd64')).toEqual([200, `${sha256('window')}\n`])
    expect(await sum('darwin_arm64')).toEqual([404])
    writeFileSync(join(at.linux, 'mysocketctl'), 'the second')
    expect(await sum('linux_amd64')).toEqual([200, `${sha256('the second')}\n`])
  })
})
