import { StartWatch, type StartTiming } from '../../src/service-host/start-watch.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { until } from '../support/wait.ts'

/** A watch, and what it has done: how often it asked, and why it gave up. */
function watch(timing: Partial<StartTiming>, onAsk: (watch: StartWatch, asks: number) => void = () => undefined) {
  const seen = { asks: 0, ends: [] as string[] }
  const started = new StartWatch(
    { askMs: 1, hungAsks: 1_000_000, lateAsks: 1_000_000, workAsks: 1_000_000, ...timing },
    { ask: () => onAsk(started, ++seen.asks), onHung: why => void seen.ends.push(why) },
  )
  onCleanUp(() => started.stop())
  started.start()
  return { seen, started }
}

describe('the watch over a start', () => {
  test('gives up after so many questions in a row without a sign of life, once', async () => {
    const { seen } = watch({ hungAsks: 5 }, (started, asks) => {
      if (asks === 3) started.heard()
    })
    await until(() => seen.ends.length > 0)
    expect(seen).toEqual({ asks: 8, ends: ['has given no sign of life for 0.005 s, and was not ready'] })
  })

  test('gives up on one that answers each time and is never ready', async () => {
    const { seen } = watch({ hungAsks: 5, lateAsks: 20 }, started => started.heard())
    await until(() => seen.ends.length > 0)
    expect(seen).toEqual({ asks: 20, ends: ['was not ready after 0.02 s'] })
  })

  test('leaves time to one that has said what it does, and does not count that as time to get ready', async () => {
    const { seen } = watch({ hungAsks: 5, lateAsks: 10, workAsks: 100 }, (started, asks) => {
      if (asks === 4) started.busy('brings its database up to date')
      if (asks === 90) started.heard()
    })
    await until(() => seen.ends.length > 0)
    expect(seen).toEqual({ asks: 95, ends: ['has given no sign of life for 0.005 s, and was not ready'] })
  })

  test('gives up on work without an end', async () => {
    const { seen } = watch({ hungAsks: 5, workAsks: 30 }, (started, asks) => {
      if (asks === 1) started.busy('brings its database up to date')
    })
    await until(() => seen.ends.length > 0)
    expect(seen).toEqual({ asks: 31, ends: ['has not done what it began 0.03 s ago (brings its database up to date)'] })
  })
})
