/** The console's readers of recorded bodies. */
import { execFileSync } from 'node:child_process'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { hexLines } from '../../console/requests/bodies/hex.ts'
import { formatJson } from '../../console/requests/bodies/json.ts'
import { readMultipart, utf8 } from '../../console/requests/bodies/multipart.ts'
import { readGrpc, readProtobuf } from '../../console/requests/bodies/protobuf.ts'
import { viewsOf } from '../../console/requests/bodies/views.ts'
import { formatXml } from '../../console/requests/bodies/xml.ts'
import { copyAs, quote } from '../../console/requests/copy-as.ts'
import { diffLines } from '../../console/requests/diff.ts'
import { anyText } from '../support/any-text.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('JSON', () => {
  test('is laid out as JSON.stringify does it, whatever it is', () => {
    fc.assert(fc.property(fc.jsonValue(), value => expect(formatJson(JSON.stringify(value)).text).toBe(JSON.stringify(value, null, 2))))
  })

  test('keeps numbers, escapes and keys that come twice as they came, and values in a row', () => {
    expect(formatJson('{"a":12345678901234567890.10,"a":"\\u0041"}').text).toBe('{\n  "a": 12345678901234567890.10,\n  "a": "\\u0041"\n}')
    expect(formatJson('{"a":1}\n[]\n').text).toBe('{\n  "a": 1\n}\n[]')
  })

  test.each([
    ['{"a": 1,\n "b" 2}', 2, 6, 'expected a colon, found "2"'],
    ['{"a": 1,\n}', 2, 1, 'expected a key in quotes, found "}"'],
    ['[1, 2', 1, 6, 'expected a comma or ], found the end'],
    ['{"a": tru}', 1, 7, 'expected a value, found "t"'],
    ['["\\x"]', 1, 3, 'there is no such escape'],
    ['["a\nb"]', 1, 4, 'a control character in a text has to be escaped'],
    ['["a', 1, 2, 'the text has no closing quote'],
    ['', 1, 1, 'expected a value, found the end'],
    ['{}x', 1, 3, 'expected the end, found "x"'],
  ])('says where %j breaks the syntax', (text, line, column, message) => {
    expect(formatJson(text)).toEqual({ text, fault: { line, column, message } })
  })

  test('refuses exactly what JSON.parse refuses, and ends on anything', () => {
    const piece = fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '1', '-', '.', 'e', 'true', 'null', '"', '\\', ' ')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        const text = pieces.join('')
        let isJson = true
        try {
          JSON.parse(text)
        } catch {
          isJson = false
        }
        const { fault } = formatJson(text)
        if (isJson) expect(fault).toBeUndefined()
        // Several values with spaces between them are well here.
        else if (!text.includes(' ')) expect(fault).toBeDefined()
      }),
    )
    expect(formatJson('['.repeat(100_000)).fault?.message).toBe('more than 500 levels')
  })
})

describe('XML', () => {
  test('has a line for each element', () => {
    const text = '<?xml version="1.0"?><a x="1>2"><!-- c --><b>text</b><c/><d><![CDATA[<&>]]></d></a>'
    expect(formatXml(text).text.split('\n')).toEqual([
      '<?xml version="1.0"?>',
      '<a x="1>2">',
      '  <!-- c -->',
      '  <b>text</b>',
      '  <c/>',
      '  <d><![CDATA[<&>]]></d>',
      '</a>',
    ])
  })

  test.each([
    ['<a>\n<b></a>', 2, 4, '</a> where </b> has to be'],
    ['<a>\n  <b/>', 1, 1, '<a> is never closed'],
    ['</a>', 1, 1, '</a> closes nothing'],
    ['<a', 1, 1, 'this tag is not closed'],
    ['<a><!-- </a>', 1, 4, 'there is no -->'],
    ['<a>< /a>', 1, 4, 'a tag needs a name'],
  ])('says where %j breaks the syntax', (text, line, column, message) => {
    expect(formatXml(text).fault).toEqual({ line, column, message })
  })
})

