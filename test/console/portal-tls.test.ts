/** The portal as people have it: a real outer layer with TLS of its own, the real service beside it, a provider, and Chromium. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { beforeAll, describe, expect } from '@jest/globals'
import type { Page } from 'playwright-core'
import { createSecretsKey } from '../../src/config/service/secrets-key.ts'
import { mintServer, writePair } from '../support/certificates.ts'
import { faultsOf, loaded, openTab, overhangOf, type Tab } from '../support/chromium.ts'
import { programPath, testWith } from '../support/needs.ts'
import { startOidc, type OidcServer } from '../support/oidc.ts'
import { freePort } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const ZONE = 'edge.example.test'
const PASSWORD = 'correct horse battery'
const ANN = { sub: 'ann', email: 'Ann@Example.com', email_verified: true, name: 'Ann' }

let port: number
let adminPort: number
let outbox: string
let oidc: OidcServer
let tab: Tab
let page: Page
const at = (host: string, path = '/'): string => `https://${host}.${ZONE}:${port}${path}`

beforeAll(async () => {
  if (programPath('chromium') === undefined) return
  const directory = tempDir()
  port = await freePort()
  adminPort = await freePort()
  oidc = await startOidc([at('auth', '/callback/company')])
  const { certificate, key } = writePair(await mintServer([`*.${ZONE}`]), 'server', directory)
  const state = join(directory, 'state')
  outbox = join(state, 'outbox')
  mkdirSync(state, { mode: 0o700 })
  writeFileSync(join(state, 'service.key'), createSecretsKey(), { mode: 0o600 })
  writeFileSync(join(directory, 'company.secret'), oidc.clientSecret, { mode: 0o600 })
  const service = join(directory, 'service.yaml')
  const provider = `issuer: "${oidc.issuer}", clientId: ${oidc.clientId}, clientSecretFile: company.secret, title: Example Corp`
  const lines = [
    `zone: ${ZONE}`,
    'signUp: open',
    'mail: outbox',
    `identityProviders: { company: { ${provider} }, partner: { ${provider} } }`,
    'portalProviders: [company]',
  ]
  writeFileSync(service, lines.join('\n'))
  const args = ['--app-port', String(port), '--socket-port', '0', '--admin-port', String(adminPort), '--log-format', 'json']
  const outer = startProcess(['outer-layer', '--service', service, '--tls-certificate', certificate, '--tls-key', key, ...args], {
    env: { SG_DRAIN_DELAY: '0' },
  })
  await outer.waitForLine(/the service process is ready/)
  tab = await openTab('about:blank', { ignoreHTTPSErrors: true }, [`--host-resolver-rules=MAP *.${ZONE} 127.0.0.1`])
  page = tab.page
})

const heading = (name: string) => page.getByRole('heading', { level: 1, name, exact: true })
const byProvider = () => page.getByRole('link', { name: 'Log in with Example Corp' })
/** After a logout the auth host does not take a known login by itself: it asks once more. */
const enterByProvider = async (): Promise<void> => {
  await byProvider().click()
  await page.waitForURL(url => url.host === `auth.${ZONE}:${port}`)
  await byProvider().click()
}
const expectGood = async (): Promise<void> => {
  expect(await faultsOf(page)).toEqual([])
  expect(await overhangOf(page)).toBe(0)
}

/** One request of a program. @returns status, where it is sent, and the cookies that it gets */
const ask = (path: string, headers: Record<string, string> = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    const host = `portal.${ZONE}`
    const options = { host: '127.0.0.1', servername: host, port, path, rejectUnauthorized: false, agent: false }
    const sent = request({ ...options, headers: { host: `${host}:${port}`, ...headers } }, response => {
      response.resume()
      const { location = '-', 'set-cookie': cookies = [] } = response.headers
      resolve(`${response.statusCode} ${location.split('?')[0]} ${cookies.filter(cookie => cookie.includes('portal')).length}`)
    })
    sent.on('error', reject).end()
  })

