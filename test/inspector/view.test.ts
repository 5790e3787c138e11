import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import { runInThisContext } from 'node:vm'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Inspector } from '../../src/inspector/inspector.ts'
import { compareRecords } from '../../src/inspector/view/compare.ts'
import { copyAs } from '../../src/inspector/view/copy-as.ts'
import { compileFilter } from '../../src/inspector/view/filter.ts'
import { harOf, readHar } from '../../src/inspector/view/har.ts'
import { importHar } from '../../src/inspector/view/import-har.ts'
import { scriptText, shellWord } from '../../src/inspector/view/shell-text.ts'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { testWith } from '../support/needs.ts'
import { testInspector } from './support.ts'

afterEach(cleanUp)

interface Made {
  readonly method?: string
  readonly path?: string
  readonly authority?: string
  readonly fields?: readonly string[]
  readonly body?: string | Buffer
  readonly status?: number
  readonly answer?: string
  readonly error?: 'ORIGIN_CLOSED'
  readonly visitor?: string
}

/** Records one exchange. */
function made(
  inspector: Inspector,
  { method = 'GET', path = '/', authority = 'a.test', fields = [], body, status = 200, answer = '', error, visitor }: Made = {},
): string {
  const tap = inspector.open({
    kind: 'http',
    scheme: 'http',
    authority,
    method,
    path,
    version: '1.1',
    fields: ['Host', authority, ...fields],
    way: {},
  })!
  if (body !== undefined) tap.sent(Buffer.from(body))
  tap.sentEnd([])
  tap.head(status, 'OK', ['Content-Type', 'application/json', 'ETag', '"7"'])
  tap.received(Buffer.from(answer))
  tap.receivedEnd([])
  tap.end({ error, visitor })
  return tap.id
}

describe('a filter', () => {
  const { inspector } = testInspector()
  const all: readonly Made[] = [
    { path: '/api/users?q=1', answer: '{"name":"Ada Lovelace"}', visitor: 'ada@example.com' },
    { path: '/api/orders', method: 'POST', status: 503, error: 'ORIGIN_CLOSED', body: 'Größe' },
    { path: '/index.html', authority: 'b.test', status: 404, fields: ['Accept', 'text/html'] },
  ]
  for (const each of all) made(inspector, each)
  const pathsOf = (text: string): string[] => {
    const matches = compileFilter(text)
    return [...inspector.newestFirst()]
      .filter(matches)
      .map(({ start }) => start.path)
      .reverse()
  }
  const [users, orders, index] = all.map(({ path }) => path!) as [string, string, string]

  test.each([
    ['', [users, orders, index]],
    ['/api', [users, orders]],
    ['-/api', [index]],
    ['path:/api/*', [users, orders]],
    ['path:*users*q=*', [users]],
    ['host:b', [index]],
    ['HOST:B.TEST', [index]],
    ['status:4xx', [index]],
    ['status:>=400', [orders, index]],
    ['status:200,503', [users, orders]],
    ['status:200..299', [users]],
    ['method:post', [orders]],
    ['code:origin', [orders]],
    ['identity:ada', [users]],
    ['text:"ada LOVElace"', [users]],
    ['body:Größe', [orders]],
    ['header:"accept: html"', [index]],
    ['header:accept', [index]],
    ['is:error -status:404', [orders]],
    ['duration:>=0ms', [users, orders, index]],
    ['duration:>1m', []],
    ['size:>10', [users]],
    ['404', [index]],
  ])('%s', (text, paths) => {
    expect(pathsOf(text)).toEqual(paths)
  })

  test.each(['status:abc', 'is:nothing', 'text:"open', '-', 'duration:5h', 'x'.repeat(1_001)])('%s is refused with its place', text => {
    expect(() => compileFilter(text)).toThrow(/^filter: /)
  })

  test('reads anything, or refuses it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), text => {
        try {
          const matches = compileFilter(text)
          for (const record of inspector.newestFirst()) matches(record)
        } catch (error) {
          expect(String(error)).toContain('filter: ')
        }
      }),
    )
  })
})

