import { expect, test } from '@jest/globals'
import { GrantedKeys, LayeredKeys } from '../../src/directory/granted-keys.ts'
import { KeyRegistry } from '../../src/identity/key-registry.ts'
import { registeredKey } from '../../src/identity/read-public-key.ts'
import { grantedKey, tunnelOf } from '../support/directory.ts'
import { testKeyPair } from '../support/layers.ts'

const layered = async (...keys: readonly ReturnType<typeof grantedKey>['granted'][]) => {
  const { certificatePem } = await testKeyPair()
  const operators = registeredKey(certificatePem, ['vm'])
  const granted = new GrantedKeys()
  for (const key of keys) granted.set(key)
  return { keys: new LayeredKeys(new KeyRegistry([operators]), granted, () => 1_000), operators, granted }
}

test('a key of a tunnel is for this tunnel alone, until its time is over', async () => {
  const { granted } = grantedKey({ tunnelId: tunnelOf(1), expiresAt: 1_001 })
  const { granted: late } = grantedKey({ tunnelId: tunnelOf(2), expiresAt: 1_000 })
  const { keys } = await layered(granted, late)
  expect(keys.get(granted.kid)?.grant).toEqual({ tunnel: tunnelOf(1), expiresAtMs: 1_001 })
  expect([tunnelOf(1), tunnelOf(2), 'vm'].map(identifier => keys.allows(granted.kid, identifier))).toEqual([true, false, false])
  expect(keys.allows(late.kid, tunnelOf(2))).toBe(false)
  expect(keys.size).toBe(3)
})

test('a key that was superseded proves nothing, and what it has proven goes on for a while', async () => {
  const { granted: older } = grantedKey({ tunnelId: tunnelOf(1) })
  const { keys, granted } = await layered(older)
  expect(granted.supersede(older.kid, new Set([tunnelOf(2)]), 1_000)).toBe(false)
  expect(granted.supersede(older.kid, new Set([tunnelOf(1)]), 1_000)).toBe(true)
  expect(keys.get(older.kid)).toBeUndefined()
  expect([tunnelOf(1), tunnelOf(2)].map(identifier => keys.allows(older.kid, identifier))).toEqual([true, false])
  granted.delete(older.kid)
  expect(keys.allows(older.kid, tunnelOf(1))).toBe(false)
})

test('an enrolled key never gets an identifier that a key of the operator names', async () => {
  const { granted: greedy } = grantedKey({ identifiers: ['vm', 'lan'] })
  const { granted: evil } = grantedKey({ identifiers: ['vm'] })
  const { keys } = await layered(greedy, evil)
  expect(keys.get(greedy.kid)?.identifiers).toEqual(['lan'])
  expect(['vm', 'lan'].map(identifier => keys.allows(greedy.kid, identifier))).toEqual([false, true])
  expect(keys.get(evil.kid)).toBeUndefined()
})

test('the same key in both is the one of the operator', async () => {
  const { operators } = await layered()
  const jwk = operators.key.export({ format: 'jwk' }) as Record<string, string>
  const { keys } = await layered({ kid: operators.kid, jwk, tunnelId: tunnelOf(1), identifiers: null, expiresAt: null })
  expect(keys.get(operators.kid)?.grant).toBeUndefined()
  expect([keys.allows(operators.kid, 'vm'), keys.allows(operators.kid, tunnelOf(1))]).toEqual([true, false])
})

test('a key that is not the one of its id, or none, proves nothing', async () => {
  const [a, b] = [grantedKey({ tunnelId: tunnelOf(1) }), grantedKey({ tunnelId: tunnelOf(2) })]
  const { keys } = await layered({ ...a.granted, jwk: b.granted.jwk }, { ...b.granted, jwk: { kty: 'EC' } })
  expect([keys.get(a.granted.kid), keys.get(b.granted.kid)]).toEqual([undefined, undefined])
})
