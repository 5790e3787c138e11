import type { EventNote } from '../../events/event.ts'
import type { EventSink } from '../../events/event-sink.ts'
import { ownAnswerOf } from '../../route/own-answer.ts'
import type { TargetTable } from '../../route/table.ts'
import type { ServedBy } from '../../route/target.ts'
import type { Registry } from '../inner-layers/registry.ts'

const MAX_NAMED = 3

/** Targets that want the same inner layers, and have none or all of them together. */
interface Group {
  readonly identifiers: readonly string[] | undefined
  readonly names: Set<string>
}

/** Tells of targets of the operator that no inner layer serves, one event for all that want the same inner layers. */
export class UnservedTargets {
  #unserved: ReadonlySet<string> = new Set()
  #isFirst = true

  constructor(
    private readonly sink: EventSink,
    private readonly registry: Pick<Registry, 'serves'>,
    private readonly table: () => TargetTable,
  ) {}

  /** Looks at all of them. */
  look(): void {
    const groups = groupsOf(this.table())
    const unserved = new Set<string>()
    for (const [key, { identifiers, names }] of groups) {
      const isServed = this.registry.serves({ identifiers })
      if (!isServed) unserved.add(key)
      this.sink.turn('target', isServed, { ...noteOf([...names], identifiers), isFromStart: this.#isFirst }, key)
    }
    // What is no longer wanted is not served again: it is nothing any more.
    for (const key of this.#unserved) if (!groups.has(key)) this.sink.forget('target', key)
    this.#unserved = unserved
    this.#isFirst = false
  }
}

function groupsOf({ all, tcp, tunnels }: TargetTable): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>()
  const add = (name: string, { identifiers }: ServedBy): void => {
    const key = identifiers === undefined ? '*' : JSON.stringify(identifiers)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { identifiers, names: new Set([name]) })
    else group.names.add(name)
  }
  for (const target of all) if (target.pool !== 'tunnel' && ownAnswerOf(target) === undefined) add(hostKeyOf(target.name), target)
  for (const { options } of tcp) for (const route of options.routes) add(`tcp ${options.port}`, route)
  for (const tunnel of tunnels.values()) add(`tunnel ${tunnel.name}`, tunnel)
  return groups
}

/** The key of a target in its file: of a route, without the path behind it. */
export const hostKeyOf = (name: string): string => {
  const end = name.search(/[ /]/)
  return end < 1 ? name : name.slice(0, end)
}

function noteOf(targets: readonly string[], identifiers: readonly string[] | undefined): EventNote {
  const named = targets.slice(0, MAX_NAMED).join(', ')
  const more = targets.length - MAX_NAMED
  return {
    subject: more > 0 ? `${named} and ${more} more` : named,
    targets,
    fields: { identifiers: identifiers ?? [], count: targets.length },
  }
}
