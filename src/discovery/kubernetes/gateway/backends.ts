/** References of a rule to Services. */
import type { YamlMap } from '../../../config/document/yaml.ts'
import { hostOf, type KubeService } from '../objects.ts'
import { NotDone, onlyKnown } from './conditions.ts'
import { isGranted } from './grants.ts'
import type { BackendRef, ReferenceGrant, RouteRule } from './objects.ts'

/** Where references are looked up. */
export interface BackendPlace {
  /** Of the route. */
  readonly namespace: string
  readonly services: ReadonlyMap<string, KubeService>
  readonly grants: readonly ReferenceGrant[]
  /** Of the cluster, such as cluster.local; undefined: names have none. */
  readonly domain: string | undefined
}

/** The protocol of the origin, by the `appProtocol` of its port. https://kubernetes.io/docs/concepts/services-networking/service/#application-protocol */
const SPOKEN: ReadonlyMap<string, YamlMap> = new Map([
  ['http', {}],
  ['kubernetes.io/ws', {}],
  ['kubernetes.io/h2c', { http2: true }],
])

/** Keys of the origin. @throws NotDone with the reason of ResolvedRefs */
function resolve(ref: BackendRef, { namespace: own, services, grants, domain }: BackendPlace): YamlMap {
  const { group = '', kind = 'Service', namespace = own, name, port } = ref
  if (group !== '' || kind !== 'Service')
    throw new NotDone('InvalidKind', `a backend of the kind ${kind} is not supported; expected Service`)
  const isOwn = namespace === own
  if (!isOwn && !isGranted(grants, { kind: 'HTTPRoute', namespace: own }, { kind: 'Service', namespace, name }))
    throw new NotDone('RefNotPermitted', `no ReferenceGrant of ${namespace} permits HTTPRoutes of ${own} to refer to the Service ${name}`)
  const service = services.get(`${namespace}/${name}`)
  const found = service?.spec?.ports?.find(each => each.port === port && (each.protocol ?? 'TCP') === 'TCP')
  if (service === undefined || found === undefined)
    throw new NotDone(
      'BackendNotFound',
      `there is no Service ${namespace}/${name}${service === undefined ? '' : ` with a TCP port ${port}`}`,
    )
  if (service.spec?.type === 'ExternalName')
    throw new NotDone('BackendNotFound', `the Service ${namespace}/${name} is of type ExternalName, which leads out of the cluster`)
  const spoken = SPOKEN.get(found.appProtocol ?? 'http')
  if (spoken === undefined)
    throw new NotDone('UnsupportedProtocol', `appProtocol ${found.appProtocol} of ${namespace}/${name} is not supported`)
  return { protocol: 'http', hostname: hostOf(service, domain), port: found.port, preserveHost: true, ...spoken }
}

/** Where requests of a rule go. */
export interface Backend {
  /** Keys of a route: an origin, several of them with their shares, or the answer 500 where there is none. */
  readonly keys: YamlMap
  /** A reference that leads nowhere; undefined: all of them lead somewhere. */
  readonly unresolved: NotDone | undefined
}

const NOWHERE: YamlMap = { respond: { status: 500 } }

/** @throws NotDone for what targets cannot express */
export function backendOf({ backendRefs = [] }: RouteRule, place: BackendPlace): Backend {
  let unresolved: NotDone | undefined
  const origins = backendRefs.map(ref => {
    onlyKnown(ref, ['group', 'kind', 'namespace', 'name', 'port', 'weight'], 'backendRefs')
    try {
      return { weight: ref.weight ?? 1, keys: resolve(ref, place) }
    } catch (error) {
      if (!(error instanceof NotDone)) throw error
      unresolved ??= error
      return { weight: ref.weight ?? 1, keys: NOWHERE }
    }
  })
  const weighed = origins.filter(({ weight }) => weight > 0)
  if (weighed.length > 1) return { keys: { split: weighed.map(({ weight, keys }) => ({ weight, ...keys })) }, unresolved }
  return { keys: weighed[0]?.keys ?? NOWHERE, unresolved }
}
