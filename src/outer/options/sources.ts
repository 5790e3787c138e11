import { GatewayError } from '../../errors.ts'
import { KeyRegistry, type Keys } from '../../identity/key-registry.ts'
import { RouteTable, type TargetTable } from '../../route/table.ts'
import type { KeySource, OuterLayerOptions, TableSource } from './outer-options.ts'

/** The sources that an outer layer serves from. */
export interface Sources {
  /** Of the operator. */
  readonly targets: TableSource
  /** Of the operator. */
  readonly keys: KeySource
  /** The targets in force, with the sockets of the directory. */
  readonly table: () => TargetTable
  /** The keys in force, with those of the directory. */
  readonly allKeys: () => Keys
}

const NO_TARGETS: TableSource = Object.freeze({ table: new RouteTable([]), file: 'none' })
const NO_KEYS: KeySource = Object.freeze({ registry: new KeyRegistry() })

/** @throws GatewayError USAGE where there is nothing that could be served from */
export function sourcesOf({ targets, keys, directory }: Pick<OuterLayerOptions, 'targets' | 'keys' | 'directory'>): Sources {
  if (directory === undefined) {
    if (targets === undefined || keys === undefined)
      throw new GatewayError('USAGE', 'an outer layer without a directory needs targets and keys')
    return { targets, keys, table: () => targets.table, allKeys: () => keys.registry }
  }
  const [file, operator] = [targets ?? NO_TARGETS, keys ?? NO_KEYS]
  const table = derived((next: RouteTable) => directory.layer(next))
  const allKeys = derived((next: Keys) => directory.layerKeys(next))
  return { targets: file, keys: operator, table: () => table(file.table), allKeys: () => allKeys(operator.registry) }
}

/** The same result for the same argument as long as no other one comes. */
function derived<A, B>(make: (from: A) => B): (from: A) => B {
  let last: { readonly from: A; readonly made: B } | undefined
  return from => (last?.from === from ? last : (last = { from, made: make(from) })).made
}
