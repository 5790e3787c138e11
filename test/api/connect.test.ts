/** Calls that are sent again: the same answer, and nothing twice. */
import { expect, test } from '@jest/globals'
import { startApi } from '../support/api.ts'
import { newJwk } from '../support/service.ts'

const api = await startApi()

test('POST /connect under one Idempotency-Key makes one socket; another body under it is 409', async () => {
  const body = { name: 'x', jwk: newJwk() }
  const send = (more: object = {}, key = 'one') =>
    api.v1('POST', '/connect', { body: { ...body, ...more }, headers: { 'Idempotency-Key': key } })
  const [first, second] = [await send(), await send()]
  expect([first.status, second.status]).toEqual([201, 201])
  expect(second.json).toEqual(first.json)
  const other = await send({ name: 'y' })
  expect([other.status, (other.json as { error: string }).error]).toEqual([409, 'CONFLICT'])
  const { items } = (await api.v1('GET', '/sockets')).json as { items: unknown[] }
  expect(items).toHaveLength(1)
  const third = await send({ jwk: newJwk() }, 'two')
  expect([third.status, third.text === first.text]).toEqual([201, false])
})

test('PATCH under the If-Match of an earlier state is 409, and changes nothing', async () => {
  const made = await api.v1('POST', '/sockets', { body: { name: 'before' } })
  const { id } = made.json as { id: string }
  const patch = (name: string, etag: string) => api.v1('PATCH', `/sockets/${id}`, { body: { name }, headers: { 'If-Match': etag } })
  const etag = made.headers.get('etag')!
  expect((await patch('after', etag)).status).toBe(200)
  const late = await patch('late', etag)
  expect([late.status, (late.json as { error: string }).error]).toEqual([409, 'CONFLICT'])
  expect(((await api.v1('GET', `/sockets/${id}`)).json as { name: string }).name).toBe('after')
})
