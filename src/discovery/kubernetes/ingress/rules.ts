/** Rules of an Ingress, as pieces of the targets of its hosts. */
import { canonicalPath } from '../../../route/path.ts'
import { backendOf } from '../gateway/backends.ts'
import { onlyKnown, unsupported } from '../gateway/conditions.ts'
import { escaped, type Piece } from '../gateway/rules.ts'
import type { KubeService } from '../objects.ts'
import type { Ingress, IngressBackend, IngressPath } from './objects.ts'

/** Where Services are looked up. */
export interface RulePlace {
  /** Of the Ingress. */
  readonly namespace: string
  readonly services: ReadonlyMap<string, KubeService>
  /** Of the cluster, such as cluster.local; undefined: names have none. */
  readonly domain: string | undefined
}

/** All that an Ingress asks for. */
export interface IngressPieces {
  /** By the key of the target: an exact host, `*.x`, or `*`. */
  readonly hosts: ReadonlyMap<string, readonly Piece[]>
  /** Backends that lead nowhere, each in words. */
  readonly unresolved: readonly string[]
}

/** Characters of expressions, which other controllers take there, and which would be taken to the letter here. */
const EXPRESSION = /[*()[\]{}\\^$|]/

/** As a route has it. @throws NotDone */
function pathOf({ path = '', pathType }: IngressPath): string {
  const value = path === '' && pathType === 'ImplementationSpecific' ? '/' : path
  if (pathType !== 'Exact' && pathType !== 'Prefix' && pathType !== 'ImplementationSpecific')
    throw unsupported(`pathType ${pathType} is not supported; expected Exact, Prefix or ImplementationSpecific`)
  if (pathType === 'ImplementationSpecific' && EXPRESSION.test(value))
    throw unsupported(`the path ${value}: no expressions are supported; ImplementationSpecific is the same as Prefix here`)
  const { path: canonical, ambiguous } = canonicalPath(value, true)
  if (!value.startsWith('/') || ambiguous !== undefined) throw unsupported(`the path ${value} can be read in more than one way`)
  return pathType === 'Exact' ? `^${escaped(canonical)}` : canonical.replace(/\/$/, '') || '/'
}

/** No Service, no origin: the answer of a gateway that has nobody to ask. */
const NOWHERE = { respond: { status: 503 } }

/** Reads the rules of one Ingress. */
class Rules {
  readonly #hosts = new Map<string, Piece[]>()
  readonly #unresolved = new Set<string>()

  constructor(private readonly place: RulePlace) {}

  read({ spec = {} }: Ingress): IngressPieces {
    const { rules = [], defaultBackend } = spec
    const rest = defaultBackend === undefined ? undefined : this.#keys(defaultBackend, 'defaultBackend')
    if (rules.length === 0 && rest === undefined) throw unsupported('it has neither rules nor a defaultBackend')
    for (const { host = '', http } of rules) {
      const paths = http?.paths ?? []
      if (paths.length === 0 && rest === undefined)
        throw unsupported(`rules: ${host || 'one without a host'} has no paths, and there is no defaultBackend`)
      for (const path of paths) {
        onlyKnown(path, ['path', 'pathType', 'backend'], 'paths')
        this.#put(host, { path: pathOf(path), match: undefined, keys: this.#keys(path.backend, 'backend') })
      }
      if (paths.length === 0) this.#put(host)
    }
    if (rules.length === 0) this.#put('')
    // Behind what the rules say: of two pieces for one path the first counts.
    if (rest !== undefined) for (const pieces of this.#hosts.values()) pieces.push({ path: '/', match: undefined, keys: rest })
    return { hosts: this.#hosts, unresolved: [...this.#unresolved] }
  }

  #put(host: string, ...pieces: readonly Piece[]): void {
    const key = host === '' ? '*' : host.toLowerCase()
    this.#hosts.set(key, [...(this.#hosts.get(key) ?? []), ...pieces])
  }

  #keys(backend: IngressBackend, where: string): Piece['keys'] {
    onlyKnown(backend, ['service'], where)
    const { name = '', port = {} } = backend.service ?? {}
    const { namespace, services } = this.place
    const named = services.get(`${namespace}/${name}`)?.spec?.ports?.find(each => port.name !== undefined && each.name === port.name)
    const number = port.number ?? named?.port
    const { keys, unresolved } = backendOf(
      { backendRefs: [{ name, ...(number !== undefined && { port: number }) }] },
      { ...this.place, grants: [] },
    )
    if (unresolved === undefined) return keys
    this.#unresolved.add(
      number === undefined ? `there is no Service ${namespace}/${name} with a TCP port ${port.name ?? ''}` : unresolved.message,
    )
    return NOWHERE
  }
}

/** @throws NotDone for what targets cannot express */
export const rulesOf = (ingress: Ingress, place: RulePlace): IngressPieces => new Rules(place).read(ingress)
