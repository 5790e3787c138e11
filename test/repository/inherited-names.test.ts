/** Names that every object has, where a stranger, a file or a driver gives a name: they mean nothing anywhere. */
import { describe, expect, test } from '@jest/globals'
import { AddressRanges } from '../../src/address/address-ranges.ts'
import { originFailure } from '../../src/origin/origin-failure.ts'
import { checkJwk } from '../../src/service/sockets/tunnel-keys.ts'
import { parsePublicKey } from '../../src/ssh/keys/public-key.ts'
import { wireString } from '../../src/ssh/keys/wire-reader.ts'
import { constraintOf } from '../../src/store/faults.ts'
import { parseStoreUrl } from '../../src/store/store-url.ts'
import { createPretty } from '../../src/telemetry/pretty.ts'
import { parseSize } from '../../src/units/sizes.ts'

describe.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])('%s', name => {
  test('is no mode of TLS for the database', () => {
    expect(() => parseStoreUrl(`postgres://me@db.lan/d?sslmode=${name}`, '/')).toThrow(/expected sslmode to be/)
  })

  test('is no kind of key, neither of SSH nor of a tunnel', () => {
    const blob = Buffer.concat([wireString(name), wireString('Object'), wireString(Buffer.alloc(65, 4))])
    expect(() => parsePublicKey(blob)).toThrow(/are not taken/)
    expect(() => checkJwk({ kty: name })).toThrow(/expected a key of type/)
  })

  test('is no range of addresses and no unit', () => {
    expect(() => new AddressRanges([name])).toThrow(RangeError)
    expect(parseSize(`1${name}`)).toBeUndefined()
  })

  test('is no code that an origin or a database fails with', () => {
    expect(originFailure(Object.assign(new Error('x'), { code: name })).code).toBe('ORIGIN_CLOSED')
    expect(constraintOf({ code: name })).toBeUndefined()
  })

  test('is no level of a log line', () => {
    const line = JSON.stringify({ level: name, time: 0, msg: 'hello' })
    expect(createPretty(false)(line)).toContain(` ${name} hello\n`)
  })
})
