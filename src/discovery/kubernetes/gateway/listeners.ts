/** Gateways of our classes: which of their listeners an outer layer can have. */
import { isIp, keyOf, type KubeObject } from '../objects.ts'
import type { SecretPair } from '../certificates/secrets.ts'
import { condition, NotDone, onlyKnown, reasonOf, unsupported } from './conditions.ts'
import { GATEWAY_GROUP, type Address, type CertificateRef, type Condition, type Gateway, type Listener } from './objects.ts'

/** The option of an HTTPS listener by which it has the certificates of the outer layer. */
export const CERTIFICATES_OPTION = 'socket-gateway/certificates'
export const OUTER_LAYER = 'outer-layer'

/** A protocol and a port; an outer layer has one for everybody who comes. */
export interface Entry {
  readonly protocol: 'HTTP' | 'HTTPS'
  readonly port: number
}

/** A listener and what became of it. */
export interface ListenerState {
  readonly listener: Listener
  /** May routes be attached? */
  readonly isAccepted: boolean
  /** Are they served? */
  readonly isUsable: boolean
  /** HTTPRoutes, by its protocol and its kinds. */
  readonly takesRoutes: boolean
  /** Those that it serves; empty: those of the outer layer. */
  readonly certificates: readonly SecretPair[]
  readonly conditions: readonly Condition[]
}

/** A Gateway and what became of it. */
export interface GatewayState {
  readonly gateway: Gateway
  readonly listeners: readonly ListenerState[]
  readonly conditions: readonly Condition[]
  readonly addresses: readonly Address[]
}

const isEntry = (protocol: string): protocol is Entry['protocol'] => protocol === 'HTTP' || protocol === 'HTTPS'

/** By age, then by name: whoever came first has it. */
export const byAge = (a: KubeObject, b: KubeObject): number => {
  const [one, other] = [a, b].map(each => `${each.metadata.creationTimestamp ?? ''} ${keyOf(each)}`)
  return one! < other! ? -1 : 1
}

/** The entry of the oldest Gateway that has one; all others have to have the same. */
export function entryOf(gateways: readonly Gateway[]): Entry | undefined {
  for (const { spec } of gateways) for (const { protocol, port } of spec?.listeners ?? []) if (isEntry(protocol)) return { protocol, port }
  return undefined
}

/** @throws NotDone */
function checkAccepted(listener: Listener, entry: Entry | undefined): void {
  const { protocol, port, tls, allowedRoutes } = listener
  if (!isEntry(protocol)) throw new NotDone('UnsupportedProtocol', `${protocol} is not supported; expected HTTP or HTTPS`)
  onlyKnown(listener, ['name', 'hostname', 'port', 'protocol', 'tls', 'allowedRoutes'], 'listener')
  onlyKnown(allowedRoutes ?? {}, ['namespaces', 'kinds'], 'allowedRoutes')
  onlyKnown(tls ?? {}, ['mode', 'certificateRefs', 'options'], 'tls')
  if (protocol === 'HTTPS' && (tls?.mode ?? 'Terminate') !== 'Terminate') throw unsupported(`tls.mode ${tls?.mode} is not supported`)
  if (port !== entry?.port || protocol !== entry.protocol)
    throw new NotDone(
      'PortUnavailable',
      `an outer layer has one port, and the oldest Gateway has it as ${entry?.protocol} ${entry?.port}; for a redirect from HTTP it has --app-http-port`,
    )
}

/** Finds the certificate of a reference. @throws NotDone */
export type FindCertificate = (ref: CertificateRef, gateway: Gateway) => SecretPair

/** Certificates of a listener; none where they are those of the outer layer. @throws NotDone */
function certificatesOf(gateway: Gateway, { hostname = '', tls }: Listener, find: FindCertificate | undefined): readonly SecretPair[] {
  const { certificateRefs: refs = [], options } = tls ?? {}
  const own = `options: { ${CERTIFICATES_OPTION}: ${OUTER_LAYER} }`
  const isOfOuter = options?.[CERTIFICATES_OPTION] === OUTER_LAYER
  if (isOfOuter && refs.length === 0) return []
  if (find === undefined)
    throw new NotDone(
      'InvalidCertificateRef',
      `certificates are those of the outer layer (--tls-certificate, --acme): leave out certificateRefs, and write ${own}; or give --certificate-folder to the controller`,
    )
  if (isOfOuter) throw new NotDone('InvalidCertificateRef', `either certificateRefs or ${own}, not both`)
  if (refs.length === 0) throw new NotDone('InvalidCertificateRef', `certificateRefs are missing; expected a Secret, or ${own}`)
  const pairs = refs.map(ref => find(ref, gateway))
  // Clients get a certificate by the name that they ask for: one for other names would never be served.
  const host = hostname.toLowerCase().replace(/^\*/, 'any')
  if (host !== '' && !pairs.some(({ covers }) => covers(host)))
    throw new NotDone('InvalidCertificateRef', `no certificate of certificateRefs is for ${hostname}`)
  return pairs
}

