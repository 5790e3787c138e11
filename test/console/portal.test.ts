/** The portal of a service in a real browser. */
import { beforeAll, describe, expect } from '@jest/globals'
import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import type { LogLine } from '../../src/api/api-options.ts'
import { newKeyLine, PASSWORD, startApi, type RunningApi } from '../support/api.ts'
import { faultsOf, loaded, openTab, overhangOf, type Tab } from '../support/chromium.ts'
import { programPath, testWith } from '../support/needs.ts'
import { answerSeen, watchSeen } from '../support/seen.ts'

const HOST = 'portal.localhost'
const SERVICE = { zone: 'edge.example.com', api: 'https://api.example.com', ssh: 'ssh.example.com:2222' }
let api: RunningApi
let tab: Tab
let page: Page

/** Visitors of each socket: three, and then nobody. */
async function* visitors(_actor: unknown, _id: string, signal: AbortSignal): AsyncIterable<LogLine> {
  for (const path of ['/a', '/b', '/c']) yield { text: `203.0.113.7 "GET ${path} HTTP/1.1" 200`, kind: 'request' }
  await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
}

beforeAll(async () => {
  if (programPath('chromium') === undefined) return
  const dataPlane = { apply: async () => undefined, requests: answerSeen, followRequests: watchSeen }
  api = await startApi({ portal: { host: HOST, isSecure: false, service: SERVICE }, logs: { watch: visitors } }, { dataPlane })
  tab = await openTab(`http://${HOST}:${new URL(api.url).port}/`)
  page = tab.page
})

const heading = (name: string) => page.getByRole('heading', { level: 1, name, exact: true })
const menu = (name: string) => page.getByRole('navigation').getByRole('link', { name })

/** Logs in, wherever the page is. */
async function login(email: string): Promise<void> {
  await heading('Log in').waitFor()
  await page.getByLabel('E-mail address', { exact: true }).fill(email)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('navigation').waitFor()
}

const expectGood = async (): Promise<void> => {
  await loaded(page)
  expect(await faultsOf(page)).toEqual([])
  expect(await overhangOf(page)).toBe(0)
}

