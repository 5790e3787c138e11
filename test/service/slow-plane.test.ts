/** A data plane that does not answer: what was changed holds all the same, and comes into force when it does. */
import { expect, test } from '@jest/globals'
import { startService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { until } from '../support/wait.ts'

test('a call is answered while the data plane says nothing, after its time, and the change is in force once it does', async () => {
  const [database] = await databases()
  // The default time, which is what operators have.
  const given = await startService(await database!.empty(), { inForceMs: 250 })
  const ada = await given.actor()
  let release = (): void => undefined
  given.plane.held = new Promise(resolve => (release = resolve))
  const { id } = await given.service.sockets.create(ada, { name: 'web' })
  expect(given.plane.sockets.has(id)).toBe(false)
  expect((await given.service.sockets.list(ada, {})).items.map(socket => socket.id)).toEqual([id])
  const later = given.service.sockets.create(ada, { name: 'other' })
  given.plane.held = undefined
  release()
  const { id: other } = await later
  await until(() => given.plane.sockets.has(other))
  // What came later is behind it.
  expect([...given.plane.sockets.keys()]).toEqual([id, other])
})
