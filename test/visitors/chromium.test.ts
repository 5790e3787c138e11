/** People at the pages of the gateway, in a real browser: with a mouse, with a keyboard, on a phone, in the dark, and as a screen reader has them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect } from '@jest/globals'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import type { LaneParts } from '../../src/visitors/check/create-visitors.ts'
import { Failures } from '../../src/visitors/failures.ts'
import type { HeldSocket } from '../../src/visitors/holders/held-socket.ts'
import { createShare, sealShare } from '../../src/visitors/shares/share.ts'
import { ShareLane } from '../../src/visitors/shares/share-lane.ts'
import { ShareUses } from '../../src/visitors/shares/share-uses.ts'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { browserPath, faultsOf } from '../support/chromium.ts'
import { programPath, testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { GRACE, settingsOf, startSaml } from '../support/saml.ts'
import { beginProgram } from '../support/device-login.ts'
import { tempDir } from '../support/temp.ts'
import { ADA, AUTH, BOARD, startVisitorLayers, TARGETS, WIKI, type VisitorLayers } from '../support/visitors.ts'

/** The browser keeps no cookies of this one. */
const SHY = 'shy.example.test'
/** A socket of the service that some may have. */
const SHELL: HeldSocket = {
  name: 'shell.example.test:40123',
  host: 'shell.example.test',
  port: 40_123,
  accountId: 'a1',
  access: {
    login: {
      providers: undefined,
      emails: new Set([ADA.email]),
      domains: new Set(),
      groups: new Set(),
      claims: new Map(),
      anyone: false,
      origins: new Set(),
    },
    tokens: false,
    jwt: [],
    certificates: undefined,
    public: undefined,
    sessionMs: undefined,
    ofSocket: { socketId: 's1', accountId: 'a1', latest: undefined, shares: [] },
  },
}
const PHONE = { width: 320, height: 640 }
const DESK = { width: 1_024, height: 768 }

let at: VisitorLayers
let parts: LaneParts
let context: BrowserContext
let page: Page
let shy: Promise<Page> | undefined
const complaints: string[] = []

/** A lane as `visitor-lanes.ts` of the command makes it. */
const shareLane = (given: LaneParts): ShareLane => {
  parts = given
  const steady = (): number => performance.now()
  const uses = new ShareUses(join(tempDir(), 'uses'), steady)
  return new ShareLane({ ...given, failures: new Failures(Date.now), uses, clock: Date.now, steady })
}

const BROWSER_ARGS = (port: number): string[] => ['--no-sandbox', `--host-resolver-rules=MAP *.example.test:443 127.0.0.1:${port}`]

/** A browser of somebody who takes what comes. */
const startBrowser = async (port: number): Promise<BrowserContext> => {
  const browser = await chromium.launch({ executablePath: browserPath(), args: BROWSER_ARGS(port) })
  onCleanUp(() => browser.close())
  return browser.newContext({ ignoreHTTPSErrors: true, locale: 'en' })
}

/** A browser whose user has forbidden cookies at one host, which takes the whole of Chromium. */
const startShyBrowser = async (port: number): Promise<BrowserContext> => {
  const profile = tempDir()
  mkdirSync(join(profile, 'Default'))
  const cookies = { [`https://${SHY}:443,*`]: { setting: 2 } }
  writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify({ profile: { content_settings: { exceptions: { cookies } } } }))
  const started = await chromium.launchPersistentContext(profile, {
    executablePath: programPath('chromium')!,
    ignoreHTTPSErrors: true,
    locale: 'en',
    args: BROWSER_ARGS(port),
  })
  onCleanUp(() => started.close())
  return started
}

/** Opens a page of which the browser's complaints are kept. */
const openPage = async (opened: BrowserContext): Promise<Page> => {
  opened.setDefaultTimeout(60_000)
  const opens = opened.pages()[0] ?? (await opened.newPage())
  opens.on('console', message => complaints.push(message.text()))
  opens.on('pageerror', error => complaints.push(String(error)))
  return opens
}

/** Does something with the browser that keeps no cookies of one host, which the first call starts. */
const inShyBrowser = async (act: () => Promise<void>): Promise<void> => {
  shy ??= startShyBrowser(at.layers.port).then(openPage)
  const before = page
  page = await shy
  try {
    await act()
  } finally {
    page = before
  }
}