describe('somebody with an account', () => {
  testWith(['chromium'], 'logs in, makes a socket, protects and shares it, watches it, and deletes it', async () => {
    await heading('Log in').waitFor()
    await expectGood()
    await page.getByLabel('E-mail address', { exact: true }).fill('ada@example.com')
    await page.getByLabel('Password', { exact: true }).fill('not the password')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('alert').getByText('LOGIN_FAILED').waitFor()
    await login('ada@example.com')
    await page.getByText('There is none yet.').waitFor()
    await expectGood()

    await page.getByRole('button', { name: 'New socket' }).click()
    await page.getByLabel('Name', { exact: false }).first().fill('my <b>shop</b>')
    await page.getByRole('button', { name: 'Create' }).click()
    await heading('my <b>shop</b>').waitFor()
    const id = decodeURIComponent(new URL(page.url()).hash.split('/').at(-1)!)
    await page.getByText(`socket-gateway tunnel connect --socket-id ${id} --port 8000`).waitFor()
    await page.getByText(/^ssh -p 2222 -R [a-z0-9-]+:80:localhost:8000 [0-9a-f]{32}@ssh\.example\.com$/).waitFor()

    await page.getByRole('button', { name: 'Password' }).click()
    await page.getByLabel('Password', { exact: false }).last().fill('let me in')
    await page.getByRole('button', { name: 'Set', exact: true }).click()
    await page.getByText('password of guest').waitFor()
    await page.getByRole('button', { name: 'Share' }).click()
    await page.getByLabel('Only these people').fill('bob@example.com @example.org')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('login of bob@example.com, @example.org').waitFor()
    await page.getByText('New link').click()
    await page.getByRole('textbox', { name: 'Page' }).fill('/plan')
    await page.getByLabel('Times').fill('3')
    await page.getByRole('button', { name: 'Make a link' }).click()
    await page.getByText(/^https:\/\/[a-z0-9-]+\.edge\.example\.com\/plan\?sg-share=sgl_/).waitFor()
    await page.getByRole('cell', { name: '0 of 3' }).waitFor()
    await expectGood()
    await page.getByRole('button', { name: 'Revoke the link to /plan' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('region', { name: 'Share links' }).getByText('There is none.').waitFor()
    await page.getByRole('button', { name: 'Add a tunnel' }).click()
    await page.getByRole('cell', { name: 'not connected' }).waitFor()
    await page.getByText(/^socket-gateway login .*--tunnel-id/s).waitFor()

    await page.getByRole('button', { name: 'Record requests' }).click()
    await page.getByRole('link', { name: 'Show the requests' }).click()
    await heading('Requests').waitFor()
    await expectGood()
    await page.getByRole('row', { name: /POST a\.edge\.example\.com \/pay 402/ }).click()
    await heading('POST a.edge.example.com/pay').waitFor()
    await page.getByText('"<b>7</b>"').waitFor()
    await page.getByText('request field authorization', { exact: true }).waitFor()
    await page.getByRole('region', { name: 'Messages' }).getByText('hi').waitFor()
    await expectGood()
    await page.getByRole('button', { name: 'Replay' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Send' }).click()
    await page.getByRole('link', { name: 'Side by side' }).waitFor()
    await expectGood()
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
    await page.getByRole('link', { name: '← All requests' }).click()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'HAR' }).click()])
    expect(JSON.parse(await readFile(await download.path(), 'utf8'))).toMatchObject({ log: { version: '1.2', entries: [{}] } })
    await menu('Sockets').click()
    await page.getByRole('link', { name: 'my <b>shop</b>' }).click()
    await page.getByRole('button', { name: 'Stop recording' }).click()
    await page.getByRole('button', { name: 'Record requests' }).waitFor()

    await page.getByRole('button', { name: 'Watch' }).click()
    await page.getByText('3 lines, live').waitFor()
    await page.getByLabel('Find').fill('/b')
    await page.getByText('1 line, live').waitFor()
    await expectGood()
    await page.getByRole('button', { name: 'Stop' }).click()

    await page.getByRole('button', { name: 'Delete', exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByText('There is none yet.').waitFor()
  })

  testWith(['chromium'], 'keeps keys and tokens, sees what was done, and logs out', async () => {
    await menu('Profile, keys, tokens').click()
    await page.getByLabel('Public key').fill(newKeyLine())
    await page.getByRole('button', { name: 'Add a key' }).click()
    await page.getByRole('button', { name: /^Remove the key SHA256:/ }).waitFor()
    await page.getByLabel('What it is for').fill('deploy')
    await page.getByRole('button', { name: 'Make a token' }).click()
    await page.getByText('The token is shown this once:').waitFor()
    await page.getByRole('button', { name: 'Revoke the token deploy' }).click()
    await page.getByRole('dialog', { name: 'Revoke deploy?' }).getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('button', { name: 'Revoke the token deploy' }).waitFor({ state: 'detached' })
    await expectGood()
    for (const name of ['Usage', 'Events', 'Audit']) {
      await menu(name).click()
      await heading(name).waitFor()
      await expectGood()
    }
    await page.getByRole('cell', { name: 'token.create' }).or(page.getByText('token')).first().waitFor()
    expect(await menu('Accounts').count()).toBe(0)
    // No script has the login.
    expect(await page.evaluate<string>('document.cookie + JSON.stringify(localStorage)')).not.toMatch(/sg-portal|eyJ/)
    await page.getByRole('button', { name: 'Log out' }).click()
    await heading('Log in').waitFor()
  })
})

describe('somebody without a mouse', () => {
  /** Goes on by Tab until what has this name has the focus. */
  const tabTo = async (name: string): Promise<void> => {
    const seen: string[] = []
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab')
      const at = await page.evaluate<string>(
        "(() => { const at = document.activeElement; return at?.getAttribute('aria-label') ?? at?.labels?.[0]?.textContent ?? at?.textContent ?? '' })()",
      )
      if (at.startsWith(name)) return
      seen.push(at.slice(0, 40))
    }
    throw new Error(`Tab does not reach "${name}", only ${[...new Set(seen)].join(' | ')}`)
  }
  const type = async (name: string, text: string): Promise<void> => {
    await tabTo(name)
    await page.keyboard.type(text)
  }
  const press = async (name: string, key = 'Enter'): Promise<void> => {
    await tabTo(name)
    await page.keyboard.press(key)
  }

  testWith(['chromium'], 'logs in, makes, protects, shares and deletes a socket, adds and removes a key, and logs out', async () => {
    await heading('Log in').waitFor()
    await type('E-mail address', 'bob@example.com')
    await type('Password', PASSWORD)
    await page.keyboard.press('Enter')
    await page.getByRole('navigation').waitFor()
    await press('Sockets')
    await page.getByText('There is none yet.').waitFor()

    await press('New socket')
    await page.getByRole('dialog', { name: 'New socket' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    // The focus is where it was.
    await page.locator('button:focus', { hasText: 'New socket' }).waitFor()
    await page.keyboard.press('Space')
    await page.getByRole('dialog', { name: 'New socket' }).waitFor()
    await page.locator('input[name=name]:focus').waitFor()
    await page.keyboard.type('by hand')
    await page.keyboard.press('Enter')
    await heading('by hand').waitFor()

    await press('Password')
    await page.getByRole('dialog', { name: 'Password for visitors' }).waitFor()
    await type('Password', 'let me in')
    await page.keyboard.press('Enter')
    await page.getByText('password of guest').waitFor()
    await press('Share')
    await page.getByRole('dialog', { name: 'Share' }).waitFor()
    await type('Only these people', 'ada@example.com')
    await press('Save', 'Space')
    await page.getByText('login of ada@example.com').waitFor()
    await press('Delete')
    await page.getByRole('dialog', { name: 'Delete by hand?' }).waitFor()
    await page.locator('button:focus', { hasText: 'Cancel' }).waitFor()
    await press('Delete')
    await page.getByText('There is none yet.').waitFor()

    await press('Profile, keys, tokens')
    await heading('Profile, keys, tokens').waitFor()
    await type('Public key', newKeyLine())
    await press('Add a key')
    await press('Remove the key SHA256:')
    await page.getByRole('dialog').waitFor()
    await page.locator('button:focus', { hasText: 'Cancel' }).waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: /^Remove the key SHA256:/ }).waitFor({ state: 'detached' })
    await press('Log out')
    await heading('Log in').waitFor()
  })
})

describe('an admin', () => {
  testWith(['chromium'], 'is told on each page how old it is when the gateway does not answer, and reads the keys by ?', async () => {
    // One route for all: Chromium lets calls through for a moment after one was taken away and another put in its place.
    let isCut = false
    await page.route('**/api/v1/**', route => (isCut ? route.abort() : route.continue()))
    await login('root@example.com')
    const pages = ['Sockets', 'Usage', 'Events', 'Profile, keys, tokens', 'Audit', 'Accounts', 'Keys of inner layers']
    for (const name of pages) {
      await menu(name).click()
      await heading(name).waitFor()
      await loaded(page)
      await page.keyboard.press('?')
      await page.getByRole('dialog', { name: 'By keyboard' }).getByText(name, { exact: true }).waitFor()
      await page.keyboard.press('Escape')
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      isCut = true
      await page.keyboard.press('r')
      await page
        .getByText(/^This is .+ old\.$/)
        .first()
        .waitFor()
      await page.getByText('NOT_REACHED').first().waitFor()
      await expectGood()
      isCut = false
      await page.keyboard.press('r')
      await page
        .getByText(/^This is .+ old\.$/)
        .first()
        .waitFor({ state: 'detached' })
    }
    await page.unroute('**/api/v1/**')
    // An answer that comes between the two keys takes neither.
    await page.keyboard.press('g')
    const answered = page.waitForResponse(/api\/v1\/account$/)
    await page.evaluate("window.dispatchEvent(new Event('console-refresh'))")
    await answered
    await page.evaluate('new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))')
    await page.keyboard.press('u')
    await heading('Usage').waitFor()
    await page.getByRole('button', { name: 'Log out' }).click()
  })

  testWith(['chromium'], 'sees accounts, gives one its limits, and suspends one after being asked', async () => {
    await login('root@example.com')
    await menu('Accounts').click()
    await page.getByRole('button', { name: 'Limits of bob@example.com' }).click()
    const limits = page.getByRole('dialog', { name: 'Limits of bob@example.com' })
    const [bytes, visit] = [limits.getByLabel('Bytes in a day'), limits.getByLabel('before the first visit')]
    await bytes.fill('much')
    await limits.getByRole('button', { name: 'Save' }).click()
    await limits.getByRole('alert').getByText('this is no size').waitFor()
    await bytes.fill('10 GiB')
    await visit.selectOption('yes')
    await expectGood()
    await limits.getByRole('button', { name: 'Save' }).click()
    await limits.waitFor({ state: 'detached' })
    const bob = await api.v1('GET', `/admin/accounts/${api.ids.bob}`, { token: 'root' })
    expect(bob.json).toMatchObject({ limits: { bytesPerDay: 10 * 2 ** 30, interstitial: true } })
    expect(Object.keys((bob.json as { limits: object }).limits).sort()).toEqual(['bytesPerDay', 'interstitial'])
    await page.getByRole('button', { name: 'Limits of bob@example.com' }).click()
    expect([await bytes.inputValue(), await visit.inputValue()]).toEqual(['10GiB', 'yes'])
    await limits.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Suspend bob@example.com' }).click()
    await page.getByRole('dialog').getByText('its tunnels are cut').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click()
    await page.getByRole('button', { name: 'Resume bob@example.com' }).waitFor()
    await expectGood()
    await menu('Keys of inner layers').click()
    await page.getByText('No inner layer has joined by a token.').waitFor()
    await expectGood()
    expect(tab.complaints).toEqual([])
  })
})
