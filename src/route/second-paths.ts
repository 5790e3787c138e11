/**
 * Paths that a request names beside its own (WebDAV, RFC 4918): `Destination` of COPY and MOVE, and the tags of lists in `If`. Each is
 * judged as if it were the path of the request, and becomes the URL under which the origin knows it.
 */
import { parseHost } from '../address/host.ts'
import { GatewayError } from '../errors.ts'
import { decide, locate, type Located } from './admit.ts'

/** Where the request itself belongs. */
export interface SecondPathContext {
  /** The path of the request, admitted. */
  readonly located: Located
  /** Hosts with their ports under which the client knows this place: as Host says, and as a trusted proxy does. */
  readonly publicHosts: readonly string[]
  /** The Host that the origin gets. */
  readonly originHost: string
}

/** A request as far as it names other paths. */
export interface PathNamingRequest {
  readonly method: string
  readonly fields: readonly string[]
  /** In lower case, one for each pair of `fields`. */
  readonly names: readonly string[]
}

/** RFC 4918 §9.8, §9.9; in whatever case, as HTTP/2 brings it and as many origins do not tell apart. Exchange has one of many at once. */
const WITH_DESTINATION: ReadonlySet<string> = new Set(['COPY', 'MOVE', 'BCOPY', 'BMOVE'])

/**
 * The fields of a request, with the paths in them as the origin has to read them.
 * @throws GatewayError BAD_HEADER, BAD_TARGET, AMBIGUOUS_PATH, POLICY_REFUSED, or FOREIGN_DESTINATION for a place that is not behind this target
 */
export function withSecondPaths<Request extends PathNamingRequest>(request: Request, context: SecondPathContext): Request {
  const { method, names } = request
  const hasDestination = WITH_DESTINATION.has(method.toUpperCase()) && names.includes('destination')
  if (!hasDestination && !names.includes('if')) return request
  const fields = [...request.fields]
  let destinations = 0
  for (let i = 0; i < names.length; i++) {
    const value = fields[2 * i + 1]!
    if (names[i] === 'if') fields[2 * i + 1] = mapTags(value, url => mapUrl(url, request, context))
    else if (hasDestination && names[i] === 'destination') {
      if (++destinations > 1) throw new GatewayError('BAD_HEADER', 'more than one Destination field')
      fields[2 * i + 1] = mapUrl(value.trim(), request, context)
    }
  }
  return { ...request, fields }
}

/** RFC 4918 §8.3: an absolute URI, or a path. */
function mapUrl(
  url: string,
  request: PathNamingRequest,
  { located: { host, target, whole = target }, publicHosts, originHost }: SecondPathContext,
): string {
  const { authority, rest } = split(url)
  if (authority !== undefined && !publicHosts.some(each => isSame(authority, each)))
    throw new GatewayError('FOREIGN_DESTINATION', `${authority.slice(0, 100)} is another host`)
  const located = locate(host, rest, request)
  // Another route may be another origin, and is in any case under rules that this request has not met.
  if (located.target !== whole) throw new GatewayError('FOREIGN_DESTINATION', `${located.path.slice(0, 200)} belongs to another route`)
  decide(located, request.method)
  const at = target.treatment?.pathMap?.map(located.path, located.query) ?? located
  const path = at.path + at.query
  return authority === undefined ? path : `${target.protocol}://${originHost}${path}`
}

/** Split by hand: a URL parser would resolve, decode and drop what has to be judged. */
function split(url: string): { readonly authority: string | undefined; readonly rest: string } {
  if (url.startsWith('/') && !url.startsWith('//')) return { authority: undefined, rest: url }
  const scheme = /^https?:\/\//i.exec(url)?.[0]
  if (scheme === undefined) throw new GatewayError('BAD_HEADER', 'Destination or If names neither a path nor an http or https URL')
  const behind = url.slice(scheme.length)
  const end = behind.search(/[/?#]/)
  const authority = end < 0 ? behind : behind.slice(0, end)
  const rest = end < 0 ? '' : behind.slice(end)
  // With the port that stands for the scheme, so that `https://a` and `a:443` are the same.
  const isNumbered = /:\d*$/.test(authority)
  const port = scheme.length === 'https://'.length ? 443 : 80
  return { authority: isNumbered ? authority : `${authority}:${port}`, rest: rest.startsWith('/') ? rest : `/${rest}` }
}

/** Both as canonical host and port. Which of the default ports it is says nothing: TLS may end before us, unknown to us. */
function isSame(authority: string, publicHost: string): boolean {
  if (publicHost === '') return false
  const [one, other] = [parseHost(authority), parseHost(publicHost)]
  const isDefault = (port: number | undefined): boolean => port === undefined || port === 80 || port === 443
  return one.host === other.host && (one.port === other.port || (isDefault(one.port) && isDefault(other.port)))
}

/**
 * Replaces the tags of an If field (RFC 4918 §10.4.2): `<tag> (<state-token> ["etag"]) (Not <token>) <tag> …`.
 * What stands in parentheses stays.
 * @throws GatewayError BAD_HEADER for anything else, which two readers would read in two ways
 */
function mapTags(value: string, map: (url: string) => string): string {
  const malformed = (): never => {
    throw new GatewayError('BAD_HEADER', 'an If field that is not as RFC 4918 §10.4 has it')
  }
  const pieces: string[] = []
  let depth = 0
  let from = 0
  for (let at = 0; at < value.length; at++) {
    const character = value[at]!
    if (character === '<') {
      const end = value.indexOf('>', at)
      if (end < 0) malformed()
      if (depth === 0) {
        pieces.push(value.slice(from, at + 1), map(value.slice(at + 1, end)))
        from = end
      }
      at = end
    } else if (character === '[' && depth === 1) {
      const opening = value.indexOf('"', at)
      const closing = opening < 0 ? -1 : value.indexOf('"', opening + 1)
      if (closing < 0 || value[closing + 1] !== ']' || !/^\[(?:W\/)?$/.test(value.slice(at, opening).slice(0, 4))) malformed()
      at = closing + 1
    } else if (character === '(' && depth === 0) depth = 1
    else if (character === ')' && depth === 1) depth = 0
    else if (character !== ' ' && character !== '\t' && !(depth === 1 && /[not]/i.test(character))) malformed()
  }
  if (depth !== 0) malformed()
  pieces.push(value.slice(from))
  return pieces.join('')
}