beforeAll(async () => {
  if (programPath('chromium') === undefined) return
  const shyTarget = `  ${SHY}: { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { provider: company, anyone: true } } }\n`
  const names = [AUTH, SHY, ...['wiki', 'board', 'free', 'none'].map(name => `${name}.example.test`)]
  const appCertificates = await startStore([writePair(await mintServer(names))])
  at = await startVisitorLayers(TARGETS + shyTarget, {
    visitors: {
      lanes: given => [shareLane(given)],
      held: {
        apiHost: 'api.example.test',
        find: host => (host === SHELL.host ? SHELL : undefined),
        certify: () => Promise.resolve({ kind: 'away', why: 'nobody asks here' }),
      },
      accounts: ({ email, password }) =>
        Promise.resolve(
          password === 'right' ? { kind: 'account', accountId: 'a1', email, name: 'Ada', role: 'user' } : { kind: 'refused' },
        ),
    },
    layers: { outer: { appCertificates } },
  })
  context = await startBrowser(at.layers.port)
  page = await openPage(context)
})

beforeEach(async () => {
  if (programPath('chromium') === undefined) return
  at.oidc.person = ADA
  at.saw.length = 0
  complaints.length = 0
  await context.clearCookies()
})
afterEach(() => {
  // The browser itself tells of answers of 400 and more; of a policy that blocks something of ours there is nothing to tell.
  expect(complaints.filter(text => !text.includes('the server responded with a status of'))).toEqual([])
})

const go = async (url: string): Promise<number> => (await page.goto(url))!.status()
const heading = (): Promise<string> => page.getByRole('heading', { level: 1 }).innerText()

/** The elements that the tabulator key reaches, in turn, each with its outline. */
const reachedByKeyboard = async (): Promise<readonly string[]> => {
  const reached: string[] = []
  const controls = await page.locator('a[href], button, input:not([type=hidden]), summary').count()
  for (let i = 0; i < controls; i++) {
    await page.keyboard.press('Tab')
    reached.push(
      await page.evaluate<string>(`(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
        return document.activeElement.textContent + (outlineStyle === 'none' || parseFloat(outlineWidth) < 2 ? ': cannot be seen' : '')
      })()`),
    )
  }
  return reached
}

/** Looks at the page as everybody would. @param controls  texts of what can be used on it */
const expectGood = async (controls: readonly string[]): Promise<void> => {
  expect(await reachedByKeyboard()).toEqual(controls)
  expect(await faultsOf(page)).toEqual([])
  await page.setViewportSize(PHONE)
  expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(PHONE.width)
  await page.setViewportSize(DESK)
  // Our own style is what makes it so, not that of the browser.
  expect(await page.evaluate<string>('getComputedStyle(document.body).marginTop')).toBe('0px')
}

