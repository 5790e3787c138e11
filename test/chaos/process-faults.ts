/** F24 to F29: what happens to inner layers; and what a machine runs out of. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { programPath } from '../support/needs.ts'
import { PROGRAM } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { claim, lacks, skip, wait, type Fault } from './fault.ts'
import type { Inner, World } from './world.ts'

const NODE = [process.execPath, PROGRAM] as const
/** Below a folder that is named after the processor. */
const libFaketime = (): string | undefined =>
  readdirSync('/usr/lib')
    .map(folder => join('/usr/lib', folder, 'faketime/libfaketime.so.1'))
    .find(file => existsSync(file))

const restart = async (world: World, inner: Inner, signal: NodeJS.Signals): Promise<void> => {
  await world.end(inner.layer, signal)
  await inner.layer.run()
  await world.linked(inner)
}

/** A third inner layer beside the two, gone afterwards. */
const beside = async (world: World, options: Parameters<World['addInner']>[1], use: (inner: Inner) => Promise<void>): Promise<void> => {
  const inner = await world.addInner('inner-c', options)
  await use(inner)
  await world.removeInner(inner)
}

/** Requests that all wait at the same time, more than a process with few descriptors has room for; each is answered. */
const crowd = async (world: World, count: number): Promise<void> => {
  const answers = await Promise.all(Array.from({ length: count }, () => world.ask({ mood: 'slow', download: 1_000 })))
  const bad = answers.filter(({ status, isComplete, isRight }) => status !== 200 || !isComplete || !isRight)
  claim(bad.length === 0, `${bad.length} of ${count} requests failed: ${bad.map(({ status, bytes }) => `${status} ${bytes}`).join(', ')}`)
}

export const PROCESS_FAULTS: readonly Fault[] = [
  { id: 'F24', what: 'an inner layer is killed and started again', run: world => restart(world, world.inners[0]!, 'SIGKILL') },
  {
    id: 'F25',
    what: 'an inner layer is stopped for longer than a silence may last, and goes on',
    isLong: true,
    run: async world => {
      const inner = world.inners[1]!
      inner.layer.signal('SIGSTOP')
      await wait(33_000)
      inner.layer.signal('SIGCONT')
      await world.linked(inner)
    },
  },
  {
    id: 'F26',
    what: 'an inner layer has a heap of 40 MiB: it serves, or ends as if it were killed',
    run: world =>
      beside(world, { before: [process.execPath, '--max-old-space-size=40', PROGRAM] }, async ({ layer }) => {
        layer.mayEnd()
        for (let i = 0; i < 30; i++) await world.ask({ method: 'PUT', upload: 200_000, download: 200_000 })
      }),
  },
  {
    id: 'F27',
    what: 'an inner layer stands still for five seconds',
    run: async world => {
      const { layer } = world.inners[0]!
      layer.signal('SIGSTOP')
      await wait(5_000)
      layer.signal('SIGCONT')
    },
  },
  {
    id: 'F28',
    what: 'the clock of an inner layer jumps by an hour, forward and back; its link lives, and it can make a new one',
    run: async world => {
      const library = libFaketime()
      if (library === undefined) return lacks('F28', 'faketime')
      const file = join(tempDir(), 'clock')
      const set = (offset: string): void => writeFileSync(file, `${offset}\n`)
      set('+0')
      const env = {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_CACHE_DURATION: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      }
      await beside(world, { process: { env } }, async inner => {
        await world.linked(inner)
        const before = inner.relay.accepted
        for (const offset of ['+3600', '-3600', '+0']) {
          set(offset)
          await wait(2_500)
          await world.serves()
        }
        claim(inner.relay.accepted === before, 'the link was lost when the clock jumped')
        set('+3600')
        await wait(1_500)
        inner.relay.cut()
        await world.linked(inner)
      })
    },
  },
  {
    id: 'F29',
    what: 'an inner layer is started and killed four times in a row',
    run: async world => {
      const { layer } = world.inners[1]!
      for (let i = 0; i < 4; i++) {
        await world.end(layer, 'SIGKILL')
        await layer.run()
      }
      await world.linked(world.inners[1]!)
    },
  },
  {
    id: 'descriptors',
    what: 'an inner layer has no descriptors left: its requests move, none fails',
    run: world =>
      beside(world, { before: ['/bin/sh', '-c', 'ulimit -n 64; exec "$@"', 'sh', ...NODE] }, async inner => {
        await world.linked(inner)
        await crowd(world, 120)
      }),
  },
  {
    id: 'full disk',
    what: 'the disk with the log of an inner layer is full: it serves, and ends when it is asked to',
    run: async world => {
      const folder = tempDir()
      const mount = programPath('mount')
      if (mount === undefined || spawnSync(mount, ['-t', 'tmpfs', '-o', 'size=16k', 'none', folder]).status !== 0)
        return skip('full disk', 'this account cannot mount')
      onCleanUp(() => spawnSync('umount', [folder]))
      await beside(world, { args: ['--log-file', join(folder, 'log'), '--log-level', 'debug'], isSilent: true }, async inner => {
        await world.linked(inner)
        writeFileSync(join(folder, 'rest'), Buffer.alloc(12 << 10))
        // Each of them is a line at that level.
        for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 10 }, () => world.ask({ download: 100 })))
        claim(inner.layer.isRunning, 'the inner layer has ended')
      })
      spawnSync('umount', [folder])
    },
  },
  {
    id: 'restart',
    what: 'inner layers are restarted one after the other under load: no request of the clients of this case fails',
    run: async world => {
      let isOver = false
      const statuses: number[] = []
      const client = async (): Promise<void> => {
        while (!isOver) statuses.push((await exchange(world.doors.appPort, { path: '/well', host: 'a.test' })).status)
      }
      const clients = [client(), client()]
      for (let i = 0; i < 4; i++) await restart(world, world.inners[i % 2]!, 'SIGTERM')
      isOver = true
      await Promise.all(clients)
      const failed = statuses.filter(status => status !== 200)
      claim(failed.length === 0, `${failed.length} of ${statuses.length} requests failed: ${failed.slice(0, 5).join(', ')}`)
      await until(() => statuses.length > 0)
    },
  },
]
