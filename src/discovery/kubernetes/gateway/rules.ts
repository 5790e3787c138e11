/** Rules of a route, as pieces of the targets of its hosts. */
import type { YamlMap } from '../../../config/document/yaml.ts'
import { canonicalPath } from '../../../route/path.ts'
import { backendOf, type BackendPlace } from './backends.ts'
import { onlyKnown, unsupported, type NotDone } from './conditions.ts'
import { filtersOf, type FilterPlace } from './filters.ts'
import type { HttpRoute, RouteMatch, ValueMatch } from './objects.ts'

/** A rule for some requests of a host. */
export interface Piece {
  /** As `path` of a route of a target has it: a prefix, or an expression for one path. */
  readonly path: string
  /** As `match` of it has it; undefined: every request for these paths. */
  readonly match: YamlMap | undefined
  readonly keys: YamlMap
}

/** Pieces of a host. */
export interface RoutePieces {
  readonly pieces: readonly Piece[]
  readonly unresolved: NotDone | undefined
}

/** A text as an expression for it. */
export const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** @throws NotDone */
function pathOf({ path }: RouteMatch): { readonly path: string; readonly isPrefix: boolean } {
  const { type = 'PathPrefix', value = '/' } = path ?? {}
  if (type !== 'Exact' && type !== 'PathPrefix')
    throw unsupported(`a path of the type ${type} is not supported; expected Exact or PathPrefix`)
  const { path: canonical, ambiguous } = canonicalPath(value, true)
  if (!value.startsWith('/') || ambiguous !== undefined) throw unsupported(`the path ${value} can be read in more than one way`)
  if (type === 'Exact') return { path: `^${escaped(canonical)}`, isPrefix: false }
  return { path: canonical.replace(/\/$/, '') || '/', isPrefix: true }
}

/** Methods of requests that are forwarded at all. RFC 9110 §9 */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])

/** Values by their names, each for the whole of it. @throws NotDone */
function valuesOf(list: readonly ValueMatch[] | undefined, where: string, normal: (name: string) => string): YamlMap | undefined {
  if (list === undefined || list.length === 0) return undefined
  const values = new Map<string, string>()
  for (const match of list) {
    onlyKnown(match, ['type', 'name', 'value'], where)
    const { type = 'Exact', name, value } = match
    if (type !== 'Exact') throw unsupported(`${where}: ${type} is not supported; expected Exact`)
    // Of equivalent names the first counts, and the others are ignored.
    if (!values.has(normal(name))) values.set(normal(name), value.startsWith('^') ? `^${escaped(value)}` : value)
  }
  return Object.fromEntries(values)
}

/** @throws NotDone */
function conditionOf(match: RouteMatch): YamlMap | undefined {
  onlyKnown(match, ['path', 'method', 'headers', 'queryParams'], 'matches')
  const { method } = match
  if (method !== undefined && !METHODS.has(method)) throw unsupported(`the method ${method} is not supported`)
  const headers = valuesOf(match.headers, 'matches.headers', name => name.toLowerCase())
  const query = valuesOf(match.queryParams, 'matches.queryParams', name => name)
  const all = {
    ...(method !== undefined && { methods: [method] }),
    ...(headers !== undefined && { headers }),
    ...(query !== undefined && { query }),
  }
  return Object.keys(all).length === 0 ? undefined : all
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
      const { path, isPrefix } = pathOf(match)
      const answer = filtersOf(filters, { ...place, isPrefix: isPrefix && path !== '/' })
      if (!isPrefix && filters.some(({ urlRewrite }) => urlRewrite?.path?.type === 'ReplacePrefixMatch'))
        throw unsupported('urlRewrite.path: ReplacePrefixMatch needs a path of the type PathPrefix')
      const isAnswered = Object.hasOwn(backend.keys, 'respond')
      // What is answered here needs no other path and no fields.
      const keys = hasOrigin ? (isAnswered ? backend.keys : { ...backend.keys, ...answer }) : { redirect: answer['redirect'] }
      pieces.push({ path, match: conditionOf(match), keys })
    }
  }
  return { pieces, unresolved }
}
