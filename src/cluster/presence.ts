import type { Pool } from '../route/target.ts'

/** A node of the cluster, as the others have to know it. */
export interface NodeFacts {
  /** Of one process: a node that starts again is another one. */
  readonly id: string
  /** For operators. */
  readonly name: string
  /** Other nodes connect here, ws: or wss:. */
  readonly url: string
  /** Nodes of one zone are likely to be lost together. */
  readonly zone: string
  /** Inner layers connect here, ws: or wss:; empty: nobody is told of it. */
  readonly linkUrl: string
  /** It lets its streams finish and goes. */
  readonly isDraining: boolean
  /** Program and release. */
  readonly agent: string
}

/** A process of an inner layer that is connected to a node. */
export interface ServedProcess {
  /** Counted by its node, below 2^32, and never used for another one. */
  readonly number: number
  readonly identifier: string
  readonly pool: Pool
  readonly kid: string
  readonly address: string
  readonly agent: string
  /** The same at all nodes that it is connected to. */
  readonly instance: string
  readonly isEnrolled: boolean
  /** Of a tunnel: its login, as the service counts; absent: the service has not said. */
  readonly login?: number | undefined
  /** When it came, on the clock that all nodes share, milliseconds. */
  readonly atMs: number
}

/** Does each node have one of its own, such as the process of the service? Then that of one node takes nobody's place at another. */
export const isOfEachNode = ({ identifier }: Pick<ServedProcess, 'identifier'>): boolean => identifier.startsWith('@')

/** The listener that a presence tells of the others. Nothing of it may throw. */
export interface PresenceListener {
  /** A node has come, or is another one than before in one of its facts. */
  node(facts: NodeFacts): void
  /** A node has gone, and with it whatever it served. */
  nodeGone(id: string): void
  /** A node serves these as well. */
  served(id: string, processes: readonly ServedProcess[]): void
  /** A node no longer serves these. */
  unserved(id: string, numbers: readonly number[]): void
}

/** Which nodes there are, and who is connected to them. Nothing in flight passes through it. */
export interface Presence {
  /** The fault that keeps it from being told and from telling; undefined: all is well. What was known stays known. */
  readonly fault: string | undefined
  /** Milliseconds since 1970 on the clock that all nodes share. */
  now(): number
  /** Shows this node to the others and begins to tell; does not wait for anybody. */
  start(facts: NodeFacts, listener: PresenceListener): void
  /** This node is another one than before in one of its facts. */
  change(facts: NodeFacts): void
  /** An inner layer has come to this node. */
  serve(process: ServedProcess): void
  /** It has gone. */
  unserve(number: number): void
  /** A secret for those that have proven themselves, by which they believe what this node writes; absent: nobody has to be told one. */
  readonly secret?: string | undefined
  /** Another node has told its own. */
  learned?(id: string, secret: string): void
  /** Takes this node out and stops; resolves when the others can know. */
  close(): Promise<void>
}
