import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { qrCodeOf } from '../../src/qr/qr-code.ts'
import { formatQr } from '../../src/qr/terminal.ts'
import { anyText } from '../support/any-text.ts'

const rowsOf = (text: string): string =>
  qrCodeOf(text)!
    .map(row => `${row.map(Number).join('')}\n`)
    .join('')

// Made by another implementation, the package qrcode 1.5.4: byte mode, level L. All of the versions, one and two blocks.
describe('a QR code is the one that another implementation makes', () => {
  test.each([
    ['http://a.lan', 21, 'f038424730dda00a'],
    ['http://192.168.1.5:3000', 25, '3db1558f800e76b4'],
    ['https://twilight-sky-7409.edge.example.com', 29, '9a5eb7de3f75f775'],
    ['https://twilight-sky-7409.edge.example.com/a/longer/path?of=somebody', 33, 'f7f2b957cfcec41b'],
    [`https://example.com/${'x'.repeat(80)}`, 37, '071503b62eefa979'],
    [`https://example.com/${'x'.repeat(114)}`, 41, 'ff65b18a7b2d4f1f'],
  ])('%s', (text, size, sum) => {
    expect(rowsOf(text).indexOf('\n')).toBe(size)
    expect(createHash('sha256').update(rowsOf(text)).digest('hex').slice(0, 16)).toBe(sum)
  })
})

describe('a QR code', () => {
  test('has every text of up to 134 bytes, and no longer one', () => {
    fc.assert(
      fc.property(anyText({ maxLength: 200 }), text => {
        const bytes = Buffer.byteLength(text)
        return (qrCodeOf(text) === undefined) === bytes > 134
      }),
      { numRuns: 50 },
    )
  })

  test('on a terminal is light around, in half as many lines, and brings its colours where it may', () => {
    const plain = formatQr('http://a.lan', false)!.split('\n')
    expect(plain[0]).toBe('█'.repeat(25))
    expect(plain).toHaveLength(14)
    expect(formatQr('http://a.lan', true)!.split('\n')[0]).toBe(`\u001b[97;40m${'█'.repeat(25)}\u001b[0m`)
    expect(formatQr('x'.repeat(135), false)).toBeUndefined()
  })
})