describe('a person in Chromium', () => {
  testWith(['chromium'], 'opens a deep link, logs in, comes back to the very page, and needs no second login at another host', async () => {
    const before = at.oidc.logins
    expect([await go(`${WIKI}/deep/page?a=1&b=%20x#part`), page.url()]).toEqual([200, `${WIKI}/deep/page?a=1&b=%20x#part`])
    expect(at.saw.find(({ path }) => path === '/deep/page?a=1&b=%20x')?.headers).toMatchObject({ 'x-auth-email': ADA.email })
    expect([await go(`${BOARD}/there`), page.url()]).toEqual([200, `${BOARD}/there`])
    expect(at.oidc.logins - before).toBe(1)
    for (const { headers } of at.saw) expect(headers.cookie ?? '').not.toContain('sg-login')
  })

  testWith(['chromium'], 'logs out with the keyboard, and is asked who they are the next time', async () => {
    await go(`${WIKI}/`)
    await go(`${WIKI}/.sg/logout`)
    await expectGood(['Log out of wiki.example.test', 'Log out everywhere, on every device'])
    await page.reload()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'You are logged out' }).waitFor()
    await expectGood(['Log in again', 'Log out of The company as well'])
    await page.getByRole('link', { name: 'Log in again' }).click()
    await page.getByRole('heading', { name: 'Log in to wiki.example.test' }).waitFor()
    await expectGood(['Go on as ada@example.io', 'Log in with The company'])
    await page.getByRole('link', { name: 'Go on as ada@example.io' }).click()
    await page.waitForURL(`${WIKI}/`)
    expect(await page.locator('body').innerText()).toBe('origin /')
  })

  testWith(['chromium'], 'lets a program connect, after comparing its code', async () => {
    const code = await beginProgram(at.layers.port, AUTH)
    await go(`https://${AUTH}/device`)
    await expectGood(['', 'Go on'])
    await page.getByLabel('Code').fill(code.toLowerCase())
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Let this program connect?' }).waitFor()
    for (const text of ['db.lan:5432', 'gw.example.test', ADA.email, code]) await page.getByText(text).waitFor()
    await expectGood(['Yes, let it connect', 'No', 'Log in as somebody else'])
    await page.getByRole('button', { name: 'Yes, let it connect' }).click()
    await page.getByRole('heading', { name: 'Done' }).waitFor()
    await expectGood([])
  })

  testWith(['chromium'], 'lets a program on the same machine connect, which gets its token at the port that it has opened', async () => {
    const asked: string[] = []
    const program = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.setHeader('content-type', 'text/html')
      response.end('<!doctype html><title>program</title>you can close this page')
    })
    const port = await listen(program)
    const url = `https://${AUTH}/mtls-ca/socket/${SHELL.host}/auth?port=${port}`
    expect([await go(url), await heading()]).toEqual([200, 'Let this program connect?'])
    for (const text of [SHELL.host, ADA.email, String(port)]) await page.getByText(text).first().waitFor()
    await expectGood(['Yes, let it connect', 'No', 'Log in as somebody else'])
    await page.getByRole('button', { name: 'Yes, let it connect' }).click()
    await page.getByText('you can close this page').waitFor()
    expect(asked.filter(path => path.startsWith('/?token='))).toHaveLength(1)
    // No other page may have it: neither its address nor what it refers to is told to anybody.
    await go(url)
    await page.getByRole('button', { name: 'No', exact: true }).click()
    await page.getByText('you can close this page').waitFor()
    expect(asked.some(path => path === '/?error=access_denied')).toBe(true)
  })

  testWith(['chromium'], 'who may not come in is told so, and can be somebody else', async () => {
    at.oidc.person = { sub: 'eve', email: `${'eve'.repeat(15)}@elsewhere.test`, email_verified: true }
    expect([await go(`${WIKI}/secret`), await heading()]).toEqual([403, 'You may not come in here'])
    expect(at.saw).toEqual([])
    await expectGood(['Log in as somebody else'])
  })

  testWith(['chromium'], 'whose browser keeps no cookies is told so, and sent round in no circles', async () => {
    await inShyBrowser(async () => {
      expect([await go(`https://${SHY}/`), await heading()]).toEqual([400, 'Your browser keeps no cookies'])
      await expectGood(['Try again'])
    })
  })

  testWith(['chromium'], 'is told when the provider is away, and goes on with what is open', async () => {
    await go(`${WIKI}/`)
    const before = at.config
    const company = before.providers.get('company')!
    at.config = { ...before, providers: new Map([['company', { ...company, issuer: 'http://127.0.0.1:9' }]]) }
    try {
      expect(await go(`${WIKI}/still`)).toBe(200)
      await context.clearCookies()
      expect([await go(`${WIKI}/`), await heading()]).toEqual([503, 'Nobody can log in at the moment'])
      await expectGood(['Try again'])
    } finally {
      at.config = before
    }
  })

  testWith(['chromium'], 'opens a share link without an account, and is told when one is over', async () => {
    const wanted = { path: '/plan', methods: ['GET'], maxUses: undefined, email: undefined }
    const linkOf = (expiresMs: number): string =>
      `${WIKI}/plan?sg-share=${sealShare(parts.seal, 'wiki.example.test', createShare({ ...wanted, expiresMs }))}`
    expect([await go(linkOf(Date.now() + 3_600_000)), page.url()]).toEqual([200, `${WIKI}/plan`])
    expect(at.saw.map(({ path }) => path)).toContain('/plan')
    await context.clearCookies()
    expect([await go(linkOf(Date.now() - 1_000)), await heading()]).toEqual([403, 'This link is over'])
    await expectGood(['Log in'])
  })

  testWith(['chromium'], 'logs in by an account of the service, after a wrong password too', async () => {
    const before = at.config
    const own = { ...before.providers.get('company')!, kind: 'accounts', name: 'company', title: 'Your account' } as const
    at.config = { ...before, providers: new Map([['company', own]]) }
    try {
      expect([await go(`${WIKI}/mine`), await heading()]).toEqual([200, 'Log in'])
      await expectGood(['', '', 'Log in'])
      const fill = async (password: string): Promise<void> => {
        await page.getByLabel('E-mail address').fill('ada@example.io')
        await page.getByLabel('Password').fill(password)
        await page.keyboard.press('Enter')
      }
      await fill('wrong')
      await page.getByRole('alert').waitFor()
      await expectGood(['', '', 'Log in'])
      await fill('right')
      await page.waitForURL(`${WIKI}/mine`)
      expect(at.saw.at(-1)?.headers).toMatchObject({ 'x-auth-email': 'ada@example.io', 'x-auth-groups': 'user' })
    } finally {
      at.config = before
    }
  })

  testWith(['chromium'], 'logs in by SAML, whose form comes from another site', async () => {
    const before = at.config
    const idp = await startSaml()
    idp.user = { ...GRACE, email: ADA.email }
    const saml = settingsOf({ kind: 'url', url: idp.metadataUrl }, { entityId: `https://${AUTH}/saml/company` })
    const company = { ...before.providers.get('company')!, kind: 'saml', saml } as const
    at.config = { ...before, providers: new Map([['company', company]]) }
    try {
      await page.goto(`${WIKI}/by-saml`)
      await page.waitForURL(`${WIKI}/by-saml`)
      expect(at.saw.at(-1)?.headers).toMatchObject({ 'x-auth-email': ADA.email, 'x-auth-groups': 'ops,navy' })
    } finally {
      at.config = before
    }
  })

  testWith(['chromium'], 'reads the pages in French, with the picture of the operator', async () => {
    const before = at.config
    const picture = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle cx="20" cy="20" r="18" fill="#0a5bc4"/></svg>'
    const company = before.providers.get('company')!
    const own = { ...company, kind: 'accounts', name: 'own', title: 'Mon compte' } as const
    const away = { ...company, name: 'away', issuer: 'http://127.0.0.1:9' }
    at.config = {
      ...before,
      logo: { type: 'image/svg+xml', bytes: Buffer.from(picture) },
      providers: new Map([...before.providers, ['own', own], ['away', away]]),
    }
    const speak = async (acceptLanguage: string): Promise<void> => {
      const protocol = await page.context().newCDPSession(page)
      const userAgent = await page.evaluate<string>('navigator.userAgent')
      await protocol.send('Emulation.setUserAgentOverride', { userAgent, acceptLanguage })
    }
    await speak('fr')
    const isGood = async (title: string, url?: string): Promise<void> => {
      if (url !== undefined) await page.goto(url)
      expect([await heading(), await page.locator('html').getAttribute('lang')]).toEqual([title, 'fr'])
      expect([title, await faultsOf(page, ['dark'])]).toEqual([title, []])
      expect(await page.evaluate<number>("document.querySelector('header img').naturalWidth")).toBe(40)
    }
    try {
      at.oidc.person = { sub: 'eve', email: 'eve@elsewhere.test', email_verified: true }
      await isGood('Accès refusé', `${WIKI}/secret`)
      await page.getByRole('link', { name: 'Se connecter avec un autre compte' }).click()
      await isGood('Connexion à wiki.example.test')
      await isGood('Connexion à board.example.test', `${BOARD}/.sg/login?at=own,away`)
      await page.getByRole('link', { name: 'Mon compte' }).click()
      await isGood('Se connecter')
      await page.goto(`${BOARD}/.sg/login?at=own,away`)
      await page.getByRole('link', { name: 'The company' }).click()
      await isGood('La connexion est impossible pour le moment')
      await isGood('La connexion a échoué', `https://${AUTH}/login?wish=none`)
      await isGood('Il n’y a rien ici', `https://${AUTH}/none`)
      await inShyBrowser(async () => {
        await speak('fr')
        await isGood('Votre navigateur ne garde pas les cookies', `https://${SHY}/`)
      })
      await isGood('Se connecter pour un programme', `https://${AUTH}/device`)
      await page.getByRole('textbox').fill('BBBB-BBBB')
      await page.keyboard.press('Enter')
      await page.getByRole('alert').waitFor()
      await isGood('Se connecter pour un programme')
      const wanted = { path: '/plan', methods: ['GET'], maxUses: undefined, email: undefined, expiresMs: Date.now() - 1_000 }
      const over = sealShare(parts.seal, 'board.example.test', createShare(wanted))
      await isGood('Ce lien n’est plus valable', `${BOARD}/plan?sg-share=${over}`)
      at.oidc.person = ADA
      await page.goto(`https://${AUTH}/mtls-ca/socket/${SHELL.host}/auth?port=1`)
      await page.getByRole('link', { name: 'Se connecter avec un autre compte' }).click()
      await page.getByRole('link', { name: 'The company' }).click()
      await page.getByRole('heading', { name: 'Autoriser ce programme à se connecter ?' }).waitFor()
      await isGood('Autoriser ce programme à se connecter ?')
      for (const decision of ['Oui, l’autoriser', 'Non']) {
        await page.goto(`https://${AUTH}/device`)
        await page.getByRole('textbox').fill(await beginProgram(at.layers.port, AUTH))
        await page.keyboard.press('Enter')
        await page.getByRole('button', { name: 'Oui, l’autoriser' }).waitFor()
        await isGood('Autoriser ce programme à se connecter ?')
        await page.getByRole('button', { name: decision, exact: true }).click()
        await page.getByText('Vous pouvez fermer cette page').waitFor()
        await isGood(decision === 'Non' ? 'Le programme a été refusé' : 'C’est fait')
      }
      await isGood('Déconnexion', `${WIKI}/.sg/logout`)
      await page.getByRole('button').first().click()
      await isGood('Vous êtes déconnecté')
    } finally {
      at.config = before
      await speak('en')
    }
  })

  testWith(['chromium'], 'reads the page of an error', async () => {
    expect(await go('https://none.example.test/')).toBe(404)
    await expectGood([])
  })
})
