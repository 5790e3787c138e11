/** Hrefs of a multistatus, in whatever pieces they come. */
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { HrefMapping } from '../../src/http/multistatus.ts'

const names = {
  private: { protocol: 'http', hostname: 'dav', port: 81 },
  public: { scheme: 'https', host: 'a.test' },
  prefixes: { public: '/app', private: '' },
} as const

const SENT = `<?xml version="1.0"?>\n<D:multistatus xmlns:D="DAV:" note="a>b"><D:response><D:href>/</D:href><D:href xml:lang="en">
  /caf\u00c3\u00a9/x?a&amp;b </D:href><href>http://dav:81/y</href><D:href>http://dav/y</D:href><D:href/><D:xhref>/z</D:xhref>
<D:displayname>/not/this</D:displayname><D:href>/app/known</D:href></D:response></D:multistatus> < <href>/end`
const READ = SENT.replace('<D:href>/<', '<D:href>/app/<')
  .replace('/caf', '/app/caf')
  .replace('http://dav:81/y', 'https://a.test/app/y')
  .replace('/end', '/app/end')

test('are mapped, wherever the pieces end', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(SENT.length), { maxLength: 40 }), cuts => {
      const mapping = new HrefMapping(names)
      const bytes = Buffer.from(SENT, 'latin1')
      const ends = [...cuts.sort((a, b) => a - b), bytes.length]
      const pieces = ends.map((end, i) => mapping.push(bytes.subarray(ends[i - 1] ?? 0, end)))
      expect(Buffer.concat([...pieces, mapping.end()]).toString('latin1')).toBe(READ)
    }),
  )
})

test('what never ends is not held', () => {
  const mapping = new HrefMapping(names)
  let bytes = 0
  for (let i = 0; i < 100; i++) bytes += mapping.push(Buffer.from(`${i === 0 ? '<href>/' : ''}${'x'.repeat(1_000)}`)).length
  expect(bytes).toBeGreaterThan(90_000)
})
