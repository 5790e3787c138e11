import type { YamlMap } from '../../../config/document/yaml.ts'
import { parseTargets } from '../../../config/targets.ts'
import { messageOf } from '../../../errors.ts'
import type { FoundHost } from '../../found.ts'
import type { CertificateBook } from '../certificates/certificate-book.ts'
import { keyOf, type KubeService } from '../objects.ts'
import { attach, gatewayOf, type Attachment } from './attachment.ts'
import { condition, NotDone, reasonOf, unsupported } from './conditions.ts'
import { isGranted } from './grants.ts'
import { HostTables } from './host-tables.ts'
import { byAge, entryOf, gatewayState, type Entry, type FindCertificate, type GatewayState } from './listeners.ts'
import { piecesOf } from './rules.ts'
import type { Condition, Gateway, GatewayClass, HttpRoute, Namespace, ParentRef, ReferenceGrant, RouteParentStatus } from './objects.ts'

/** All objects of a cluster that count, each by its key. */
export interface GatewayObjects {
  readonly classes: ReadonlyMap<string, GatewayClass>
  readonly gateways: ReadonlyMap<string, Gateway>
  readonly routes: ReadonlyMap<string, HttpRoute>
  readonly grants: ReadonlyMap<string, ReferenceGrant>
  readonly namespaces: ReadonlyMap<string, Namespace>
  readonly services: ReadonlyMap<string, KubeService>
}

/** Their reader. */
export interface GatewayReaderOptions {
  /** As `controllerName` of a class has it. */
  readonly controller: string
  /** Addresses of the outer layers, as Gateways get them. */
  readonly addresses: readonly string[]
  readonly domain: string | undefined
  /** Certificates of Secrets; absent: they are not read. */
  readonly book?: CertificateBook | undefined
}

/** The status that objects are to have, by their keys. */
export interface GatewayFindings {
  readonly hosts: readonly FoundHost[]
  readonly classes: ReadonlyMap<
    string,
    { readonly conditions: readonly Condition[]; readonly supportedFeatures: readonly { readonly name: string }[] }
  >
  readonly gateways: ReadonlyMap<string, { readonly state: GatewayState; readonly attached: ReadonlyMap<string, number> }>
  /** Parents of ours. */
  readonly routes: ReadonlyMap<string, readonly RouteParentStatus[]>
  /** Keys of the routes of which something is in a host, by the name of the host as it was found. */
  readonly owners: ReadonlyMap<string, ReadonlySet<string>>
}

/** Those that are met as a whole. https://gateway-api.sigs.k8s.io/geps/gep-2162/ */
const FEATURES = [
  'HTTPRoute303RedirectStatusCode',
  'HTTPRoute307RedirectStatusCode',
  'HTTPRoute308RedirectStatusCode',
  'HTTPRouteBackendProtocolH2C',
  'HTTPRouteBackendProtocolWebSocket',
  'HTTPRouteMethodMatching',
  'HTTPRouteNamedRouteRule',
  'HTTPRouteParentRefPort',
  'HTTPRoutePathRewrite',
  'HTTPRoutePortRedirect',
  'HTTPRouteQueryParamMatching',
  'HTTPRouteResponseHeaderModification',
  'HTTPRouteSchemeRedirect',
  'ReferenceGrant',
].map(name => ({ name }))

/** Name of a host among all that is found. */
export const foundName = (host: string): string => `k8s gateway ${host}`

interface Judged {
  readonly parentRef: ParentRef
  readonly attachment: Attachment | undefined
  readonly fault: { readonly reason: string; readonly message: string } | undefined
}

/** Judges what rules have become as the targets file will. @throws NotDone */
export function checkRoutes(host: string, routes: readonly YamlMap[]): void {
  try {
    parseTargets(JSON.stringify({ targets: { [host]: { routes } } }), 'rules')
  } catch (error) {
    throw unsupported(reasonOf(error).message)
  }
}

/** Reads the Gateway API: hosts with their targets, and what is to be said of each object. */
class GatewayReader {
  readonly #states = new Map<string, GatewayState>()
  readonly #attached = new Map<string, Map<string, number>>()
  readonly #tables = new HostTables()
  readonly #routes = new Map<string, readonly RouteParentStatus[]>()
  #entry: Entry | undefined

  constructor(
    private readonly objects: GatewayObjects,
    private readonly options: GatewayReaderOptions,
  ) {}

