/** F01 to F10: what clients do. */
import { connect as connectTls } from 'node:tls'
import { RawConnection } from '../support/raw-client.ts'
import { bytesOf } from '../support/random.ts'
import { until } from '../support/wait.ts'
import { claim, wait, type Fault } from './fault.ts'
import { hostOf, pathOf, type Plan } from './plan.ts'
import type { World } from './world.ts'

const COUNT = 10
const NOTHING = { status: 0, isComplete: false, id: undefined, isRight: false, bytes: 0 }

const head = (plan: Plan): string => {
  const length = plan.upload > 0 ? `Content-Length: ${plan.upload}\r\n` : ''
  return `${plan.method} ${pathOf(plan)} HTTP/1.1\r\nHost: ${hostOf(plan)}\r\n${length}\r\n`
}

/** `COUNT` connections, each with a plan of its own, used and then gone. @throws the first error, when all are gone */
const each = async (world: World, parts: Partial<Plan>, use: (client: RawConnection, plan: Plan) => Promise<void>): Promise<void> => {
  const outcomes = await Promise.allSettled(
    Array.from({ length: COUNT }, async () => {
      const plan = world.plan({ kind: 'http1', method: 'GET', mood: 'length', manner: 'reads', upload: 0, isForbidden: false, ...parts })
      const client = await RawConnection.open(world.doors.appPort)
      client.socket.on('error', () => undefined)
      try {
        await use(client, plan)
      } finally {
        client.destroy()
        world.ledger.ended(plan, NOTHING)
      }
    }),
  )
  const failed = outcomes.find(({ status }) => status === 'rejected')
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason as Error
}

/** Reads an answer and holds it against the plan. */
const readRight = async (client: RawConnection, { method, seed, download }: Plan): Promise<void> => {
  const { status, body } = await client.readResponse(method)
  claim(status === 200 && body.equals(bytesOf(seed + 1, download)), `expected the whole answer, got ${status} and ${body.length} bytes`)
}

export const CLIENT_FAULTS: readonly Fault[] = [
  {
    id: 'F01',
    what: 'clients leave within the head of their request; none of it is executed',
    run: world => each(world, { isForbidden: true }, async (client, plan) => void client.write(head(plan).slice(0, 25))),
  },
  {
    id: 'F02',
    what: 'clients leave within an upload',
    run: world =>
      each(world, { method: 'POST', upload: 100_000 }, async (client, plan) => {
        client.write(head(plan)).write(bytesOf(plan.seed, plan.upload).subarray(0, 30_000))
        await wait(20)
      }),
  },
  {
    id: 'F03',
    what: 'clients leave while they wait for an answer; the origin is let go',
    run: async world => {
      await each(world, { method: 'POST', mood: 'never' }, async (client, plan) => {
        client.write(head(plan))
        await until(() => world.ledger.executionsOf(plan.id) > 0, { what: 'the origin to be asked' })
      })
    },
  },
  {
    id: 'F04',
    what: 'clients leave within an answer',
    run: world =>
      each(world, { mood: 'slow', download: 800_000 }, async (client, plan) => {
        client.write(head(plan))
        await client.read('\r\n\r\n')
      }),
  },
  {
    id: 'F05',
    what: 'clients half-close behind their request, and count as gone',
    run: world =>
      each(world, { mood: 'slow', download: 100_000 }, async (client, plan) => {
        client.write(head(plan)).end()
        await client.closed
      }),
  },
  {
    id: 'F06',
    what: 'readers stand still within an answer and go on later; they get all of it',
    run: world =>
      each(world, { download: 1_500_000 }, async (client, plan) => {
        client.write(head(plan))
        client.freeze()
        await wait(1_000)
        client.thaw()
        await readRight(client, plan)
      }),
  },
  {
    id: 'F07',
    what: 'uploads come byte by byte and are served',
    run: world =>
      each(world, { method: 'PUT', upload: 40 }, async (client, plan) => {
        client.write(head(plan))
        for (const byte of bytesOf(plan.seed, plan.upload)) {
          client.write(Buffer.of(byte))
          await wait(25)
        }
        await readRight(client, plan)
      }),
  },
  {
    id: 'F08',
    what: 'clients reset their connections instead of ending them: before, within and behind the answer',
    run: async world => {
      let number = 0
      await each(world, { method: 'POST', upload: 20_000, mood: 'slow', download: 200_000 }, async (client, plan) => {
        const when = number++ % 3
        client.write(head(plan)).write(bytesOf(plan.seed, plan.upload))
        if (when === 1) await client.read('\r\n\r\n')
        if (when === 2) await readRight(client, plan)
        client.reset()
      })
    },
  },
  {
    id: 'F09',
    what: 'clients send ten requests at once and are gone',
    run: world =>
      each(world, {}, async (client, plan) => {
        client.write(head(plan) + 'GET /well HTTP/1.1\r\nHost: a.test\r\n\r\n'.repeat(9))
        await client.read('HTTP/1.1 200')
      }),
  },
  {
    id: 'F10',
    what: 'TLS connections to the socket port end without close_notify: before, within and behind the handshake',
    run: async world => {
      for (let i = 0; i < COUNT; i++) {
        const raw = await RawConnection.open(world.socketPort)
        raw.socket.on('error', () => undefined)
        if (i % 3 === 0) raw.write(bytesOf(i, 200))
        if (i % 3 > 0) {
          const secure = connectTls({ socket: raw.socket, ca: world.identity.ca, servername: 'localhost' })
          secure.on('error', () => undefined)
          await new Promise(resolve => secure.once('secureConnect', resolve).once('close', resolve))
          if (i % 3 === 2) secure.write('GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n')
          await wait(10)
        }
        raw.reset()
      }
    },
  },
]
