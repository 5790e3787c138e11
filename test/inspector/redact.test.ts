import fc from 'fast-check'
import { describe, expect, test } from '@jest/globals'
import { redactFields, redactPath } from '../../src/inspector/redact/fields.ts'
import { SecretNames } from '../../src/inspector/redact/secret-names.ts'
import { redacted } from './support.ts'

const SECRET = 'hunter2-is-secret'
const names = new SecretNames()

/** All ways to cut `text` in two, and into single bytes. */
const cuts = (text: string): Buffer[][] => {
  const bytes = Buffer.from(text)
  const twos = Array.from({ length: bytes.length + 1 }, (_each, at) => [bytes.subarray(0, at), bytes.subarray(at)])
  return [...twos, Array.from(bytes, byte => Buffer.from([byte]))]
}

const BODIES: readonly (readonly [type: string | undefined, body: string, kept: string])[] = [
  ['application/json', `{"user":"ada","password":"${SECRET}","n":1}`, '{"user":"ada","password":"***","n":1}'],
  [
    'application/json',
    `{"a":{"access_token" : { "x": "${SECRET}", "y": ["}", "\\"]"] } },"z":true}`,
    '{"a":{"access_token" : "***" },"z":true}',
  ],
  ['application/json; charset=utf-8', `{"pass\\u0077ord":"${SECRET}"}`, '{"pass\\u0077ord":"***"}'],
  ['application/json', `{"pin": 1234, "max_tokens": 100, "token": 77}`, '{"pin": "***", "max_tokens": 100, "token": "***"}'],
  ['application/problem+json', `{"secret":null,"ok":1}`, '{"secret":"***","ok":1}'],
  ['application/x-ndjson', `{"password":"${SECRET}"}\n{"a":"\\"password\\": x"}\n`, '{"password":"***"}\n{"a":"\\"password\\": x"}\n'],
  ...[
    { token: SECRET },
    { deep: { password: `a"b\\${SECRET}\\`, n: [1] } },
    { secret: { x: ['}', SECRET] }, pin: 1234, max_tokens: 5 },
  ].flatMap((value, at) => {
    const kept = [{ token: '***' }, { deep: { password: '***', n: [1] } }, { secret: '***', pin: '***', max_tokens: 5 }][at]
    const nest = (given: unknown): unknown => ({ message: JSON.stringify(given), note: 'a \\ "quoted" one' })
    return [1, 2, 3].map((levels): readonly [string, string, string] => {
      const [body, wanted] = [value, kept].map(given => JSON.stringify(Array.from({ length: levels }).reduce(nest, given)))
      return ['application/json', body!, wanted!]
    })
  }),
  ['application/json', `{"a":"{ \\"password\\" : \\"${SECRET}\\" }"}`, '{"a":"{ \\"password\\" : \\"***\\" }"}'],
  ['application/json', `{"a":"{\\u0022token\\u0022:\\u0022${SECRET}\\u0022}"}`, '{"a":"{\\u0022token\\u0022:\\"***\\"}"}'],
  ['application/json', `{"a":"{\\"token\\":\\"${SECRET}","b":"${'x'.repeat(3)}"}`, '{"a":"{\\"token\\":\\"***\\"","b":"xxx"}'],
  ['application/json', `)]}',\n{"jwt":"${SECRET}\\"${SECRET}"}`, `)]}',\n{"jwt":"***"}`],
  [
    'application/x-www-form-urlencoded',
    `user=ada&pass%77ord=${SECRET}&x=1&client_secret=${SECRET}`,
    'user=ada&pass%77ord=***&x=1&client_secret=***',
  ],
  ['text/plain', `{"password":"${SECRET}"}`, '{"password":"***"}'],
  [undefined, `  {"password":"${SECRET}"}`, '  {"password":"***"}'],
  ['text/plain', `hello\npassword: ${SECRET} ${SECRET}\nDB_PASSWORD=${SECRET} x=2\n`, 'hello\npassword: ***\nDB_PASSWORD=*** x=2\n'],
  ['text/plain', `let apiKey = "${SECRET} ${SECRET}";`, 'let apiKey = "***";'],
  [
    'application/xml',
    `<a><password x="1">${SECRET}<b>${SECRET}</b></password><c token='${SECRET}'/></a>`,
    `<a><password x="1">***</password><c token='***'/></a>`,
  ],
  [
    'text/html',
    `<input type="hidden" name="csrf_token" value="${SECRET}"><p>1 < 2</p>`,
    '<input type="hidden" name="csrf_token" value="***"><p>1 < 2</p>',
  ],
  [
    'multipart/form-data; boundary="b-1"',
    `--b-1\r\nContent-Disposition: form-data; name="password"\r\n\r\n${SECRET}\r\n--b-1\r\nContent-Disposition: form-data; name="j"\r\nContent-Type: application/json\r\n\r\n{"token":"${SECRET}"}\r\n--b-1\r\nContent-Disposition: form-data; name="e"\r\n\r\n\r\n--b-1--\r\n`,
    `--b-1\r\nContent-Disposition: form-data; name="password"\r\n\r\n***\r\n--b-1\r\nContent-Disposition: form-data; name="j"\r\nContent-Type: application/json\r\n\r\n{"token":"***"}\r\n--b-1\r\nContent-Disposition: form-data; name="e"\r\n\r\n\r\n--b-1--`,
  ],
  // URLs and parameters inside strings, with the escapes that programs write.
  [
    'application/json',
    `{"next":"https://a.test/cb?code=${SECRET}&x=1#access_token=${SECRET}","n":1}`,
    '{"next":"https://a.test/cb?code=***&x=1#access_token=***","n":1}',
  ],
  [
    'application/json',
    `{"u":"https:\\/\\/ada:${SECRET}@a.test\\/?a=1\\u0026sig=${SECRET}\\u0026b=2","log":"x\\nDB_PASSWORD=${SECRET} y"}`,
    '{"u":"https:\\/\\/***@a.test\\/?a=1\\u0026sig=***\\u0026b=2","log":"x\\nDB_PASSWORD=*** y"}',
  ],
  [
    'application/json',
    `["/login?next=https%3A%2F%2Fa.test%2F%3Ftoken%3D${SECRET}%26x%3D1&y=2","a?key\\u003d${SECRET}"]`,
    '["/login?next=https%3A%2F%2Fa.test%2F%3Ftoken%3D***%26x%3D1&y=2","a?key\\u003d***"]',
  ],
  [
    'application/json',
    '{"code":"x","at":"12:30:00","mail":"a@b.test","q":"?page=2&sort=up"}',
    '{"code":"x","at":"12:30:00","mail":"a@b.test","q":"?page=2&sort=up"}',
  ],
  [
    'application/json',
    `"${'x'.repeat(700)} https://u:${SECRET}@h/?ticket=${SECRET} y"`,
    `"${'x'.repeat(700)} https://***@h/?ticket=*** y"`,
  ],
  [
    'text/plain',
    `see https://ada:${SECRET}@a.test/x?sig=${SECRET}&page=2 or <https://b.test/#id_token=${SECRET}>`,
    'see https://***@a.test/x?sig=***&page=2 or <https://b.test/#id_token=***>',
  ],
  [
    'application/x-www-form-urlencoded',
    `next=https%3A%2F%2Fa.test%2F%3Ftoken%3D${SECRET}%26x%3D1&code=1`,
    'next=https%3A%2F%2Fa.test%2F%3Ftoken%3D***%26x%3D1&code=1',
  ],
  [
    'text/html',
    `<a href="https://a.test/?token=${SECRET}&amp;sig=${SECRET}&amp;b=1">x</a><b>password</b>: ${SECRET}`,
    '<a href="https://a.test/?token=***&amp;sig=***&amp;b=1">x</a><b>password</b>: ***',
  ],
  [
    'application/x-protobuf',
    `\x0a\x30https://a.test/?sig=${SECRET}\x10\x01\x1a\x05abcde`,
    `\x0a\x30https://a.test/?sig=${'*'.repeat(SECRET.length)}\x10\x01\x1a\x05abcde`,
  ],
]

