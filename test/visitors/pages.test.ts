/** The pages that people see, as the file of logins makes them: its name and picture, and nothing that a page could run, load or be framed by. */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { readKeys, type KeyRing } from '../../src/visitors/session/key-ring.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { sessionText } from '../../src/visitors/session/session.ts'
import { sealShare } from '../../src/visitors/shares/share.ts'
import { Browser, type Visit } from '../support/browser.ts'
import { startLaneLayers, writeVisitorsFiles, type LaneLayers } from '../support/lanes.ts'
import { tempDir } from '../support/temp.ts'

const LOGIN = 'https://login.test'
const AUTH = 'https://auth.example.test'
const PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"/>'
const COOKIE = '__Host-sg-login-visitor'

let made: LaneLayers
let keys: KeyRing

beforeAll(async () => {
  const folder = tempDir()
  writeFileSync(join(folder, 'company.secret'), 'secret', { mode: 0o600 })
  writeFileSync(join(folder, 'logo.svg'), PICTURE)
  // Nobody answers there.
  const company = 'company: { title: "R&D <b>", issuer: "http://127.0.0.1:9", clientId: a, clientSecretFile: company.secret }'
  const file = writeVisitorsFiles(folder, `name: 'Acme <i> & "Sons"'\nlogo: logo.svg\nproviders: { ${company} }\n`)
  const access = 'access: { login: { emails: [boss@example.test] } }'
  made = await startLaneLayers(`targets: { login.test: { protocol: http, hostname: 127.0.0.1, port: {port}, ${access} } }`, { file })
  keys = readKeys(readFileSync(join(dirname(file), 'visitors.key'), 'utf8'))
})

/** The browser of somebody who has logged in and is not on the list. */
function known(): Browser {
  const person = { provider: 'company', subject: 'eve', email: 'eve@example.test', name: undefined, groups: [], claims: new Map() }
  const session = { person, loginId: 'l', id: `s ${Math.random()}`, loggedInMs: Date.now(), seenMs: Date.now() }
  const value = new Seal(() => keys).seal('session', 'login.test', sessionText(session))
  const browser = new Browser(made.layers.port)
  browser.jar.set('login.test', new Map([[COOKIE, { value, isForOtherSites: true, isSecure: true }]]))
  return browser
}
const unknown = (): Browser => new Browser(made.layers.port)
const over = (): string => {
  const share = { id: 'a'.repeat(16), path: '/', methods: ['GET'], expiresMs: Date.now() - 1, maxUses: undefined, email: undefined }
  return sealShare(new Seal(() => keys), 'login.test', share)
}

test.each<[string, number, string, () => Promise<Visit>]>([
  ['the choice of a login', 200, 'Log in to login.test', () => unknown().go(`${LOGIN}/.sg/login?to=%2F`)],
  ['a provider that is away', 503, 'Nobody can log in at the moment', () => unknown().go(`${LOGIN}/`)],
  ['a login that has failed', 400, 'The login did not work', () => unknown().go(`${AUTH}/login?wish=none`)],
  ['somebody who may not come in', 403, 'You may not come in here', () => known().go(`${LOGIN}/`)],
  ['the way out', 200, 'Log out', () => known().go(`${LOGIN}/.sg/logout`)],
  [
    'somebody who is logged out',
    200,
    'You are logged out',
    () =>
      known().go(`${LOGIN}/.sg/logout`, {
        method: 'POST',
        body: 'scope=here',
        headers: { origin: LOGIN, 'sec-fetch-site': 'same-origin' },
      }),
  ],
  ['a link that is over', 403, 'This link is over', () => unknown().go(`${LOGIN}/?sg-share=${over()}`)],
  ['the auth host itself, where there is nothing', 404, 'There is nothing here', () => unknown().go(`${AUTH}/none`)],
])('%s: plain HTML under a strict policy, with the name and the picture of the file', async (_, status, title, visit) => {
  const { status: given, headers, body } = await visit()
  expect([given, /<h1>(.*?)<\/h1>/.exec(body)?.[1]]).toEqual([status, title])
  expect(headers['content-security-policy']).toMatch(
    /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
  )
  expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'cache-control': 'no-store' })
  // No script is needed, nor anything from elsewhere, and what others have named is text.
  expect(body).not.toMatch(/<script|<link|<iframe|javascript:|\son[a-z]+=|<b>|<i>/i)
  expect(body).toContain(`<title>${title} – Acme &lt;i&gt; &amp; &quot;Sons&quot;</title>`)
  expect(body).toContain(`<img src="data:image/svg+xml;base64,${Buffer.from(PICTURE).toString('base64')}" alt="" />`)
  expect(body).toContain('name="viewport"')
})
