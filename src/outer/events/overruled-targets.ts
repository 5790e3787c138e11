import { parseTargetHost } from '../../address/host.ts'
import type { EventSink } from '../../events/event-sink.ts'
import type { TargetTable } from '../../route/table.ts'
import type { Target } from '../../route/target.ts'
import type { Log } from '../../telemetry/log.ts'

type Targets = Pick<TargetTable, 'targets'>

/** Whose a host is, in words. */
const OWNERS = { service: 'one of the service itself', socket: 'the one of a socket', login: 'the one where people log in' } as const

/** Those who have hosts that are not in the targets file. */
export interface HostOwners {
  readonly directory?:
    { overruled(table: Targets): readonly { readonly target: Target; readonly owner: 'service' | 'socket' }[] } | undefined
  /** Is a page of the gateway there, whatever targets say? @param target  path */
  readonly visitors?: { owns(host: string, target: string): boolean } | undefined
}

/** A target that was found by its labels and is not in force. */
export interface Overruled {
  readonly target: Target
  /** Whose its host is, in words. */
  readonly owner: (typeof OWNERS)[keyof typeof OWNERS]
}

/** Targets that were found for a host that is somebody's already; what the operator writes by hand may have any. */
export function overruledTargets(table: Targets, { directory, visitors }: HostOwners): readonly Overruled[] {
  const known = (directory?.overruled(table) ?? []).map(({ target, owner }): Overruled => ({ target, owner: OWNERS[owner] }))
  if (visitors === undefined) return known
  const isLogin = ({ found, name }: Target): boolean => found !== undefined && visitors.owns(parseTargetHost(name), '/')
  return [...known, ...table.targets.filter(isLogin).map((target): Overruled => ({ target, owner: OWNERS.login }))]
}

/** Tells once of each that has come. */
export class OverruledTargets {
  #told: ReadonlySet<string> = new Set()

  constructor(
    private readonly sink: EventSink,
    private readonly owners: HostOwners,
    private readonly log: Log,
  ) {}

  /** Looks at all of them. */
  look(table: Targets): void {
    const told = new Set<string>()
    for (const { target, owner } of overruledTargets(table, this.owners)) {
      const { name: host, found = '' } = target
      const key = JSON.stringify([host, found, owner])
      told.add(key)
      if (this.#told.has(key)) continue
      this.log.warn({ target: host, found }, `does not get its host, which is ${owner}`)
      this.sink.tell('target.refused', { subject: host, targets: [host], fields: { host, found, owner } })
    }
    this.#told = told
  }
}