describe('a request as a command', () => {
  test('a word of the shell is one word, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), text => {
        const plain = text.replaceAll('\0', '')
        if (Buffer.from(plain).toString() !== plain) return // half a surrogate
        expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`]).toString()).toBe(plain)
      }),
      { numRuns: 20 },
    )
    const nasty = `$(touch /tmp/x) \`id\` "a" 'b' \\ ; & | > < ! * ? [ ] { } ~ # \n end`
    expect(execFileSync('sh', ['-c', `printf %s ${shellWord(nasty)}`]).toString()).toBe(nasty)
  })

  test('a text of JavaScript is that text', () => {
    for (const text of ['</script><script>alert(1)</script>', '"\\', '\u2028\u2029', '${x}`']) {
      expect(runInThisContext(scriptText(text))).toBe(text)
      expect(scriptText(text)).not.toContain('</')
    }
  })

  testWith(['curl'], 'sends with curl what was recorded', async () => {
    const got: { method: string; url: string; header: string | undefined; body: Buffer }[] = []
    const server = createServer((request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        got.push({
          method: request.method!,
          url: request.url!,
          header: request.headers['x-nasty'] as string | undefined,
          body: Buffer.concat(pieces),
        })
        response.end('ok')
      })
    })
    onCleanUp(() => server.close())
    const authority = `127.0.0.1:${await listen(server)}`
    const { inspector } = testInspector()
    const nasty = `$(id) \`id\` 'x' "y" \\ ; | &`
    const bodies = ['@/etc/passwd', `it's {"a":"$(id)"} \n end`, Buffer.from([0, 1, 2, 255, 13, 10])]
    for (const body of bodies) {
      const id = made(inspector, {
        method: 'POST',
        path: `/a/../b?x=[1-3]&y='$(id)'`,
        authority,
        fields: ['X-Nasty', nasty, 'Content-Type', 'application/octet-stream'],
        body,
      })
      const command = copyAs(inspector.get(id)!, 'curl')
      const { exec } = await import('node:child_process')
      await new Promise<void>((resolve, reject) =>
        exec(command.replace('curl ', 'curl -sS '), error => (error === null ? resolve() : reject(error))),
      )
    }
    expect(got.map(({ body }) => body.toString('latin1'))).toEqual(bodies.map(body => Buffer.from(body).toString('latin1')))
    for (const each of got) expect(each).toMatchObject({ method: 'POST', url: `/a/../b?x=[1-3]&y='$(id)'`, header: nasty })
  })

  test('fetch sends it as well', async () => {
    const { inspector } = testInspector()
    const id = made(inspector, { method: 'PUT', path: '/x', fields: ['X-A', '"`${1}'], body: '</script>' })
    const text = copyAs(inspector.get(id)!, 'fetch')
    const calls: unknown[] = []
    const run = runInThisContext(`async fetch => { ${text} }`) as (fetch: (...args: unknown[]) => void) => Promise<void>
    await run((...args) => void calls.push(args))
    expect(calls).toEqual([['http://a.test/x', { method: 'PUT', headers: [['X-A', '"`${1}']], body: '</script>' }]])
  })

  test('a value for HTTPie never names a file or is JSON', () => {
    const { inspector } = testInspector()
    const id = made(inspector, { fields: ['X-A', '@/etc/passwd', 'X-B', '=1'] })
    expect(copyAs(inspector.get(id)!, 'httpie')).toContain(`'X-A:\\@/etc/passwd'`)
    expect(copyAs(inspector.get(id)!, 'httpie')).toContain(`'X-B:\\=1'`)
  })
})

describe('two requests side by side', () => {
  test('JSON is compared in order of its keys, line by line', () => {
    const { inspector } = testInspector()
    const [a, b] = ['{"a":1,"b":[1,2],"z":0}', '{"z":0,"b":[1,3],"a":1}'].map(answer => inspector.get(made(inspector, { answer }))!)
    const { lines } = compareRecords(a!, b!)
    expect(lines.filter(({ kind }) => kind !== 'same')).toEqual([{ part: 'response-body', kind: 'changed', a: '    2', b: '    3' }])
  })

  test('two bodies of many lines, all of which differ, are compared in bounds', () => {
    const { inspector } = testInspector()
    const [a, b] = ['x', 'y'].map(letter =>
      inspector.get(made(inspector, { answer: Array.from({ length: 5_000 }, (_each, i) => `${letter}${i}`).join('\n') }))!,
    )
    const { lines } = compareRecords(a!, b!)
    expect(lines.filter(({ part }) => part === 'response-body')).toHaveLength(5_000)
  })
})

describe('HAR', () => {
  test('comes back in as it went out, and is redacted', () => {
    const { inspector } = testInspector()
    const id = made(inspector, {
      method: 'POST',
      path: '/x?a=1',
      fields: ['Content-Type', 'application/json'],
      body: '{"n":1}',
      answer: '{"m":2}',
      status: 201,
    })
    const file: unknown = JSON.parse(JSON.stringify(harOf([inspector.get(id)!])))
    const [back] = importHar(inspector, readHar(file))
    const [one, other] = [inspector.get(id)!, inspector.get(back!)!]
    expect(other.summary).toMatchObject({ method: 'POST', path: '/x?a=1', status: 201, isImported: true, at: one.summary.at })
    expect(compareRecords(one, other).lines.filter(({ kind }) => kind !== 'same')).toEqual([])
    expect(other.detail.canReplay).toBe(false)
    const text = JSON.stringify(file)
      .replace('"name":"Host"', '"name":"Authorization"')
      .replace('"value":"a.test"', '"value":"Bearer hidden"')
    const [redacted] = importHar(inspector, readHar(JSON.parse(text)))
    expect(inspector.get(redacted!)!.start.fields).toContain('Bearer ***')
  })

  test.each([[null], [{}], [{ log: { entries: [{}] } }], [{ log: { entries: [{ request: { url: 'nothing' } }] } }]])(
    '%j is refused',
    file => {
      expect(() => readHar(file)).toThrow()
    },
  )

  test('reads anything, or refuses it', () => {
    const { inspector, faults } = testInspector()
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (headers, content) => {
        const entries = [{ request: { url: 'http://a.test/', headers, postData: content }, response: { status: 200, headers, content } }]
        importHar(inspector, readHar({ log: { entries } }))
      }),
    )
    expect(faults).toEqual([])
  })
})
