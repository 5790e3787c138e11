/** Single logout of SAML 2.0 as a person sees it, in Chromium, at the hosts of two sockets that tunnels serve. */
import { beforeAll, beforeEach, describe, expect } from '@jest/globals'
import type { Page } from 'playwright-core'
import { request } from 'node:https'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import type { ProviderConfig } from '../../src/visitors/config.ts'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { faultsOf, openTab } from '../support/chromium.ts'
import { changeOf, dialerTo, grantedKey, socketOf, tunnelOf, ZONE } from '../support/directory.ts'
import { programPath, testWith } from '../support/needs.ts'
import { GRACE, settingsOf, startSaml, type SamlServer } from '../support/saml.ts'
import { until } from '../support/wait.ts'
import { AUTH, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'

const WIKI = `https://s1.${ZONE}`
const BOARD = `https://s2.${ZONE}`
const NEEDED = ['chromium']

let at: VisitorLayers
let idp: SamlServer
let page: Page

beforeAll(async () => {
  if (programPath('chromium') === undefined) return
  idp = await startSaml()
  const directory = new LiveDirectory({ zone: ZONE })
  const saml = settingsOf({ kind: 'url', url: idp.metadataUrl }, { entityId: `https://${AUTH}/saml/corp` })
  const corp: ProviderConfig = {
    ...{ name: 'corp', kind: 'saml', title: 'Corp', issuer: idp.metadataUrl, clientId: '', clientSecret: '', scopes: [], saml },
    ...{ groupsClaim: 'groups', keptGroups: undefined, keptClaims: [], trustsEmail: false },
  }
  at = await startVisitorLayers('targets: {}', {
    config: { providers: new Map([['corp', corp]]), socketProviders: ['corp'] },
    layers: {
      outer: { directory, appCertificates: await startStore([writePair(await mintServer([AUTH, `*.${ZONE}`]))]) },
      inners: 0,
    },
  })
  const visitors = { emails: ['grace@example.io'], domains: [], groups: [] }
  await directory.apply(changeOf({ sockets: [1, 2].map(number => socketOf(number, { visitors })) }))
  const dialer = dialerTo(at.originPort)
  for (const number of [1, 2]) {
    const { privateKey, granted } = grantedKey({ tunnelId: tunnelOf(number) })
    await directory.apply(changeOf({ keys: [granted] }))
    const allowList = new AllowList(['*.socket.invalid:*'])
    await at.layers.addInner({ privateKey, identifier: tunnelOf(number), allowList, dialer, tcpDialer: dialer })
  }
  const { port } = at.layers
  const rules = `--host-resolver-rules=MAP ${AUTH}:443 127.0.0.1:${port}, MAP *.${ZONE}:443 127.0.0.1:${port}`
  const tab = await openTab('about:blank', {}, [rules])
  const context = await tab.page.context().browser()!.newContext({ ignoreHTTPSErrors: true, locale: 'en' })
  context.setDefaultTimeout(60_000)
  page = await context.newPage()
})
beforeEach(async () => {
  if (programPath('chromium') === undefined) return
  // Whoever was logged out in one test logs in later in the next.
  at.aheadMs += 1_000
  at.events.length = at.saw.length = 0
  idp.user = GRACE
  const { participants } = idp
  participants.all.length = participants.heard.length = 0
  Object.assign(participants, { cert: undefined, sendsForms: false, isStubborn: false, ended: 0 })
  await page.context().clearCookies()
})

/** Logs in at both sockets: at the second one without a word. */
async function logIn(): Promise<void> {
  await page.goto(`${WIKI}/plan`)
  await page.waitForURL(`${WIKI}/plan`)
  await page.goto(`${BOARD}/list`)
  await page.waitForURL(`${BOARD}/list`)
  expect(at.saw.filter(({ path }) => path !== '/favicon.ico').map(({ path, headers }) => [path, headers['x-auth-email']])).toEqual([
    ['/plan', GRACE.email],
    ['/list', GRACE.email],
  ])
  expect(idp.participants.all).toHaveLength(1)
}
/** Status of a program's request with the cookies that the browser has for a host: 401 where they are of no session. */
const statusAt = async (host: string): Promise<number> => {
  const cookies = await page.context().cookies(host)
  const headers = { host: new URL(host).host, cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') }
  const { port } = at.layers
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/x', headers, servername: headers.host, rejectUnauthorized: false, agent: false }
    request(options, answer => answer.resume().on('end', () => resolve(answer.statusCode ?? 0)))
      .on('error', reject)
      .end()
  })
}

describe('a person in a browser', () => {
  testWith(NEEDED, 'logs out of one socket, then of the provider: the other socket is closed as well', async () => {
    await logIn()
    await page.goto(`${WIKI}/.sg/logout`)
    await page.getByRole('button').first().click()
    const link = page.getByRole('link', { name: 'Log out of Corp as well' })
    await link.waitFor()
    expect([await statusAt(WIKI), await statusAt(BOARD)]).toEqual([401, 200])
    await link.click()
    await page.waitForURL(url => url.host === AUTH && url.pathname === '/saml/corp/logout')
    expect(await page.textContent('main')).toContain('You have come back from the provider')
    expect(await faultsOf(page)).toEqual([])
    expect([await statusAt(WIKI), await statusAt(BOARD), idp.participants.ended]).toEqual([401, 401, 1])
    idp.user = undefined
    await page.goto(`${BOARD}/list`)
    await page.waitForURL(url => url.host === AUTH && url.pathname === '/login')
    await page.getByRole('link', { name: 'Corp' }).click()
    await page.waitForURL(url => url.href.startsWith(idp.loginUrl))
  })

  for (const sendsForms of [false, true])
    testWith(NEEDED, `logs out at the provider, which sends the browser round by ${sendsForms ? 'forms' : 'redirects'}`, async () => {
      idp.participants.sendsForms = sendsForms
      await logIn()
      await page.goto(`${WIKI}/plan`)
      // Something that is open meanwhile.
      const other = await page.context().newPage()
      await other.goto(`${WIKI}/plan`)
      const open = other.evaluate<string>(
        "fetch('/endless').then(async answer => { const reader = answer.body.getReader(); while (!(await reader.read()).done); return 'a clean end' }).catch(() => 'cut')",
      )
      await until(() => at.saw.some(({ path }) => path === '/endless'))
      await page.goto(idp.loginUrl.replace('/login', '/logout'))
      await until(() => idp.participants.ended === 1, { what: 'the end at the provider' })
      expect(idp.participants.heard.every(xml => xml.includes('status:Success'))).toBe(true)
      expect([await open, await statusAt(WIKI), await statusAt(BOARD)]).toEqual(['cut', 401, 401])
      await other.close()
      expect(at.events.filter(({ kind }) => kind === 'logout')).toHaveLength(1)
      expect(at.events.filter(({ kind }) => kind === 'logout-failed')).toEqual([])
    })
})
