/** F30 to F38: what origins do, and what becomes of their names. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange, type Outcome } from '../support/exchange.ts'
import { programPath } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { PROGRAM, startProcess } from '../support/process.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { startRelay } from '../support/relay.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { claim, skip, wait, type Fault } from './fault.ts'
import type { Mood, Plan } from './plan.ts'
import type { World } from './world.ts'

const COUNT = 8
const METHODS = ['GET', 'POST', 'PUT'] as const

/** Requests to an origin of this mood, each answered with one of `statuses` or cut. */
const ask = async (world: World, mood: Mood, statuses: readonly number[], parts: Partial<Plan> = {}): Promise<void> => {
  const seen = await Promise.all(
    Array.from({ length: COUNT }, (_, i) => {
      const method = METHODS[i % METHODS.length]!
      return world.ask({ mood, method, upload: method === 'GET' ? 0 : 2_000, download: 5_000, ...parts })
    }),
  )
  const others = seen.filter(({ status }) => !statuses.includes(status)).map(({ status }) => status)
  claim(others.length === 0, `expected ${statuses.join(' or ')}, got ${others.join(', ')}`)
}

/** A target that leads nowhere is in force, and is asked. */
const askTarget = async (world: World, target: string, status: number): Promise<void> => {
  world.writeTargets(`'nowhere.test': ${target}`)
  const host = 'nowhere.test'
  await until(async () => (await exchange(world.doors.appPort, { host })).status !== 404, { what: 'the target to be in force' })
  const answers = await Promise.all(Array.from({ length: COUNT }, () => exchange(world.doors.appPort, { host })))
  world.writeTargets('')
  const others = answers.filter(answer => answer.status !== status)
  claim(others.length === 0, `expected ${status}, got ${others.map(answer => answer.status).join(', ')}`)
}

/** Listens with the shortest queue, and is stopped: once the queue is full, the kernel answers no SYN any more. */
const LISTEN = `require('node:net').createServer().listen({ port: Number(process.argv[1]), host: '127.0.0.1', backlog: 1 }, () => console.log('listening'))`

export const ORIGIN_FAULTS: readonly Fault[] = [
  {
    id: 'F30',
    what: 'the origin refuses connections, for a moment and at all',
    run: async world => {
      world.originLink.refuses = true
      world.originLink.cut()
      await wait(500)
      world.originLink.refuses = false
      await askTarget(world, `{ protocol: http, hostname: 127.0.0.1, port: ${await freePort()} }`, 502)
    },
  },
  {
    id: 'F31',
    what: 'nobody answers the SYN to an origin',
    run: async world => {
      const port = await freePort()
      const mute = startProcess(['-e', LISTEN, String(port)], { program: process.execPath })
      await mute.waitForLine(/listening/)
      mute.child.kill('SIGSTOP')
      const fillers: Socket[] = []
      for (let i = 0; i < 6; i++) fillers.push(connect({ port, host: '127.0.0.1' }).on('error', () => undefined))
      await wait(200)
      await askTarget(world, `{ protocol: http, hostname: 127.0.0.1, port: ${port}, timeouts: { connect: '2s' } }`, 504)
      for (const filler of fillers) filler.destroy()
      await mute.stop('SIGKILL')
    },
  },
  { id: 'F32', what: 'the origin takes connections and says nothing', run: world => ask(world, 'never', [504]) },
  {
    id: 'F33',
    what: 'the origin dies before its answer and within the head',
    run: async world => {
      await ask(world, 'die-before', [502])
      await ask(world, 'die-in-head', [502])
    },
  },
  { id: 'F34', what: 'the origin dies within the body: the client sees a cut', run: world => ask(world, 'die-in-body', [200, 502]) },
  {
    id: 'F35',
    what: 'the origin answers nonsense, and a head without end',
    run: async world => {
      await ask(world, 'garbage', [502])
      await ask(world, 'oversize', [502])
    },
  },
  {
    id: 'F36',
    what: 'the origin answers before it has read the upload',
    run: world => ask(world, 'early', [200], { method: 'PUT', upload: 50_000 }),
  },
  {
    id: 'F37',
    what: 'the origin sends an answer that nobody asked for on an idle connection: nobody gets it',
    run: async world => {
      const origin = await startRawOrigin((request, socket) => void socket.write(rawResponse(200, request.target)))
      world.writeTargets(`'more.test': { protocol: http, hostname: 127.0.0.1, port: ${origin.port} }`)
      const get = (path: string): Promise<Outcome> => exchange(world.doors.appPort, { host: 'more.test', path })
      await until(async () => (await get('/first')).status === 200, { what: 'the target to be in force' })
      for (let i = 0; i < 5; i++) {
        const { status, body } = await get(`/${i}`)
        claim(status === 200 && body.toString() === `/${i}`, `expected the answer to /${i}, got ${status} ${body.toString()}`)
        const idle = origin.connections.filter(({ closed }) => closed === 'no')
        // Later no connection is kept for a while: what such an origin sends is not waited for.
        claim(i > 0 || idle.length > 0, 'no connection was kept')
        for (const { socket } of idle) socket.write(rawResponse(200, 'nobody asked'))
        await until(() => idle.every(({ closed }) => closed !== 'no'), { what: 'the connections to be given up' })
        await ask(world, 'more-than-asked', [200], { method: 'GET', upload: 0, download: 500 })
      }
      world.writeTargets('')
      await origin.close()
    },
  },
  {
    id: 'F38',
    what: 'the name of an origin does not resolve',
    run: world => askTarget(world, '{ protocol: http, hostname: no-such-name.invalid, port: 80 }', 502),
  },
  {
    id: 'F38 moved',
    what: 'the address of an origin changes: requests follow it',
    isLong: true,
    run: async world => {
      const unshare = programPath('unshare')
      if (unshare === undefined || spawnSync(unshare, ['-m', 'true']).status !== 0)
        return skip('F38 moved', 'this account cannot have a hosts file of its own')
      const hosts = join(tempDir(), 'hosts')
      const pointTo = (address: string): void => writeFileSync(hosts, `127.0.0.1 localhost\n${address} moving-origin\n`)
      pointTo('127.0.0.1')
      const target = { host: '127.0.0.1', port: world.origins.http.port }
      const old = await startRelay({ target })
      const moved = await startRelay({ target, listen: { host: '127.0.0.2', port: old.port } })
      const script = 'mount --bind "$0" /etc/hosts && exec "$@"'
      const before = [unshare, '-m', 'sh', '-c', script, hosts, process.execPath, PROGRAM]
      const inner = await world.addInner('inner-names', { before, args: ['--allow', `moving-origin:${old.port}`] })
      onCleanUp(() => inner.layer.stop('SIGKILL'))
      world.writeTargets(`'moving.test': { protocol: http, hostname: moving-origin, port: ${old.port}, identifier: inner-names }`)
      const status = async (): Promise<number> => (await exchange(world.doors.appPort, { path: '/well', host: 'moving.test' })).status
      await until(async () => (await status()) === 200, { what: 'the old address to serve' })
      pointTo('127.0.0.2')
      old.refuses = true
      old.cut()
      await until(async () => (await status()) === 200 && moved.accepted > 0, { what: 'the new address to serve' })
      world.writeTargets('')
      await world.removeInner(inner)
      await Promise.all([old.close(), moved.close()])
    },
  },
]
