/** Rules of a route, as pieces of the targets of its hosts. */
import type { YamlMap } from '../../../config/document/yaml.ts'
import { canonicalPath } from '../../../route/path.ts'
import { backendOf, type BackendPlace } from './backends.ts'
import { onlyKnown, unsupported, type NotDone } from './conditions.ts'
import { filtersOf, type FilterPlace } from './filters.ts'
import type { HttpRoute, RouteMatch } from './objects.ts'

/** Rules for some paths of a host. */
export interface Piece {
  /** As `path` of a route of a target has it: a prefix, or an expression for one path. */
  readonly path: string
  /** The prefix, `/` for all of them; undefined: one path only. */
  readonly prefix: string | undefined
  /** The path itself, or the prefix. */
  readonly text: string
  /** undefined: every one. */
  readonly method: string | undefined
  readonly keys: YamlMap
}

/** Pieces of a host. */
export interface RoutePieces {
  readonly pieces: readonly Piece[]
  readonly unresolved: NotDone | undefined
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** @throws NotDone */
function pathOf({ path }: RouteMatch): Pick<Piece, 'path' | 'prefix' | 'text'> {
  const { type = 'PathPrefix', value = '/' } = path ?? {}
  if (type !== 'Exact' && type !== 'PathPrefix')
    throw unsupported(`a path of the type ${type} is not supported; expected Exact or PathPrefix`)
  const { path: canonical, ambiguous } = canonicalPath(value, true)
  if (!value.startsWith('/') || ambiguous !== undefined) throw unsupported(`the path ${value} can be read in more than one way`)
  if (type === 'Exact') return { path: `^${escaped(canonical)}`, prefix: undefined, text: canonical }
  const prefix = canonical.replace(/\/$/, '') || '/'
  return { path: prefix, prefix, text: prefix }
}

/** The methods that targets can name. RFC 9110 §9 */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])

/** @throws NotDone */
function methodOf(match: RouteMatch): string | undefined {
  onlyKnown(match, ['path', 'method', 'headers', 'queryParams'], 'matches')
  if ((match.headers ?? []).length > 0) throw unsupported('matches.headers is not supported: a target goes by host, path and method')
  if ((match.queryParams ?? []).length > 0)
    throw unsupported('matches.queryParams is not supported: a target goes by host, path and method')
  if (match.method !== undefined && !METHODS.has(match.method)) throw unsupported(`the method ${match.method} is not supported`)
  return match.method
}

/** @throws NotDone for a rule that targets cannot express */
export function piecesOf({ spec = {} }: HttpRoute, place: Omit<FilterPlace, 'isPrefix'> & BackendPlace): RoutePieces {
  onlyKnown(spec, ['parentRefs', 'hostnames', 'rules'], 'spec')
  const pieces: Piece[] = []
  let unresolved: NotDone | undefined
  for (const rule of spec.rules ?? []) {
    onlyKnown(rule, ['name', 'matches', 'filters', 'backendRefs'], 'rules')
    const backend = backendOf(rule, place)
    const { filters = [], matches = [] } = rule
    const hasOrigin = !filters.some(({ type }) => type === 'RequestRedirect')
    if (hasOrigin) unresolved ??= backend.unresolved
    for (const match of matches.length === 0 ? [{}] : matches) {
      const path = pathOf(match)
      const isPrefix = path.prefix !== undefined && path.prefix !== '/'
      const answer = filtersOf(filters, { ...place, isPrefix })
      if (path.prefix === undefined && filters.some(({ urlRewrite }) => urlRewrite?.path?.type === 'ReplacePrefixMatch'))
        throw unsupported('urlRewrite.path: ReplacePrefixMatch needs a path of the type PathPrefix')
      const isAnswered = Object.hasOwn(backend.keys, 'respond')
      // What is answered here needs no other path and no fields.
      const keys = hasOrigin ? (isAnswered ? backend.keys : { ...backend.keys, ...answer }) : { redirect: answer['redirect'] }
      pieces.push({ ...path, method: methodOf(match), keys })
    }
  }
  // Those for every method first, since those for some need to know them.
  return { pieces: [...pieces].sort((a, b) => Number(a.method !== undefined) - Number(b.method !== undefined)), unresolved }
}
