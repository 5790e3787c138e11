/**
 * The costs of a cluster of many nodes, on paper: the costs of one node are measured here, with its own code and without a network, and the rest is arithmetic. Prints the table of
 * docs/cluster.md.
 *
 *   node --expose-gc --import tsx bench/cluster-model.ts
 */
import { KnownNodes } from '../src/cluster/redis/known-nodes.ts'
import type { NodeFacts, ServedProcess } from '../src/cluster/presence.ts'
import { RelayCarrier } from '../src/cluster/relay-carrier.ts'
import type { NodeLink } from '../src/cluster/node-link.ts'
import { Registry, type InnerConnection } from '../src/outer/inner-layers/registry.ts'

const BEAT_MS = 600
const ALIVE_MS = 2_000
const TUNNELS = 100_000
const NODES = [3, 16, 64]
/** Tunnels that come or go each second, of all: each lives for an hour. */
const CHANGES = (2 * TUNNELS) / 3_600
const SAMPLE = 50_000

const facts = (id: string): NodeFacts => ({
  id,
  name: `node-${id}`,
  url: 'wss://node-5.internal.example.com:3005',
  zone: 'eu-west-1a',
  linkUrl: 'wss://node-5.example.com:3001',
  isDraining: false,
  agent: 'socket-gateway/2.0.0',
})

const processOf = (index: number): ServedProcess => ({
  number: index + 1,
  identifier: `3f2a${String(index).padStart(8, '0')}`,
  pool: 'tunnel',
  kid: 'WJmcOEUK3wJz3XDvd0zJz0Vn7LqHqW7cZk9v1q1yV0E',
  address: '203.0.113.77',
  agent: 'socket-gateway/2.0.0',
  instance: `WJmcOEUK3wJz3XDvd0zJz0Vn7LqHqW7cZk9v1q1yV0E 3f2a${String(index).padStart(8, '0')} 9c1d2e3f4a5b6c7d`,
  isEnrolled: false,
  login: 1_000_000 + index,
  atMs: 1_795_900_000_000,
})

interface Costs {
  /** Bytes of one process, in Redis and in a message. */
  readonly processBytes: number
  readonly factsBytes: number
  /** CPU of a node for one process that another one tells of, microseconds. */
  readonly hearUs: number
  /** Of a list that is read as a whole. */
  readonly readUs: number
  /** CPU for one node in the answer to a beat. */
  readonly beatUs: number
  /** Memory for one process of another node. */
  readonly heldBytes: number
}

const microseconds = (action: () => void, count: number): number => {
  const before = process.cpuUsage()
  action()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

const heap = (): number => {
  global.gc?.()
  global.gc?.()
  return process.memoryUsage().heapUsed
}

function measure(): Costs {
  const registry = new Registry()
  const link = { session: undefined } as unknown as NodeLink
  const create = (): KnownNodes =>
    new KnownNodes({
      self: 'self',
      listener: {
        node: () => undefined,
        nodeGone: () => undefined,
        unserved: () => undefined,
        served: (node, processes) => {
          for (const one of processes) {
            const { number: _number, isEnrolled: _isEnrolled, atMs, ...rest } = one
            const connection: InnerConnection = { ...rest, node, session: new RelayCarrier(link, one), since: new Date(atMs) }
            registry.add(connection)
          }
        },
      },
      clock: () => 0,
      aliveMs: ALIVE_MS,
    })
  const shown = (id: string, version: number) => ({ id, facts: JSON.stringify(facts(id)), version })
  const texts = Array.from({ length: SAMPLE }, (_, index) => JSON.stringify(processOf(index)))

  const reading = create()
  reading.saw([shown('a', 1)])
  const before = heap()
  const readUs = microseconds(() => reading.list('a', 1, texts), SAMPLE)
  const heldBytes = (heap() - before) / SAMPLE

  const hearing = create()
  hearing.saw([shown('b', -1)])
  const messages = texts.slice(0, 5_000).map((text, index) => `b ${index} {"add":[${text}],"remove":[]}`)
  const hearUs = microseconds(() => messages.forEach(message => hearing.heard(message)), messages.length)

  const many = create()
  const alive = Array.from({ length: 64 }, (_, index) => shown(`n${index}`, -1))
  many.saw(alive)
  const rounds = 1_000
  const beatUs = microseconds(() => {
    for (let i = 0; i < rounds; i++) many.saw(alive)
  }, rounds * alive.length)
  return {
    processBytes: texts[0]!.length,
    factsBytes: JSON.stringify(facts('0123456789abcdef')).length + 40,
    hearUs,
    readUs,
    beatUs,
    heldBytes,
  }
}

const kb = (bytes: number): string => `${(bytes / 1_000).toFixed(bytes < 10_000 ? 1 : 0)} kB`

function row(nodes: number, { processBytes, factsBytes, hearUs, readUs, beatUs, heldBytes }: Costs): readonly string[] {
  const beats = 1_000 / BEAT_MS
  const others = TUNNELS * (1 - 1 / nodes)
  const beatBytes = nodes * factsBytes * beats
  // Of each change, all nodes hear; the one that it is of has told it.
  const changeBytes = CHANGES * (processBytes / 2 + 60)
  const cpu = (nodes * beats * beatUs + CHANGES * hearUs) / 1e6
  return [
    String(nodes),
    `${kb(beatBytes + changeBytes)}/s`,
    `${kb(nodes * (beatBytes + changeBytes))}/s`,
    `${(nodes * beats + CHANGES).toFixed(0)}/s`,
    `${(100 * cpu).toFixed(2)} %`,
    `${Math.round((others * heldBytes) / 1e6)} MB`,
    `${Math.round((others * processBytes) / 1e6)} MB, ${((others * readUs) / 1e6).toFixed(1)} s`,
  ]
}

const costs = measure()
const { processBytes, factsBytes, hearUs, readUs, beatUs, heldBytes } = costs
process.stdout.write(
  `one process: ${processBytes} bytes, ${hearUs.toFixed(1)} µs when told, ${readUs.toFixed(1)} µs in a list, ${Math.round(heldBytes)} bytes of memory; one node in a beat: ${factsBytes} bytes, ${beatUs.toFixed(2)} µs\n\n`,
)
const head = [
  'nodes',
  'a node reads',
  'Redis sends',
  'commands of Redis',
  'CPU of a node',
  'memory of a node',
  'a new node reads, and needs',
]
const lines = [head, head.map((_, index) => (index === 0 ? '--:' : '---')), ...NODES.map(nodes => row(nodes, costs))]
process.stdout.write(`${lines.map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n`)
