import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { readErrorPages } from '../../src/cli/run/error-pages.ts'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { errorAnswer } from '../../src/http/errors/error-answer.ts'
import { errorPage, turnOf } from '../../src/http/errors/error-page.ts'
import { createOwnErrorPages } from '../../src/http/errors/own-error-pages.ts'
import { exchange } from '../support/exchange.ts'
import { changeOf, socketOf, startSocketLayers, ZONE } from '../support/directory.ts'
import { startLayers } from '../support/layers.ts'
import { tempDir } from '../support/temp.ts'

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const CODES = (Object.keys(ERRORS) as ErrorCode[]).filter(code => ERRORS[code].status > 0)

describe('the page of an error', () => {
  test.each(CODES)('%s says what happened, whose turn it is, code and request id, and loads nothing', code => {
    const { html, policy } = errorPage(code, 'a-1')
    const { status, text } = ERRORS[code]
    const plain = html
      .replace(/<style>[^]*<\/style>/, '')
      .replace(/&quot;/g, '"')
      .replace(/&#39;/g, "'")
    for (const part of [String(status), text, code, 'a-1']) expect(plain).toContain(part)
    expect(plain).toMatch(/your turn|Nobody has to do anything|whoever runs this site|<pre>socket-gateway|If it is yours/)
    expect(html).not.toMatch(/<script|<link|<img|(?:src|href)=|url\(/)
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; .*frame-ancestors 'none'$/)
  })

  test('knows who can do something', () => {
    const turns = (['BAD_HOST', 'UNKNOWN_HOST', 'NO_INNER_LAYER', 'RATE_LIMITED', 'POLICY_REFUSED', 'ORIGIN_TLS', 'INTERNAL'] as const).map(
      turnOf,
    )
    expect(turns).toEqual(['visitor', 'visitor', 'later', 'later', 'operator', 'operator', 'operator'])
  })

  test('is for those who ask for a page: programs get text or JSON as ever', () => {
    const typeOf = (accept: string | undefined): string | undefined => errorAnswer({ code: 'NO_INNER_LAYER' }, 'a-1', accept).fields[1]
    expect([BROWSER, undefined, '*/*', 'image/avif,*/*', 'application/json', 'text/html, application/json'].map(typeOf)).toEqual([
      'text/html; charset=utf-8',
      'text/plain; charset=utf-8',
      'text/plain; charset=utf-8',
      'text/plain; charset=utf-8',
      'application/problem+json; charset=utf-8',
      'application/problem+json; charset=utf-8',
    ])
  })
})

describe('pages of the operator', () => {
  const own = createOwnErrorPages(
    new Map([
      ['NO_INNER_LAYER', 'gone {{code}} {{requestId}} {{unknown}}'],
      ['404', '{{status}} {{title}} <b>{{text}}</b>'],
      ['5xx', 'ours is {{status}}{{code}}'],
    ]),
  )

  test('go by code, then status, then hundred, then all; other errors have ours', () => {
    expect(own.pageOf('NO_INNER_LAYER', '<1>')?.html).toBe('gone NO_INNER_LAYER &lt;1&gt; {{unknown}}')
    expect(own.pageOf('UNKNOWN_HOST', '1')?.html).toContain('404 Not Found <b>No target')
    expect(own.pageOf('ORIGIN_TIMEOUT', '1')?.html).toBe('ours is 504ORIGIN_TIMEOUT')
    expect(own.pageOf('BAD_HOST', '1')).toBeUndefined()
    expect(errorPage('BAD_HOST', '1', { own }).html).toContain('<main>')
  })

  test('are read from a folder, and served with a policy without scripts', async () => {
    const folder = tempDir()
    writeFileSync(join(folder, 'error.html'), '<h1>{{status}} at our place</h1>')
    const layers = await startLayers({ inners: 0, outer: { errorPages: await readErrorPages(folder) } })
    const page = await exchange(layers.port, { host: 'a', headers: { accept: BROWSER } })
    expect([page.status, page.body.toString()]).toEqual([502, '<h1>502 at our place</h1>'])
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; (?!.*script)/)
    const head = await exchange(layers.port, { host: 'a', method: 'HEAD', headers: { accept: BROWSER } })
    expect([head.headers['content-length'], head.body.length]).toEqual([page.headers['content-length'], 0])
    expect((await exchange(layers.port, { host: 'a' })).body.toString()).toContain('code: NO_INNER_LAYER')
  })

  test('that would never be shown are refused, and so is a folder without any', async () => {
    const folder = tempDir()
    await expect(readErrorPages(folder)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(readErrorPages(join(folder, 'none'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
    for (const name of ['200', 'toString', 'not-found']) {
      writeFileSync(join(folder, `${name}.html`), '')
      await expect(readErrorPages(folder)).rejects.toThrow(`is for no error`)
    }
  })
  test.each([
    ['<p>{{requestid}}</p>', /502\.html: \{\{requestid\}\} stands for nothing; there are \{\{status\}\}/],
    ['<p>{{ code }}</p>', /\{\{ code \}\} stands for nothing/],
    ['  \n', /502\.html is empty/],
    [Buffer.from([0x3c, 0xe4, 0x3e]), /502\.html is not UTF-8/],
    ['x'.repeat(262_145), /502\.html has more than 256 KiB/],
  ])('that are broken keep the layer from starting, and say how: %#', async (text, message) => {
    const folder = tempDir()
    writeFileSync(join(folder, '502.html'), text)
    await expect(readErrorPages(folder)).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) })
  })

  test('have braces, markup that is not closed and a mark of the byte order as they are', async () => {
    const folder = tempDir()
    writeFileSync(join(folder, '502.html'), '\ufeff<style>a{b{{c}}</style>{{status}} {{{code}}} {{}} <div>'.replace('{{c}}', '{}}'))
    const page = (await readErrorPages(folder)).pageOf('NO_INNER_LAYER', '1')!.html
    expect(page).toBe('<style>a{b{}}</style>502 {NO_INNER_LAYER} {{}} <div>')
  })
})

test('an error page of a socket says where to complain, and no other does', async () => {
  const { layers, directory } = await startSocketLayers({ outer: { abuse: 'abuse@example.com' } })
  await directory.apply(changeOf({ sockets: [socketOf(1)] }))
  const shown = async (of: string, accept = 'text/plain'): Promise<string> =>
    (await exchange(layers.port, { host: of, headers: { accept } })).body.toString()
  const page = await shown(`s1.${ZONE}`, 'text/html')
  expect(page).toContain('<dt>report abuse to</dt><dd>abuse@example.com</dd>')
  expect(await shown(`s1.${ZONE}`)).toMatch(/code: NO_TUNNEL\n.*\nreport abuse to: abuse@example\.com\n$/)
  expect(JSON.parse(await shown(`nobody.${ZONE}`, 'application/json'))).toMatchObject({ code: 'NO_SOCKET', abuse: 'abuse@example.com' })
  expect(await shown('elsewhere.example')).not.toContain('abuse')
})
