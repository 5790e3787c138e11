/** Whatever comes: each call answers in its shape, and no input is a fault of the service. */
import { randomUUID } from 'node:crypto'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { OPERATIONS } from '../../src/api/api.ts'
import type { Operation } from '../../src/api/operation.ts'
import { anyText } from '../support/any-text.ts'
import { newKeyLine, startApi } from '../support/api.ts'
import { newJwk } from '../support/service.ts'

const api = await startApi()
const socket = (await api.v1('POST', '/sockets', { body: { name: 'x' } })).json as { id: string }
const tunnel = (await api.v1('POST', `/sockets/${socket.id}/tunnels`)).json as { id: string }

/** Values that schemas let through now and then. */
const plausible = fc.oneof(
  fc.constantFrom<unknown>(...['http', 'tcp', 'admin', 'read', 'ada@example.com', 'right password', 'x', '2026-12-01T00:00:00Z', '']),
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1e308, 443, [], {}, ['read'], ['lan-a'], ['a@b.c'], newJwk(), newKeyLine()),
  fc.record({ user: fc.string(), password: fc.string() }),
  fc.record({ emails: fc.array(fc.string()), domains: fc.array(fc.string()) }),
  anyText(),
)

/** A body with the names of the schema, and some others. */
const bodyOf = ({ body }: Operation): fc.Arbitrary<unknown> => {
  const names = Object.keys((body as { readonly shape?: object } | undefined)?.shape ?? {})
  const record = fc.record(Object.fromEntries(names.map(name => [name, plausible])), { requiredKeys: [] })
  return fc.oneof({ weight: 4, arbitrary: record }, { weight: 1, arbitrary: fc.jsonValue() })
}

const idOf = (name: string): fc.Arbitrary<string> => {
  const known = /^socket/.test(name) ? socket.id : /^tunnel/.test(name) ? tunnel.id : /^(?:account|user)/.test(name) ? api.ids.bob : 'x'
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(known) },
    { weight: 1, arbitrary: fc.oneof(fc.constant(randomUUID()), fc.string({ minLength: 1 })) },
  )
}

/** Ends sessions or accounts that the others need. */
const LEFT_OUT = ['endSessions', 'deleteAccount', 'suspendAccount', 'setRole', 'compatibleDeleteSocket', 'deleteSocket', 'changePassword']

// A stream does not end.
test.each(
  OPERATIONS.filter(({ id, isStream }) => !isStream && !LEFT_OUT.includes(id)).map(operation => [operation.id, operation] as const),
)('%s', async (_id, operation) => {
  const names = [...operation.path.matchAll(/\{([^{}]+)\}/g)].map(([, name]) => name!)
  const ids = fc.tuple(...names.map(idOf))
  const query = fc.dictionary(fc.constantFrom('limit', 'cursor', 'name', 'all', 'since', 'email', 'x'), anyText())
  await fc.assert(
    fc.asyncProperty(ids, query, bodyOf(operation), fc.constantFrom('ada', 'root'), async (values, parameters, body, token) => {
      const path = values.reduce((text, value, i) => text.replace(`{${names[i]!}}`, () => encodeURIComponent(value)), operation.path)
      const send = operation.dialect === 'v1' ? api.v1 : api.old
      const search = new URLSearchParams(parameters).toString()
      const { status, json } = await send(operation.method.toUpperCase(), search === '' ? path : `${path}?${search}`, { token, body })
      if (status === 204) return
      if (status < 300) operation.reply!.parse(json)
      else expect(operation.isPublic ? [400, 401, 403, 404, 409, 429] : [400, 403, 404, 409, 429]).toContain(status)
    }),
    { numRuns: 15 },
  )
})