/** @throws NotDone */
function checkKinds({ allowedRoutes }: Listener): void {
  const other = (allowedRoutes?.kinds ?? []).find(kind => !isHttpRoute(kind))
  if (other !== undefined) throw new NotDone('InvalidRouteKinds', `${other.kind} is not supported; expected HTTPRoute`)
}

const isHttpRoute = ({ group = GATEWAY_GROUP, kind }: { readonly group?: string; readonly kind: string }): boolean =>
  group === GATEWAY_GROUP && kind === 'HTTPRoute'

const faultOf = (check: () => void): { readonly reason: string; readonly message: string } | undefined => {
  try {
    check()
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

const told = (gateway: Gateway, type: string, fault: { readonly reason: string; readonly message: string } | undefined): Condition =>
  condition(gateway, type, fault === undefined ? {} : { isTrue: false, ...fault })

function listenerState(gateway: Gateway, listener: Listener, { entry, find }: GatewayPlace): ListenerState {
  const same = (other: Listener): boolean =>
    other.port === listener.port && other.protocol === listener.protocol && (other.hostname ?? '') === (listener.hostname ?? '')
  const isConflicted = (gateway.spec?.listeners ?? []).filter(same).length > 1
  const kinds = listener.allowedRoutes?.kinds ?? []
  const takesRoutes = isEntry(listener.protocol) && (kinds.length === 0 || kinds.some(isHttpRoute))
  const notAccepted = faultOf(() => checkAccepted(listener, entry))
  let certificates: readonly SecretPair[] = []
  const notCertified = faultOf(() => {
    if (listener.protocol === 'HTTPS') certificates = certificatesOf(gateway, listener, find)
  })
  const notResolved = notCertified ?? faultOf(() => checkKinds(listener))
  const isAccepted = !isConflicted && notAccepted === undefined
  const isUsable = isAccepted && notCertified === undefined
  const conflict = { isTrue: isConflicted, reason: isConflicted ? 'HostnameConflict' : 'NoConflicts' }
  const programmed = isUsable && takesRoutes ? {} : { isTrue: false, reason: 'Invalid', message: 'see the other conditions' }
  const conditions = [
    told(gateway, 'Accepted', notAccepted),
    condition(gateway, 'Programmed', programmed),
    told(gateway, 'ResolvedRefs', notResolved),
    condition(gateway, 'Conflicted', conflict),
  ]
  return { listener, isAccepted, isUsable: isUsable && takesRoutes, takesRoutes, certificates, conditions }
}

/** Of the Gateway itself. @throws NotDone */
function checkGateway({ spec = {} }: Gateway, own: readonly string[]): void {
  onlyKnown(spec, ['gatewayClassName', 'listeners', 'addresses', 'infrastructure'], 'spec')
  if (spec.infrastructure?.parametersRef !== undefined) throw new NotDone('InvalidParameters', 'there are no parameters')
  const other = (spec.addresses ?? []).find(({ value }) => value === undefined || !own.includes(value))
  if (other !== undefined)
    throw new NotDone(
      'UnsupportedAddress',
      `the address ${other.value ?? ''} is none of --gateway-address (${own.join(', ') || 'not given'})`,
    )
}

/** The part that all Gateways share. */
export interface GatewayPlace {
  /** undefined: no Gateway has one. */
  readonly entry: Entry | undefined
  /** The addresses of the outer layers. */
  readonly own: readonly string[]
  /** undefined: Secrets are not read. */
  readonly find: FindCertificate | undefined
}

/** Judges a Gateway. */
export function gatewayState(gateway: Gateway, place: GatewayPlace): GatewayState {
  const { own } = place
  const fault = faultOf(() => checkGateway(gateway, own))
  const states = (gateway.spec?.listeners ?? []).map(listener => listenerState(gateway, listener, place))
  const listeners = fault === undefined ? states : states.map(state => ({ ...state, isAccepted: false, isUsable: false }))
  const isAnyUsable = listeners.some(({ isUsable }) => isUsable)
  const isAllUsable = listeners.every(({ isUsable }) => isUsable)
  const notValid = { reason: 'ListenersNotValid', message: 'see the conditions of the listeners' }
  const accepted =
    fault !== undefined
      ? told(gateway, 'Accepted', fault)
      : condition(gateway, 'Accepted', isAllUsable ? {} : { isTrue: isAnyUsable, ...notValid })
  const programmed = isAnyUsable ? {} : { isTrue: false, reason: 'Invalid', message: fault?.message ?? notValid.message }
  return {
    gateway,
    listeners,
    conditions: [accepted, condition(gateway, 'Programmed', programmed)],
    addresses: own.map(value => ({ type: isIp(value) ? 'IPAddress' : 'Hostname', value })),
  }
}