/** JSON with secrets, what is kept of it, and the ways in which programs write JSON into something else. */
const INNER = { user: 'ada', password: `a"b\\${SECRET}\\`, deep: [{ token: { x: ['}', SECRET] } }], pin: 1234, max_tokens: 5 }
const INNER_KEPT = { user: 'ada', password: '***', deep: [{ token: '***' }], pin: '***', max_tokens: 5 }
const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)
const inMarkup = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
const like = (text: string): string => encodeURI(text).replaceAll('%7B', '{')
const WRITTEN: readonly (readonly [type: string, write: (json: string) => string])[] = [
  ['application/x-www-form-urlencoded', json => `a=1&payload=${encodeURIComponent(json)}&b=2`],
  ['application/x-www-form-urlencoded', json => `payload=${encodeURIComponent(escaped(json))}&b=2`],
  ['application/x-www-form-urlencoded', json => `next=${encodeURIComponent(`https://a.test/?data=${encodeURIComponent(json)}`)}&b=2`],
  ['application/x-www-form-urlencoded', json => `a=1&payload=${json}&b=2`],
  ['application/json', json => JSON.stringify({ next: `https://a.test/?data=${encodeURIComponent(json)}`, b: 2 })],
  ['application/json', json => JSON.stringify({ html: `<a data-x="${inMarkup(json)}">`, b: 2 })],
  ['text/plain', json => `12:00 INFO got ${json} end\n`],
  ['text/plain', json => `12:00 INFO got "${escaped(json)}" end\n`],
  ['text/plain', json => `12:00 INFO got "${escaped(escaped(json))}" end\n`],
  ['text/plain', json => `GET /?data=${encodeURIComponent(json)} HTTP/1.1\n`],
  ['text/javascript', json => `send("${escaped(json)}"); x = 1`],
  ['text/html', json => `<p data-x="${inMarkup(json)}" id="b">b</p>`],
  ['text/html', json => `<p>${inMarkup(inMarkup(json))}</p><p>b</p>`],
  ['text/html', json => `<script>let x = JSON.parse("${escaped(json)}")</script><p>b</p>`],
  ['application/xml', json => `<a><data>${inMarkup(json).replaceAll('&quot;', '&#34;')}</data><b/></a>`],
  ['multipart/form-data; boundary=b', json => `--b\r\nContent-Disposition: form-data; name="j"\r\n\r\nx ${escaped(json)}\r\n--b--`],
  ['application/x-www-form-urlencoded', json => `a=${like(json)}`],
]

describe('JSON that was written into something else has its secrets taken out, wherever it is cut', () => {
  test.each(WRITTEN.map(([type, write], at) => ({ at, type, write })))('$at: $type', ({ type, write }) => {
    const body = write(JSON.stringify(INNER))
    for (const pieces of cuts(body)) {
      const kept = redacted(type, pieces)
      expect(kept).not.toContain(SECRET)
      expect(kept).not.toContain('1234')
    }
    const kept = redacted(type, [body])
    // All else is there, byte for byte.
    if (!type.startsWith('text/plain')) expect(kept).toBe(write(JSON.stringify(INNER_KEPT)))
    else expect(kept).toMatch(/user.*ada.*max_tokens.*5/)
  })

  test.each(WRITTEN.map(([type, write], at) => ({ at, type, write })))(
    'and is kept as it is without any: $at: $type',
    ({ type, write }) => {
      const body = write(JSON.stringify({ user: 'a "b" \\ c', list: [1, { x: null }], max_tokens: 7 }))
      for (const pieces of cuts(body)) expect(redacted(type, pieces)).toBe(body)
    },
  )

  test('whatever the value is', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constantFrom(...WRITTEN),
        fc.array(fc.nat(), { maxLength: 3 }),
        (value, [type, write], at) => {
          // Between bytes that URLs do not have, JSON ends: so texts have none of them where it is written as it is.
          const body = Buffer.from(
            write(JSON.stringify({ a: 1, secret: [value, SECRET, value], api_key: { SECRET, value }, z: SECRET.length })),
          )
          const ends = [...at.map(each => each % body.length).sort((a, b) => a - b), body.length]
          const kept = redacted(
            type,
            ends.map((end, i) => body.subarray(i === 0 ? 0 : ends[i - 1], end)),
          )
          expect(kept).not.toContain(SECRET)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('in a binary message as many stars stand for it', () => {
    const [before, after] = ['\x0a\x50{"user":"ada","password":"', '","secret":'].map(each => Buffer.from(each, 'latin1'))
    const body = Buffer.concat([before!, Buffer.from(SECRET), after!, Buffer.from(`{"x":["${SECRET}"]}}\x10\x01`)])
    for (const pieces of [[body], [body.subarray(0, 40), body.subarray(40)], Array.from(body, byte => Buffer.from([byte]))])
      expect(redacted('application/x-protobuf', pieces)).toBe(
        `\x0a\x50{"user":"ada","password":"${'*'.repeat(SECRET.length)}","secret":${'*'.repeat(SECRET.length + 10)}}\x10\x01`,
      )
  })
})

describe('bodies are redacted wherever they are cut', () => {
  for (const [type, body, kept] of BODIES) {
    test(`${type ?? 'no type'}: ${body.slice(0, 40)}`, () => {
      for (const pieces of cuts(body)) expect(redacted(type, pieces)).toBe(kept)
    })
  }

  const pieces = fc.constantFrom(
    ...[
      '"',
      '\\',
      '\\"',
      '\\\\\\"',
      '\\u0022',
      '\\u0026',
      '\\u003d',
      'token',
      'key',
      'x',
      '=',
      ':',
      '://',
      '?',
      '&',
      ';',
      '#',
      '%3D',
      '%26',
      '%',
      '%22',
      '%2522',
      '%5C',
      '%3A',
      '%7B',
      '&quot;',
      '&#34;',
      '&amp;',
      '[',
      ' ',
      '\n',
      '@',
      '{',
      '}',
      '<b',
      '>',
      SECRET,
    ],
  )
  test.each(['application/json', 'text/plain; x', 'text/css', 'application/x-www-form-urlencoded', 'application/protobuf', 'text/html'])(
    'whatever it is made of, the same of it is kept: %s',
    type => {
      fc.assert(
        fc.property(fc.array(pieces, { maxLength: 30 }), fc.array(fc.nat(), { maxLength: 4 }), (parts, at) => {
          const bytes = Buffer.from(parts.join(''))
          const ends = [...at.map(each => each % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
          const cut = ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end))
          expect(redacted(type, cut)).toBe(redacted(type, [bytes]))
        }),
      )
    },
  )

  test('JSON without secret names is kept as it is', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.nat(), (text, at) => {
        const bytes = Buffer.from(text)
        const cut = bytes.length === 0 ? 0 : at % bytes.length
        const kept = redacted('application/json', [bytes.subarray(0, cut), bytes.subarray(cut)])
        if (!/auth|pwd|pass|pin|otp|cvv|cvc|token|secret|sid|session|jwt|cookie|key/i.test(text)) expect(kept).toBe(text)
      }),
    )
  })

  test('a secret in JSON is never kept, whatever its value is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.nat(), (value, at) => {
        const text = JSON.stringify({ a: [1, { password: [SECRET, value] }, 2], 'x-api-key': SECRET, z: 0 }, null, at % 3)
        const bytes = Buffer.from(text)
        const kept = redacted('application/json', [bytes.subarray(0, at % bytes.length), bytes.subarray(at % bytes.length)])
        expect(kept).not.toContain(SECRET)
        expect(JSON.parse(kept)).toEqual({ a: [1, { password: '***' }, 2], 'x-api-key': '***', z: 0 })
      }),
    )
  })

  test('a secret in JSON that is a string of other JSON is never kept, however deep', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.integer({ min: 1, max: 4 }), fc.nat(), (value, levels, at) => {
        const secrets = { a: [1, { password: value }, 2], token: [SECRET, value], 'x-api-key': SECRET, z: 0 }
        let text = JSON.stringify(secrets, null, at % 3)
        for (let level = 0; level < levels; level++) text = JSON.stringify({ n: 1, text, end: 'x' })
        const bytes = Buffer.from(text)
        const ends = [at, at * 7].map(each => each % bytes.length).sort((a, b) => a - b)
        const kept = redacted('application/json', [bytes.subarray(0, ends[0]), bytes.subarray(ends[0], ends[1]), bytes.subarray(ends[1])])
        expect(kept).not.toContain(SECRET)
        let inner = kept
        for (let level = 0; level < levels; level++) inner = (JSON.parse(inner) as { readonly text: string }).text
        expect(JSON.parse(inner)).toEqual({ a: [1, { password: '***' }, 2], token: '***', 'x-api-key': '***', z: 0 })
      }),
    )
  })

  test('what cannot be read is not kept', () => {
    expect(redacted('application/json; charset=utf-16le', ['x'])).toContain('not kept')
    expect(redacted('multipart/form-data', ['x'])).toContain('not kept')
  })

  test('an image is kept byte for byte', () => {
    expect(redacted('image/png', ['password=x'])).toBe('password=x')
  })
})

