/** Filters of a rule, as keys of a route of a target. */
import type { YamlMap } from '../../../config/document/yaml.ts'
import { onlyKnown, unsupported } from './conditions.ts'
import type { Entry } from './listeners.ts'
import type { HeaderModifier, PathModifier, RequestRedirect, RouteFilter } from './objects.ts'

/** The place that a rule has. */
export interface FilterPlace {
  /** As the key of a target. */
  readonly host: string
  /** Where clients come in, as the listener says it. */
  readonly entry: Entry
  /** Is the path of the route a prefix, other than the root? */
  readonly isPrefix: boolean
}

const WELL_KNOWN = new Map([
  ['http', 80],
  ['https', 443],
])

/** A text without variables of ours. @throws NotDone */
function plain(text: string, where: string): string {
  if (text.includes('${')) throw unsupported(`${where}: "\${" is not supported`)
  return text
}

function editsOf(modifier: HeaderModifier, where: string): YamlMap {
  onlyKnown(modifier, ['set', 'add', 'remove'], where)
  const fields = (list: HeaderModifier['set']): YamlMap | undefined =>
    list === undefined || list.length === 0
      ? undefined
      : Object.fromEntries(list.map(({ name, value }) => [name, plain(value, `${where} ${name}`)]))
  const set = fields(modifier.set)
  const add = fields(modifier.add)
  const { remove = [] } = modifier
  return { ...(set !== undefined && { set }), ...(add !== undefined && { add }), ...(remove.length > 0 && { remove }) }
}

/** @throws NotDone */
function redirectOf(redirect: RequestRedirect, { host, entry }: FilterPlace): YamlMap {
  onlyKnown(redirect, ['scheme', 'hostname', 'path', 'port', 'statusCode'], 'requestRedirect')
  const { scheme, hostname, path, port, statusCode = 302 } = redirect
  // Of a wildcard, the one that was asked for, whose port is not always that of the listener.
  const name = plain(hostname ?? host, 'requestRedirect.hostname')
  const of = scheme ?? entry.protocol.toLowerCase()
  // With a scheme and without a port it is the usual one of that scheme, else that of the listener.
  const number = port ?? (scheme === undefined ? entry.port : WELL_KNOWN.get(scheme))
  const isUsual = number === undefined || WELL_KNOWN.get(of) === number
  const isAsAsked = name.startsWith('*') && scheme === undefined && port === undefined
  const authority = isAsAsked ? '${host}' : `${name.startsWith('*') ? '${hostname}' : name}${isUsual ? '' : `:${number}`}`
  return { to: `${scheme ?? '${scheme}'}://${authority}${redirectPath(path)}\${query}`, status: statusCode }
}

function redirectPath(path: PathModifier | undefined): string {
  if (path === undefined) return '${path}'
  if (path.type !== 'ReplaceFullPath' || path.replaceFullPath === undefined)
    throw unsupported(`requestRedirect.path: ${path.type} is not supported; expected ReplaceFullPath`)
  return plain(path.replaceFullPath, 'requestRedirect.path')
}

/** @throws NotDone */
function rewriteOf(path: PathModifier, isPrefix: boolean): YamlMap {
  const { type, replaceFullPath, replacePrefixMatch } = path
  if (type === 'ReplaceFullPath' && replaceFullPath !== undefined) {
    if (/\$[0-9]|\?/.test(replaceFullPath)) throw unsupported('urlRewrite.path: "$" before a digit, and "?", are not supported')
    return { rewrite: { pattern: '^.*', to: replaceFullPath } }
  }
  if (type === 'ReplacePrefixMatch' && replacePrefixMatch !== undefined) {
    const to = replacePrefixMatch.replace(/\/$/, '')
    if (to !== '') return { rewrite: to }
    return isPrefix ? { stripPrefix: true, slashRedirect: false } : {}
  }
  throw unsupported(`urlRewrite.path: ${type} is not supported`)
}

/** Keys of a route; `redirect` is in them where the answer is one. @throws NotDone */
export function filtersOf(filters: readonly RouteFilter[], place: FilterPlace): YamlMap {
  const types = filters.map(({ type }) => type)
  const twice = types.find((type, i) => types.indexOf(type) !== i)
  if (twice !== undefined) throw unsupported(`two filters ${twice} of a rule are not supported`)
  if (types.includes('RequestRedirect') && (types.includes('URLRewrite') || types.includes('ResponseHeaderModifier')))
    throw unsupported('RequestRedirect beside URLRewrite or ResponseHeaderModifier is not supported')
  let keys: YamlMap = {}
  let headers: YamlMap = {}
  for (const { type, requestHeaderModifier, responseHeaderModifier, requestRedirect, urlRewrite } of filters) {
    if (type === 'RequestHeaderModifier' && requestHeaderModifier !== undefined)
      headers = { ...headers, request: editsOf(requestHeaderModifier, 'requestHeaderModifier') }
    else if (type === 'ResponseHeaderModifier' && responseHeaderModifier !== undefined)
      headers = { ...headers, response: editsOf(responseHeaderModifier, 'responseHeaderModifier') }
    else if (type === 'RequestRedirect' && requestRedirect !== undefined) keys = { ...keys, redirect: redirectOf(requestRedirect, place) }
    else if (type === 'URLRewrite' && urlRewrite !== undefined) {
      onlyKnown(urlRewrite, ['path'], 'urlRewrite')
      keys = { ...keys, ...(urlRewrite.path !== undefined && rewriteOf(urlRewrite.path, place.isPrefix)) }
    } else throw unsupported(`the filter ${type} is not supported`)
  }
  return { ...keys, ...(Object.keys(headers).length > 0 && { headers }) }
}
