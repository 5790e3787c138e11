import { formatHostPort } from '../../address/host-port.ts'
import type { Target } from '../../route/target.ts'
import type { Log } from '../../telemetry/log.ts'
import type { InnerConnection } from './registry.ts'

/** Where an origin is. */
export type OriginPlace = Pick<Target, 'hostname' | 'port'>

const MAX_ORIGINS = 10_000

/** One origin that one inner layer refuses. */
interface Refusal {
  isTold: boolean
}

/**
 * Which inner layers have refused which origin by their allow-list. That list does not change as long as the process lives, so they are
 * asked last for it.
 */
export class OriginRefusals {
  /** Origin → inner layer. */
  readonly #refusals = new Map<string, Map<string, Refusal>>()

  constructor(private readonly log: Log) {}

  /** True while nobody has refused anything. */
  get isEmpty(): boolean {
    return this.#refusals.size === 0
  }

  /** Has this inner layer refused that origin? */
  has(origin: OriginPlace, { instance }: Pick<InnerConnection, 'instance'>): boolean {
    return this.#refusals.get(textOf(origin))?.has(instance) === true
  }

  /** It has. */
  add(origin: OriginPlace, { instance }: Pick<InnerConnection, 'instance'>): void {
    const text = textOf(origin)
    const known = this.#refusals.get(text)
    if (known !== undefined) {
      if (!known.has(instance)) known.set(instance, { isTold: false })
    } else if (this.#refusals.size < MAX_ORIGINS) this.#refusals.set(text, new Map([[instance, { isTold: false }]]))
  }

  /** Warns, once for each inner layer that refuses, that another one has reached the same origin. */
  contradict(origin: OriginPlace, refusing: InnerConnection, reaching: InnerConnection): void {
    const text = textOf(origin)
    const refusal = this.#refusals.get(text)?.get(refusing.instance)
    if (refusal === undefined || refusal.isTold) return
    refusal.isTold = true
    this.log.warn(
      { origin: text, refusedBy: factsOf(refusing), reachedBy: factsOf(reaching) },
      `the inner layer ${nameOf(refusing)} does not allow ${text}, ${nameOf(reaching)} does: give both the same --allow, or name one of them in the target`,
    )
  }

  /** The last connection of an inner layer has gone. */
  left({ instance }: Pick<InnerConnection, 'instance'>): void {
    for (const [origin, instances] of this.#refusals) if (instances.delete(instance) && instances.size === 0) this.#refusals.delete(origin)
  }
}

const textOf = ({ hostname, port }: OriginPlace): string => formatHostPort({ host: hostname, port })

const factsOf = ({ identifier, address, kid }: InnerConnection): object => ({ identifier, address, kid })

/** Two with one identifier are told apart by where they are, and on one machine by when they came. */
const nameOf = ({ identifier, address, since }: InnerConnection): string =>
  `"${identifier}" at ${address} (connected since ${since.toISOString()})`