describe('fields', () => {
  const took: string[] = []
  const of = (name: string, value: string): string => redactFields([name, value], names, what => void took.push(what))[1]!

  test.each([
    ['Authorization', `Bearer ${SECRET}`, 'Bearer ***'],
    ['authorization', SECRET, '***'],
    ['Proxy-Authorization', `Basic ${SECRET}`, 'Basic ***'],
    ['Cookie', `sid=${SECRET}; theme=${SECRET}`, 'sid=***; theme=***'],
    ['Set-Cookie', `sid=${SECRET}; Path=/; HttpOnly`, 'sid=***; Path=/; HttpOnly'],
    ['X-API-Key', SECRET, '***'],
    ['X-Auth-Token', SECRET, '***'],
    ['Location', `https://a.test/cb?code=${SECRET}&x=1#access_token=${SECRET}`, 'https://a.test/cb?code=***&x=1#access_token=***'],
    ['Referer', `https://ada:${SECRET}@a.test/?token=${SECRET}`, 'https://***@a.test/?token=***'],
    [
      'Link',
      `<https://a.test/?page=2&token=${SECRET}>; rel="next", <https://a.test/?key=${SECRET}>; rel=last`,
      '<https://a.test/?page=2&token=***>; rel="next", <https://a.test/?key=***>; rel=last',
    ],
    ['Location', `/login?next=%2Fx%3Ftoken%3D${SECRET}%26y`, '/login?next=%2Fx%3Ftoken%3D***%26y'],
    ['X-Data', `{"password":"${SECRET}","n":1}`, '{"password":"***","n":1}'],
    ['Location', `/x?data=%7B%22token%22%3A%22${SECRET}%22%7D&y=1`, '/x?data=%7B%22token%22%3A%22***%22%7D&y=1'],
    ['Sec-CH-UA', '"Chromium";v="120", "Not:A"', '"Chromium";v="120", "Not:A"'],
    ['Refresh', `0;url=https://a.test/?code=${SECRET}`, '0;url=https://a.test/?code=***'],
    ['Cache-Control', 'max-age=1, key=x', 'max-age=1, key=x'],
    ['Sec-WebSocket-Protocol', `graphql-ws, ${'x'.repeat(50)}`, 'graphql-ws, ***'],
    ['Stripe-Signature', 't=1,v1=abc', 't=1,v1=abc'],
    ['WWW-Authenticate', 'Bearer realm="x"', 'Bearer realm="x"'],
    ['Content-Type', 'text/html; charset=utf-8', 'text/html; charset=utf-8'],
  ])('%s: %s', (name, value, kept) => {
    expect(of(name, value)).toBe(kept)
  })

  test('a path keeps everything but secret parameters', () => {
    expect(redactPath(`/a?x=1&api%5Fkey=${SECRET}&y=2`, names, () => undefined)).toBe('/a?x=1&api%5Fkey=***&y=2')
  })

  test('and of JSON in its query, or in a part of it', () => {
    const path = (value: string): string => `/a%7B%22pin%22:${value}%7D?data=%7B%22token%22%3A%22${value}%22%7D&more={"otp":"${value}"}`
    expect(redactPath(path('1234'), names, () => undefined)).toBe(path('***').replace(':***', ':%22***%22'))
  })

  test('and of JSON of a form that is a part of a query itself', () => {
    const path = (value: string): string => `/p?d=${encodeURIComponent(`data=%7B+%22token%22%3A+%22${value}%22%7D`)}`
    expect(redactPath(path(SECRET), names, () => undefined)).toBe(path('***'))
  })

  test('more names, and names that are shown after all', () => {
    const own = new SecretNames({ more: ['x-customer-*'], shown: ['client_secret'] })
    expect(redacted('application/json', ['{"xCustomerNumber":"1","client_secret":"2","password":"3"}'], own)).toBe(
      '{"xCustomerNumber":"***","client_secret":"2","password":"***"}',
    )
  })
})
