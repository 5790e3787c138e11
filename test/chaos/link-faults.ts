/** F11 to F23: what happens to the links between the layers. */
import { ERRORS } from '../../src/errors.ts'
import { FrameType } from '../../src/wire/frame.ts'
import { playInner, type HandPlayed } from '../support/evil-inner.ts'
import { privateKeyOf } from '../support/layers.ts'
import { until } from '../support/wait.ts'
import { claim, wait, type Fault } from './fault.ts'
import { Fleet } from './fleet.ts'
import type { Inner, World } from './world.ts'

/** Longer than a link may be silent. */
const SILENCE_MS = 32_000
/**
 * From as many addresses: of one, the outer layer lets five prove themselves at a time. A handshake has five seconds: as many as this get through together
 * also where that is a twentieth of a core; `npm run load -- storm` has a thousand.
 */
const STORM = 50
const STORM_MS = 900_000

/** While the first link is in some state. */
const during = async (world: World, ms: number, begin: (inner: Inner) => void, end: (inner: Inner) => void): Promise<void> => {
  const inner = world.inners[0]!
  begin(inner)
  await wait(ms)
  end(inner)
  await world.linked(inner)
}

const { DATA, OPEN, RESPONSE, CREDIT } = FrameType

/** It takes no requests: they go on to others. */
const refuse = ({ type, stream }: { readonly type: number; readonly stream: number }, self: HandPlayed): void => {
  if (type === OPEN) self.reset(stream, ERRORS.REFUSED_STREAM.reset)
}

/** An inner layer that proves itself and then sends what it is told to; its session ends, and no other. */
const hostile = async (world: World, attack: (peer: HandPlayed) => void): Promise<void> => {
  const { pair, ca } = world.identity
  await world.settled()
  const others = world.inners.map(({ relay }) => relay.accepted)
  const options = { port: world.socketPort, url: `wss://localhost:${world.socketPort}`, ca, privateKey: privateKeyOf(pair) }
  // A handshake has five seconds, and a machine may be too busy for that.
  const peer = await until(() => playInner({ ...options, identifier: 'evil', onFrame: refuse }), { what: 'a hostile inner layer' })
  attack(peer)
  await until(() => peer.ended !== undefined, { what: 'the session of the hostile inner layer to end' })
  claim(
    JSON.stringify(world.inners.map(({ relay }) => relay.accepted)) === JSON.stringify(others),
    'other sessions ended with that of the hostile one',
  )
}

export const LINK_FAULTS: readonly Fault[] = [
  {
    id: 'F11',
    what: 'a link ends in good order, again and again',
    run: async world => {
      for (let i = 0; i < 3; i++) {
        world.inners[i % 2]!.relay.end()
        await world.linked(world.inners[i % 2]!)
      }
    },
  },
  {
    id: 'F12',
    what: 'a link is reset, again and again',
    run: async world => {
      for (let i = 0; i < 3; i++) {
        world.inners[i % 2]!.relay.cut()
        await world.linked(world.inners[i % 2]!)
      }
    },
  },
  {
    id: 'F13',
    what: 'a link becomes a black hole for longer than a silence may last',
    isLong: true,
    run: world =>
      during(
        world,
        SILENCE_MS,
        ({ relay }) => relay.pause(),
        ({ relay }) => (relay.cut(), relay.resume()),
      ),
  },
  {
    id: 'F14',
    what: 'a link goes silent in one direction alone',
    isLong: true,
    run: world =>
      during(
        world,
        SILENCE_MS,
        ({ relay }) => relay.pause('down'),
        ({ relay }) => relay.resume(),
      ),
  },
  {
    id: 'F15',
    what: 'a link of 64 kbit/s',
    run: world =>
      during(
        world,
        3_000,
        ({ relay }) => relay.setRate(8_000),
        ({ relay }) => relay.setRate(undefined),
      ),
  },
  {
    id: 'F16',
    what: 'a round trip of 500 ms',
    run: world =>
      during(
        world,
        3_000,
        ({ relay }) => relay.setDelay(250),
        ({ relay }) => relay.setDelay(0),
      ),
  },
  {
    id: 'F17',
    what: 'a link whose bytes come in pieces of seven, sooner and later',
    run: async world => {
      const { relay } = world.inners[0]!
      relay.setSplit(7)
      for (let i = 0; i < 15; i++) {
        relay.setDelay((i * 37) % 40)
        await wait(100)
      }
      relay.setSplit(undefined)
      relay.setDelay(0)
    },
  },
  {
    id: 'F18',
    what: 'single bits of a link change: TLS notices, and that session ends',
    run: async world => {
      for (const direction of ['up', 'down', 'up'] as const) {
        const { relay } = world.inners[0]!
        const before = relay.accepted
        relay.corrupt(direction)
        await until(() => relay.accepted > before, { what: 'the link to be made anew' })
        await world.linked(world.inners[0]!)
      }
    },
  },
  {
    id: 'F19',
    what: 'a second inner layer comes with the same key and the same identifier, and both serve',
    run: async world => {
      const twin = await world.addInner('inner-a')
      await world.linked(twin)
      const before = twin.relay.bytes.up
      await until(() => twin.relay.bytes.up > before + 10_000, { what: 'the second one to serve' })
      await world.removeInner(twin)
    },
  },
  {
    id: 'F20',
    what: 'a peer sends a frame, and then a message, above the limits',
    run: async world => {
      await hostile(world, peer => peer.send(DATA, 0, 1, Buffer.alloc(70_000)))
      await hostile(world, peer => peer.send(DATA, 0, 1, Buffer.alloc(2 << 20)))
    },
  },
  {
    id: 'F21',
    what: 'a peer sends frames of unknown types, for streams that never were, and lies about what it answers',
    run: async world => {
      await hostile(world, peer => peer.send(200, 0, 0, Buffer.from('what')))
      await hostile(world, peer => peer.send(RESPONSE, 0, 99_999, Buffer.from('what')))
      await hostile(world, peer => peer.send(CREDIT, 0, 0, Buffer.alloc(4)))
    },
  },
  {
    id: 'F22',
    what: 'a link is silent for fifteen seconds, so that a ping is lost, and lives on',
    isLong: true,
    run: async world => {
      const { relay } = world.inners[0]!
      const before = relay.accepted
      relay.pause()
      await wait(15_000)
      relay.resume()
      await world.serves()
      await wait(2_000)
      claim(relay.accepted === before, 'the link was given up')
    },
  },
  {
    id: 'F23',
    what: `${STORM} inner layers lose their links at once and come back, while clients are served`,
    run: async world => {
      const { pair, ca } = world.identity
      let number = 0
      const relay = await world.relayToSocketPort(() => `127.1.${number % STORM}.${1 + (number++ % 2)}`)
      const fleet = new Fleet({ count: STORM, pair, ca, url: `wss://localhost:${relay.port}` })
      await until(() => fleet.up >= STORM, { deadlineMs: STORM_MS, what: `${STORM} links` })
      const before = fleet.made
      relay.cut()
      await until(() => fleet.made >= before + STORM && fleet.up >= STORM, { deadlineMs: STORM_MS, what: `${STORM} links again` })
      await world.serves()
      // They serve as well, and the kernel ends their connections in good order.
      world.ledger.killed(false)
      await fleet.end()
      world.ledger.killed(false)
      await relay.close()
    },
  },
]
