/** Logins as an operator sets them up: two files, a provider, the processes, and commands that end sessions. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { readRevocations } from '../../src/visitors/session/revocations.ts'
import { Browser } from '../support/browser.ts'
import { writeVisitorsFiles } from '../support/lanes.ts'
import { createLayerProcesses } from '../support/layer-processes.ts'
import { startOidc, type OidcPerson } from '../support/oidc.ts'
import { listen } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'
import { ADA, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'
import { until } from '../support/wait.ts'
import { run } from '../cli/context.ts'

const AUTH = 'http://auth.localhost:3000'

describe('visitors init', () => {
  test('writes two files, the keys for their owner alone, and nothing over what is there', async () => {
    const file = join(tempDir(), 'visitors.yaml')
    const first = await run(['visitors', 'init', '--auth', AUTH, '--visitors', file])
    expect(first).toMatchObject({ status: 0, stdout: expect.stringContaining(`${AUTH}/callback/company`) })
    const keys = file.replace('.yaml', '.key')
    expect(statSync(keys).mode & 0o777).toBe(0o600)
    expect(first.stdout + first.stderr).not.toContain(
      (JSON.parse(readFileSync(keys, 'utf8')) as { keys: { secret: string }[] }).keys[0]!.secret,
    )
    expect(await run(['visitors', 'init', '--auth', AUTH, '--visitors', file])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('exists, so neither'),
    })
  })

  test.each(['http://auth.example.com', 'https://auth.example.com/x', 'https://a:b@auth.example.com', 'auth.example.com', 'ftp://x'])(
    'takes no auth host over which a login could be read, or that is no origin: %s',
    async auth => {
      const outcome = await run(['visitors', 'init', '--auth', auth, '--visitors', join(tempDir(), 'visitors.yaml')])
      expect(outcome).toMatchObject({ status: 1, stderr: expect.stringContaining('expected the URL of the auth host') })
    },
  )
})

describe('visitors revoke', () => {
  const AT = 'https://wiki.example.test/'
  let at: VisitorLayers
  let file: string
  beforeAll(async () => {
    at = await startVisitorLayers()
    file = writeVisitorsFiles()
  })
  /** The revocations that commands have written so far, read as the outer layer reads them. */
  const revoke = async (...argv: readonly string[]): Promise<void> => {
    expect(await run(['visitors', 'revoke', '--visitors', file, ...argv])).toMatchObject({ status: 0, stderr: '' })
    at.visitors.revocations.add(readRevocations(readFileSync(file.replace('.yaml', '.revoked'), 'utf8'))!)
  }
  const logIn = async (person: OidcPerson): Promise<{ status: () => Promise<number>; sid: string }> => {
    at.oidc.person = person
    const browser = at.browser()
    expect((await browser.go(AT)).status).toBe(200)
    const [, payload = ''] = String(at.saw.at(-1)?.headers['x-sg-identity']).split('.')
    const { sid } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sid: string }
    return { status: async () => (await browser.send(AT)).status, sid }
  }

  test('ends the session of an id, those of an account, and all, and no others', async () => {
    const bob = { sub: 'bob', email: 'bob@corp.test', email_verified: true }
    const all = [await logIn(ADA), await logIn(ADA), await logIn(bob)] as const
    const statuses = (): Promise<number[]> => Promise.all(all.map(({ status }) => status()))
    expect(await statuses()).toEqual([200, 200, 200])
    await revoke('--session', all[0].sid)
    expect(await statuses()).toEqual([401, 200, 200])
    await revoke('--account', 'partner|ada')
    expect(await statuses()).toEqual([401, 200, 200])
    await revoke('--account', 'company|ada')
    expect(await statuses()).toEqual([401, 401, 200])
    await revoke('--all')
    expect(await statuses()).toEqual([401, 401, 401])
  })

  test.each([
    [['--all', '--email', 'ada@example.io'], 'expected exactly one of'],
    [['--account', 'ada'], 'expected PROVIDER|SUBJECT'],
    [['--account', '|ada'], 'expected PROVIDER|SUBJECT'],
  ])('takes one of them, as it is written: %j', async (argv, message) => {
    const outcome = await run(['visitors', 'revoke', '--visitors', file, ...argv])
    expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining(message) })
  })
})

test('from nothing to a login with commands alone; keys rotate and sessions are revoked while it runs', async () => {
  const origin = createServer((request, response) => response.end(JSON.stringify(request.headers)))
  const processes = await createLayerProcesses(await listen(origin))
  const { directory } = processes
  const oidc = await startOidc([`${AUTH}/callback/company`])
  oidc.person = { sub: 'ada', email: 'ada@example.io', email_verified: true, name: 'Ada' }
  const file = join(directory, 'visitors.yaml')
  const client = ['--issuer', oidc.issuer, '--client-id', oidc.clientId]
  expect((await run(['visitors', 'init', '--auth', AUTH, ...client, '--visitors', file])).status).toBe(0)
  writeFileSync(join(directory, 'company.secret'), `${oidc.clientSecret}\n`, { mode: 0o600 })
  const { port } = origin.address() as { port: number }
  const access = 'access: { login: { provider: company, emails: [ada@example.io] } }'
  writeFileSync(
    join(directory, 'targets.yaml'),
    `targets: { wiki.localhost: { protocol: http, hostname: 127.0.0.1, port: ${port}, ${access} } }\n`,
  )

  const outer = await processes.startOuter({ args: ['--visitors', file] })
  await processes.startInner('inner', [outer])
  const browser = new Browser(outer.port)
  const visit = await browser.go('http://wiki.localhost:3000/page')
  expect([visit.status, visit.url]).toEqual([200, 'http://wiki.localhost:3000/page'])
  expect(JSON.parse(visit.body)).toMatchObject({ 'x-auth-email': 'ada@example.io', 'x-auth-name': 'Ada' })
  const ask = async (): Promise<number> => (await browser.send('http://wiki.localhost:3000/')).status

  expect((await run(['visitors', 'rotate', '--visitors', file])).status).toBe(0)
  await outer.process.waitForLine(/visitors reloaded/)
  expect(await ask()).toBe(200)

  expect((await run(['visitors', 'revoke', '--visitors', file])).status).toBe(2)
  expect((await run(['visitors', 'revoke', '--visitors', file, '--email', 'Ada@example.io'])).status).toBe(0)
  await until(async () => (await ask()) === 401, { what: 'the end of the session' })

  // A file that is wrong changes nothing, and is told with its place.
  writeFileSync(file, 'auth: nowhere\n')
  await outer.process.waitForLine(/visitors not reloaded.*visitors\.yaml:1/)
  expect(outer.process.output).not.toContain(oidc.clientSecret)
})

test('without --visitors a target with access lets nobody in', async () => {
  const origin = createServer((_, response) => response.end('secret'))
  const processes = await createLayerProcesses(await listen(origin))
  writeFileSync(
    join(processes.directory, 'targets.yaml'),
    `targets: { wiki.localhost: { protocol: http, hostname: 127.0.0.1, port: 9, access: { login: { anyone: true }, public: [/open] } } }\n`,
  )
  const outer = await processes.startOuter()
  for (const path of ['/', '/open', '/.sg/session'])
    expect((await new Browser(outer.port).send(`http://wiki.localhost${path}`)).status).toBe(503)
})