  read(): GatewayFindings {
    const { classes, gateways, routes } = this.objects
    const own = [...classes].filter(([, { spec }]) => spec?.controllerName === this.options.controller)
    const accepted = new Set(own.filter(([, { spec }]) => spec?.parametersRef === undefined).map(([, { metadata }]) => metadata.name))
    const taken = [...gateways.values()].filter(({ spec }) => accepted.has(spec?.gatewayClassName ?? '')).sort(byAge)
    this.#entry = entryOf(taken)
    for (const gateway of taken) {
      const state = gatewayState(gateway, { entry: this.#entry, own: this.options.addresses, find: this.#find })
      this.#states.set(keyOf(gateway), state)
      this.options.book?.hold(state.listeners.flatMap(({ isUsable, certificates }) => (isUsable ? certificates : [])))
      this.#attached.set(keyOf(gateway), new Map())
    }
    // By age alone: whoever comes later takes nothing from a route that is there, whatever the two of them go by.
    for (const route of [...routes.values()].sort(byAge)) this.#read(route)
    return {
      hosts: [...this.#tables.all].map(([host, { routes: list }]) => ({ name: foundName(host), host, target: { routes: list } })),
      classes: new Map(own.map(([key, each]) => [key, this.#classStatus(each)])),
      gateways: new Map([...this.#states].map(([key, state]) => [key, { state, attached: this.#attached.get(key) ?? new Map() }])),
      routes: this.#routes,
      owners: new Map([...this.#tables.all].map(([host, { owners }]) => [foundName(host), owners])),
    }
  }

  /** undefined: Secrets are not read. */
  get #find(): FindCertificate | undefined {
    const { book } = this.options
    if (book === undefined) return undefined
    const grants = [...this.objects.grants.values()]
    return ({ group = '', kind = 'Secret', namespace, name }, { metadata }) => {
      const { namespace: own = '' } = metadata
      const of = namespace ?? own
      if (group !== '' || kind !== 'Secret')
        throw new NotDone('InvalidCertificateRef', `a certificate of the kind ${kind} is not supported; expected Secret`)
      if (of !== own && !isGranted(grants, { kind: 'Gateway', namespace: own }, { kind: 'Secret', namespace: of, name }))
        throw new NotDone('RefNotPermitted', `no ReferenceGrant of ${of} permits Gateways of ${own} to refer to the Secret ${name}`)
      try {
        return book.find(of, name)
      } catch (error) {
        throw new NotDone('InvalidCertificateRef', messageOf(error))
      }
    }
  }

  #classStatus(object: GatewayClass) {
    const hasNone = object.spec?.parametersRef === undefined
    const fault = { isTrue: false, reason: 'InvalidParameters', message: 'there are no parameters' }
    return { conditions: [condition(object, 'Accepted', hasNone ? {} : fault)], supportedFeatures: FEATURES }
  }

  #read(route: HttpRoute): void {
    const parents = (route.spec?.parentRefs ?? []).flatMap(parentRef => {
      const state = this.#states.get(gatewayOf(parentRef, route) ?? '')
      return state === undefined ? [] : [this.#attach(route, parentRef, state)]
    })
    if (parents.length === 0) return
    const attached = parents.flatMap(({ attachment }) => attachment ?? [])
    const { fault, unresolved } = this.#put(route, [...new Set(attached.flatMap(({ hosts }) => hosts))])
    const key = keyOf(route)
    this.#routes.set(
      key,
      parents.map(parent => {
        const no = parent.fault ?? fault
        if (no === undefined && parent.attachment !== undefined) this.#count(route, parent.attachment)
        return {
          parentRef: parent.parentRef,
          controllerName: this.options.controller,
          conditions: [
            condition(route, 'Accepted', no === undefined ? {} : { isTrue: false, ...no }),
            condition(route, 'ResolvedRefs', unresolved === undefined ? {} : { isTrue: false, ...unresolved }),
          ],
        }
      }),
    )
  }

  #attach(route: HttpRoute, parentRef: ParentRef, state: GatewayState): Judged {
    try {
      return { parentRef, attachment: attach(route, parentRef, state, this.objects.namespaces), fault: undefined }
    } catch (error) {
      return { parentRef, attachment: undefined, fault: reasonOf(error) }
    }
  }

  #count(route: HttpRoute, { parentRef, listeners }: Attachment): void {
    const counts = this.#attached.get(gatewayOf(parentRef, route) ?? '')
    for (const name of listeners) counts?.set(name, (counts.get(name) ?? 0) + 1)
  }

  /** Puts a route into the targets of its hosts: into all of them, or into none. */
  #put(route: HttpRoute, hosts: readonly string[]) {
    const { services, grants } = this.objects
    const { domain } = this.options
    const namespace = route.metadata.namespace ?? ''
    const entry = this.#entry ?? { protocol: 'HTTP', port: 80 }
    try {
      const place = { entry, domain, namespace, services, grants: [...grants.values()] }
      const puts: (() => void)[] = []
      let unresolved: NotDone | undefined
      // Also without a host: what is wrong with its references is said in any case.
      if (hosts.length === 0) ({ unresolved } = piecesOf(route, { ...place, host: 'none.invalid' }))
      for (const host of hosts) {
        const { pieces, unresolved: nowhere } = piecesOf(route, { ...place, host })
        unresolved ??= nowhere
        puts.push(this.#tables.prepare(host, keyOf(route), pieces))
        checkRoutes(host, this.#tables.routesOf(pieces))
      }
      for (const put of puts) put()
      return { fault: undefined, unresolved: unresolved === undefined ? undefined : reasonOf(unresolved) }
    } catch (error) {
      return { fault: reasonOf(error), unresolved: undefined }
    }
  }
}

/** Reads all of it anew: what one object becomes depends on others. */
export const readGateways = (objects: GatewayObjects, options: GatewayReaderOptions): GatewayFindings =>
  new GatewayReader(objects, options).read()
