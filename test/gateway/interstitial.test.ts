/** The page before a browser's first visit of a socket. */
import { beforeAll, expect, test } from '@jest/globals'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { changeOf, socketOf, startSocketLayers, ZONE, type SocketLayers } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { listen } from '../support/ports.ts'

const host = `s1.${ZONE}`
const HTML = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
let at: SocketLayers
const seen: IncomingHttpHeaders[] = []
beforeAll(async () => {
  at = await startSocketLayers({ outer: { abuse: 'abuse@example.com' } })
  const port = await listen(
    createServer((req, res) => {
      seen.push(req.headers)
      res.setHeader('Set-Cookie', ['sg-login-visit=1.x; Path=/', ' __Host-sg-login-visit=1.x', 'theirs=sg-login-visit'])
      res.end(`origin ${req.method ?? ''} ${req.url ?? ''}`)
    }),
  )
  await at.directory.apply(changeOf({ sockets: [socketOf(1, { interstitial: true }), socketOf(2, { interstitial: true }), socketOf(3)] }))
  for (const number of [1, 2, 3]) await at.connect(number, port)
})

const ask = async (headers: Record<string, string>, more: { method?: string; path?: string; host?: string } = {}) => {
  const answer = await exchange(at.layers.port, { host, headers, path: '/a?b=1', ...more })
  return { ...answer, text: String(answer.body) }
}
const enter = (headers: Record<string, string>, to = '/a?b=1', method = 'POST') =>
  ask({ ...HTML, ...headers }, { method, path: `/.sg/visit?to=${encodeURIComponent(to)}` })
const OURS = { 'Sec-Fetch-Site': 'same-origin' }
const cookieOf = async (): Promise<string> => (await enter(OURS)).headers['set-cookie']![0]!.split(';')[0]!

test('is shown to browsers that go to a page, in a frame as well, and says whose it is not', async () => {
  const before = seen.length
  const page = await ask(HTML)
  expect(page.status).toBe(200)
  for (const part of [`You are about to visit ${host}`, 'action="/.sg/visit?to=%2Fa%3Fb%3D1"', 'abuse@example.com'])
    expect(page.text).toContain(part)
  expect(page.headers['content-security-policy']).toMatch(/form-action 'self'; frame-ancestors 'none'$/)
  expect(page.headers['cache-control']).toBe('no-store')
  for (const destination of ['document', 'iframe', 'object'])
    expect((await ask({ 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': destination })).text).toContain('You are about to visit')
  // A form of another site leads there as well, and what it shows could do whatever the button does.
  const form = { ...HTML, 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Site': 'cross-site' }
  expect((await ask(form, { method: 'POST' })).text).toContain('You are about to visit')
  expect(seen).toHaveLength(before)
})

test.each([
  ['curl', {}, 'GET'],
  ['a script of a page', { ...HTML, 'Sec-Fetch-Mode': 'cors' }, 'GET'],
  ['an image', { Accept: 'image/avif,image/*', 'Sec-Fetch-Mode': 'no-cors' }, 'GET'],
  ['an API', { Accept: 'application/json' }, 'GET'],
  ['a webhook', HTML, 'POST'],
])('is nothing that %s ever sees', async (_, headers, method) => {
  expect((await ask(headers, { method })).text).toBe(`origin ${method} /a?b=1`)
})

test('is gone for whoever has pressed its button, at this host alone; the origin sees nothing of it', async () => {
  const answer = await enter(OURS)
  expect([answer.status, answer.headers.location]).toEqual([303, '/a?b=1'])
  expect(answer.headers['set-cookie']).toEqual([
    expect.stringMatching(/^sg-login-visit=\d+\.[\w-]{43}; Path=\/; Max-Age=604800; HttpOnly; SameSite=Lax$/),
  ])
  const cookie = await cookieOf()
  expect((await ask({ ...HTML, Cookie: `mine=1; ${cookie}` })).text).toBe('origin GET /a?b=1')
  expect(seen.at(-1)).toMatchObject({ cookie: 'mine=1' })
  expect((await ask({ ...HTML, Cookie: cookie }, { host: `s2.${ZONE}` })).text).toContain('You are about to visit')
  for (const wrong of [
    `sg-login-visit=1.${'\xe9'.repeat(43)}`,
    'sg-login-visit=1',
    `${cookie}x`,
    cookie.replace(/=\d+/, '=0'),
    'sg-login-visit=.',
  ])
    expect((await ask({ ...HTML, Cookie: wrong })).text).toContain('You are about to visit')
  expect((await enter({ Origin: `http://${host}` })).headers['set-cookie']).toHaveLength(1)
  const form = { ...HTML, 'Sec-Fetch-Mode': 'navigate', Cookie: cookie }
  expect((await ask(form, { method: 'POST' })).text).toBe('origin POST /a?b=1')
})

test('cannot be passed by a link, a form of another page, or a cookie that the origin sets', async () => {
  const attempts = [
    enter(OURS, '/', 'GET'),
    enter({ 'Sec-Fetch-Site': 'cross-site' }),
    enter({ 'Sec-Fetch-Site': 'same-site', Origin: `http://${host}` }),
    enter({ Origin: `http://s2.${ZONE}` }),
    enter({ Origin: 'null' }),
    enter({}),
  ]
  for (const { status, headers } of await Promise.all(attempts)) expect([status, headers['set-cookie']]).toEqual([303, undefined])
  expect((await ask({})).headers['set-cookie']).toEqual(['theirs=sg-login-visit'])
})

test.each(['//evil.example/', '/\\evil.example', 'https://evil.example/', '/.sg/visit', '/a\r\nX: y', '', `/${'a'.repeat(2_000)}`])(
  'leads nowhere else: %j',
  async to => {
    expect((await enter(OURS, to)).headers.location).toBe('/')
  },
)

test('is not there where nobody asks for it', async () => {
  expect((await ask(HTML, { host: `s3.${ZONE}` })).text).toBe('origin GET /a?b=1')
})