describe('other bodies', () => {
  test('multipart comes apart into its parts, bytes and all', () => {
    const body = Buffer.concat([
      Buffer.from('preamble\r\n--x y\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n2\r\n--x y\r\n'),
      Buffer.from('content-disposition: form-data; name="f"; filename="ü.bin"\r\nContent-Type: application/x\r\n\r\n'),
      Buffer.from([0, 255, 13, 10, 45]),
      Buffer.from('\r\n--x y--\r\n'),
    ])
    const parts = readMultipart(body, 'multipart/form-data; boundary="x y"')!
    expect(parts.map(({ name, filename, type, bytes }) => [name, filename, type, Buffer.from(bytes).toString('latin1')])).toEqual([
      ['a', undefined, 'text/plain', '1\r\n2'],
      ['f', 'ü.bin', 'application/x', '\0\xff\r\n-'],
    ])
    expect(readMultipart(body, 'multipart/form-data')).toBeUndefined()
  })

  test('protobuf is read without its schema', () => {
    // 1: 150, 2: "testing", 3: { 1: -1 }, 4: 1.5 as a double, 5: 1.5 as a float
    const message = Buffer.from(
      '0896011207' + Buffer.from('testing').toString('hex') + '1a0b08ffffffffffffffffff01' + '21000000000000f83f' + '2d0000c03f',
      'hex',
    )
    const fields = readProtobuf(message)!
    expect(fields.map(({ number, kind, readings }) => [number, kind, readings[0]])).toEqual([
      [1, 'varint', '150'],
      [2, 'bytes', '"testing"'],
      [3, 'bytes', undefined],
      [4, 'fixed64', '1.5'],
      [5, 'fixed32', '1.5'],
    ])
    expect(fields[2]!.fields).toEqual([
      { number: 1, kind: 'varint', readings: ['18446744073709551615', '-1 signed', '-9223372036854775808 as sint'] },
    ])
    const grpc = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message])
    expect(readGrpc(grpc)?.map(each => [each.isCompressed, Buffer.from(each.bytes)])).toEqual([[false, message]])
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes =>
        expect([readProtobuf(bytes), readGrpc(bytes), viewsOf(null, bytes), hexLines(bytes)]).toHaveLength(4),
      ),
    )
  })

  test('the best view is that of the type, else what the bytes look like', () => {
    expect(viewsOf('application/problem+json; charset=utf-8', bytesOf('{}'))).toEqual(['json', 'text', 'hex'])
    expect(viewsOf('text/plain', bytesOf(' {"a":1}'))).toEqual(['text', 'json', 'hex'])
    expect(viewsOf(null, bytesOf('<a/>'))).toEqual(['xml', 'text', 'hex'])
    expect(viewsOf('image/svg+xml', bytesOf('<svg/>'))).not.toContain('image')
    expect(viewsOf(null, new Uint8Array([0, 1, 2]))).toEqual(['hex', 'protobuf'])
    expect(utf8(new Uint8Array([0xff]))).toBe('\ufffd')
    expect(hexLines(bytesOf('0123456789abcdef~'))).toEqual([
      '00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef',
      `00000010  7e${' '.repeat(46)}  ~`,
    ])
  })
})

describe('a request as a command', () => {
  test('is one word in a shell, whatever it holds', () => {
    const texts = fc.sample(
      anyText({ maxLength: 30 }).filter(text => !text.includes('\0')),
      100,
    )
    const script = texts.map(text => `printf '%s\\0' ${quote(text)}`).join('\n')
    expect(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(texts)
  })

  test('of curl, fetch and HTTPie says method, fields and body', () => {
    const fields = [
      ['Host', 'a.test'],
      ['Content-Length', '3'],
      ['Content-Type', 'text/plain'],
      ['X-Empty', ''],
    ] as const
    const record = { method: 'PUT', url: 'http://a.test/x?[1]', request: { fields } } as never
    expect(copyAs('curl', record, "it's")).toBe(
      `curl --globoff -X PUT 'http://a.test/x?[1]' \\\n  -H 'Content-Type: text/plain' \\\n  -H 'X-Empty;' \\\n  --data-raw 'it'\\''s'`,
    )
    expect(copyAs('httpie', record, undefined)).toBe(
      `http --ignore-stdin PUT 'http://a.test/x?[1]' \\\n  Content-Type:text/plain \\\n  'X-Empty;'`,
    )
    expect(copyAs('fetch', { method: 'GET', url: 'http://a.test/', request: { fields: [] } } as never, undefined)).toBe(
      'await fetch("http://a.test/")',
    )
  })
})

describe('two texts side by side', () => {
  test('have the same beside the same, and lose no line', () => {
    expect(diffLines(['a', 'b', 'c'], ['a', 'x', 'y', 'c'])).toEqual([
      { a: 'a', b: 'a' },
      { a: 'b', b: 'x' },
      { a: undefined, b: 'y' },
      { a: 'c', b: 'c' },
    ])
    const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 20 })
    fc.assert(
      fc.property(lines, lines, (a, b) => {
        const diff = diffLines(a, b)
        expect(diff.flatMap(line => line.a ?? [])).toEqual(a)
        expect(diff.flatMap(line => line.b ?? [])).toEqual(b)
      }),
    )
  })
})