describe('the portal behind an outer layer with TLS', () => {
  testWith(['chromium'], 'takes an account on, logs in by password, and keeps the login in a cookie that no script has', async () => {
    await page.goto(at('portal'))
    await heading('Log in').waitFor()
    await expectGood()
    await page.getByText('No account yet').click()
    await page.getByLabel('Name', { exact: true }).fill('Ann')
    await page.getByLabel('Your e-mail address').fill('ann@example.com')
    await page.getByLabel('New password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Ask for an account' }).click()
    await page.getByText('A mail is on its way').waitFor()
    const letter = await until(
      () =>
        readdirSync(outbox)
          .map(name => readFileSync(join(outbox, name), 'utf8'))
          .find(text => text.includes('/user/confirm/')),
      { what: 'the letter' },
    )
    await page.goto(/https:\S+\/user\/confirm\/\S+/.exec(letter)![0])
    await page.getByText('You have confirmed your account').waitFor()
    await page.goto(at('portal'))
    await page.getByLabel('E-mail address', { exact: true }).fill('ann@example.com')
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await page.getByRole('button', { name: 'Log in', exact: true }).click()
    await page.getByText('There is none yet.').waitFor()
    await page.getByRole('button', { name: 'New socket' }).click()
    await page.getByLabel('Name', { exact: false }).first().fill('shop')
    await page.getByRole('button', { name: 'Create' }).click()
    await page.getByRole('link', { name: new RegExp(`^https://[a-z0-9-]+\\.${ZONE}:${port}$`) }).waitFor()
    const cookie = (await page.context().cookies()).find(({ name }) => name === '__Host-sg-portal')
    expect(cookie).toMatchObject({ domain: `portal.${ZONE}`, path: '/', httpOnly: true, secure: true, sameSite: 'Strict' })
    expect(await page.evaluate<string>('document.cookie + JSON.stringify(localStorage)')).not.toMatch(/sg-portal|eyJ/)
    await expectGood()
    await page.getByRole('button', { name: 'Log out' }).click()
    await heading('Log in').waitFor()
  })

  testWith(['chromium'], 'logs in by a provider, and whoever sits there next has to say who they are', async () => {
    oidc.person = ANN
    await enterByProvider()
    await page.getByRole('link', { name: 'shop', exact: true }).waitFor()
    expect(new URL(page.url()).host).toBe(`portal.${ZONE}:${port}`)
    await page.getByRole('navigation').getByRole('link', { name: 'Audit' }).click()
    await page.getByText('{"provider":"company"}').waitFor()
    await page.getByRole('button', { name: 'Log out' }).click()
    await heading('Log in').waitFor()
    const before = oidc.logins
    oidc.person = { ...ANN, sub: 'eve', email: 'eve@example.com' }
    await enterByProvider()
    await page.getByText('There is no account with your address.').waitFor()
    expect(oidc.logins).toBe(before + 1)
    await expectGood()
    await page.getByRole('button', { name: 'Log in as somebody else' }).click()
    await page.getByRole('alert').waitFor({ state: 'detached' })
    oidc.person = ANN
    await enterByProvider()
    await page.getByRole('link', { name: 'shop', exact: true }).waitFor()
    expect(tab.complaints).toEqual([])
  })

  testWith(['chromium'], 'believes nobody but the provider, and no provider whose word is not to count', async () => {
    const forged = { 'x-auth-email': 'ann@example.com', 'x-sg-identity': 'x' }
    const asPage = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    expect(await ask('/portal/sign-in/company', forged)).toBe('401 - 0')
    expect(await ask('/portal/sign-in/company', { ...forged, ...asPage })).toBe(`302 ${at('auth', '/login')} 0`)
    expect(await ask('/portal/sign-in/company/', { ...forged, ...asPage })).toBe(`302 ${at('auth', '/login')} 0`)
    for (const path of ['/Portal/sign-in/company', '/portal/sign-in/COMPANY', '/portal/sign-in/partner', '/portal/sign-in'])
      expect([path, (await ask(path, { ...forged, ...asPage })).replace(/^40[04] - 0$/, 'nothing')]).toEqual([path, 'nothing'])
  })
})

describe('the console of the operator of that outer layer', () => {
  testWith(['chromium'], 'has the accounts of the service and its audit log, and suspends after asking', async () => {
    const { page: console, complaints } = await openTab(`http://127.0.0.1:${adminPort}/#/accounts`)
    const open = async (name: string): Promise<void> => {
      await console.getByRole('navigation').getByRole('link', { name }).click()
      await console.getByRole('heading', { level: 1, name }).waitFor()
      await loaded(console)
      expect(await faultsOf(console)).toEqual([])
      expect(await overhangOf(console)).toBe(0)
    }
    await console.getByRole('button', { name: 'Suspend ann@example.com' }).click()
    await console.getByRole('dialog').getByText('its tunnels are cut').waitFor()
    await console.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click()
    await console.getByRole('button', { name: 'Resume ann@example.com' }).waitFor()
    await open('Accounts')
    await open('Audit')
    await console.getByRole('row', { name: /account\.suspend operator/ }).waitFor()
    // Whoever is suspended is out, by a provider as well.
    await page.goto(at('portal'))
    await heading('Log in').waitFor()
    await byProvider().click()
    await page.getByText('There is no account with your address.').waitFor()
    await console.getByRole('navigation').getByRole('link', { name: 'Accounts' }).click()
    await console.getByRole('button', { name: 'Resume ann@example.com' }).click()
    await console.getByRole('dialog').getByRole('button', { name: 'Resume' }).click()
    await console.getByRole('button', { name: 'Suspend ann@example.com' }).waitFor()
    expect(complaints).toEqual([])
  })
})
