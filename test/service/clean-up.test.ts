/** Records that have had their time go, and none before. */
import { describe, expect, test } from '@jest/globals'
import { startService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { until } from '../support/wait.ts'

const DAY_MS = 86_400_000

describe.each(await databases())('on $name', database => {
  test('lines of the audit log stay 400 days, changes one', async () => {
    const { service, store, clock, actor } = await startService(await database.empty())
    const ada = await actor('user', { creationsPerHour: 1_000 })
    const made = async (): Promise<string> => (await service.sockets.create(ada, { name: 'x' })).id
    const audited = async (): Promise<readonly (string | null)[]> =>
      (await store.db.selectFrom('audit').select('object').where('action', '=', 'socket.create').orderBy('id').execute()).map(
        ({ object }) => object,
      )
    const changed = async (): Promise<readonly string[]> =>
      (await store.db.selectFrom('changes').select('object_id').where('kind', '=', 'socket').orderBy('seq').execute()).map(
        row => row.object_id,
      )
    const first = await made()
    clock.advance(DAY_MS - 1)
    const second = await made()
    clock.advance(600_000)
    await until(async () => !(await changed()).includes(first), { what: 'the change of yesterday to go' })
    expect(await changed()).toEqual([second])
    clock.advance(398 * DAY_MS)
    const third = await made()
    // The last change is kept, so this one shows that somebody has looked after the third.
    clock.advance(600_000)
    await until(async () => !(await changed()).includes(second), { what: 'a look at what is old' })
    expect(await audited()).toEqual([first, second, third].map(id => `socket:${id}`))
    clock.advance(DAY_MS)
    await until(async () => !(await audited()).includes(`socket:${first}`), { what: 'the line of 400 days ago to go' })
    expect(await audited()).toEqual([second, third].map(id => `socket:${id}`))
  })
})
