/** Whatever comes in where the rules judge it, what comes out is a checked value or INVALID with paths: never a fault of the program. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { checkPerson } from '../../src/service/accounts/account-input.ts'
import { readCursor } from '../../src/service/core/pages.ts'
import { checkLimits } from '../../src/service/core/socket-settings.ts'
import type { NewSocket, SocketPatch } from '../../src/service/model.ts'
import { RefusedWords } from '../../src/service/names/refused-words.ts'
import { checkNewSocket, checkPatch, type SocketRules } from '../../src/service/sockets/socket-input.ts'
import { checkJwk } from '../../src/service/sockets/tunnel-keys.ts'
import { anyText } from '../support/any-text.ts'
import { TEST_CONFIG } from '../support/service.ts'

const RULES: SocketRules = {
  config: TEST_CONFIG,
  limits: { ...TEST_CONFIG.limits, vanity: true, customDomains: true },
  refused: new RefusedWords(),
}
const text = anyText({ maxLength: 20 })
const anything = fc.oneof(fc.anything(), text)
const texts = fc.oneof(anything, fc.array(fc.oneof(anything, fc.domain(), fc.emailAddress()), { maxLength: 4 }))

const socket = fc.record(
  {
    name: fc.oneof(anything, fc.constant('x')),
    type: fc.oneof(anything, fc.constantFrom('http', 'https', 'tcp', 'tls')),
    label: fc.oneof(anything, fc.stringMatching(/^[a-z0-9-]{1,12}$/)),
    customDomains: texts,
    password: fc.oneof(anything, fc.record({ user: anything, password: anything })),
    visitors: fc.oneof(anything, fc.record({ emails: texts, domains: texts })),
    balance: fc.oneof(anything, fc.constantFrom('least', 'address')),
    ephemeralMs: fc.oneof(anything, fc.integer()),
  },
  { requiredKeys: [] },
)

/** The value, or undefined for INVALID with at least one path and words. */
const checked = <T>(check: () => T): T | undefined => {
  try {
    return check()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(GatewayError)
    expect(thrown).toMatchObject({ code: 'INVALID' })
    const { details } = thrown as GatewayError
    expect(details.length).toBeGreaterThan(0)
    for (const { path, message } of details) expect([typeof path, typeof message, message === '']).toEqual(['string', 'string', false])
    return undefined
  }
}

describe('of anything', () => {
  test('a request for a socket is checked', () => {
    fc.assert(
      fc.property(socket, request => {
        const value = checked(() => checkNewSocket(request as unknown as NewSocket, RULES))
        if (value === undefined) return
        expect(value.name).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
        if (value.label !== undefined) expect(value.label).toMatch(/^[a-z0-9-]{3,40}$/)
        if (value.visitors !== null) expect(value.visitors.emails.length + value.visitors.domains.length).toBeGreaterThan(0)
        for (const domain of value.customDomains) expect(domain).toMatch(/^[a-z0-9.-]+$/)
      }),
      { numRuns: 500 },
    )
  })

  test('a change of a socket is checked', () => {
    fc.assert(
      fc.property(socket, fc.constantFrom('http' as const, 'tcp' as const), (patch, type) => {
        checked(() => checkPatch(patch as unknown as SocketPatch, type, RULES))
      }),
      { numRuns: 300 },
    )
  })

  test('a person is checked', () => {
    const person = fc.record({
      name: anything,
      email: fc.oneof(anything, fc.emailAddress()),
      password: anything,
      sshKey: fc.oneof(anything, fc.constantFrom('toString', '__proto__ AAAA')),
    })
    fc.assert(
      fc.property(person, request => {
        checked(() => checkPerson(request))
      }),
    )
  })

  test('a key, a cursor and limits are checked', () => {
    const members = fc.record(
      {
        kty: fc.oneof(anything, fc.constantFrom('EC', 'RSA')),
        crv: fc.oneof(anything, fc.constant('P-256')),
        x: anything,
        y: anything,
        n: anything,
        e: anything,
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.oneof(anything, members), anything, anything, (jwk, cursor, limit) => {
        checked(() => checkJwk(jwk))
        checked(() => readCursor({ cursor: cursor as string, limit: limit as number }))
        checkLimits(jwk)
      }),
    )
  })
})
