/** F39, and what else happens to an outer layer and to what operators change. */
import { writeFileSync } from 'node:fs'
import { exchange } from '../support/exchange.ts'
import { until } from '../support/wait.ts'
import { claim, wait, type Fault } from './fault.ts'
import type { World } from './world.ts'

const restartOuter = async (world: World, signal: NodeJS.Signals): Promise<void> => {
  await world.end(world.outer, signal)
  await world.startOuter()
  await world.serves()
  for (const inner of world.inners) await world.linked(inner)
}

export const OUTER_FAULTS: readonly Fault[] = [
  { id: 'F39', what: 'the outer layer is killed and started again', run: world => restartOuter(world, 'SIGKILL') },
  {
    id: 'outer restart',
    what: 'the outer layer is asked to end under load, and started again',
    run: world => restartOuter(world, 'SIGTERM'),
  },
  {
    id: 'outer stop',
    what: 'the outer layer stands still for three seconds',
    run: async world => {
      world.outer.signal('SIGSTOP')
      await wait(3_000)
      world.outer.signal('SIGCONT')
      await world.serves()
    },
  },
  {
    id: 'forward',
    what: 'the process of a tunnel is killed and started again',
    run: async world => {
      await world.end(world.forward, 'SIGKILL')
      await world.forward.run()
    },
  },
  {
    id: 'reload',
    what: 'the targets file changes thirty times under load, and half of the time it is broken: what was good stays in force',
    run: async world => {
      for (let i = 0; i < 30; i++) {
        if (i % 2 === 0) world.writeTargets(`'added-${i}.test': { protocol: http, hostname: 127.0.0.1, port: ${world.originLink.port} }`)
        else writeFileSync(world.targetsFile, 'targets: [broken')
        await wait(50)
        const { status } = await exchange(world.doors.appPort, { path: '/well', host: 'a.test' })
        claim(status === 200, `an ordinary request got ${status}`)
      }
      world.writeTargets(`'added-last.test': { protocol: http, hostname: 127.0.0.1, port: ${world.originLink.port} }`)
      await until(async () => (await exchange(world.doors.appPort, { path: '/well', host: 'added-last.test' })).status === 200, {
        what: 'the last change to be in force',
      })
      world.writeTargets('')
    },
  },
]
