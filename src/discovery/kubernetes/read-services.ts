import { GatewayError, messageOf } from '../../errors.ts'
import { readWishes, type Findings, type FoundService, type RefusedService } from '../found.ts'
import { hostOf, keyOf, type KubeService } from './objects.ts'

/** Annotations begin with this. */
export const ANNOTATION_PREFIX = 'socket-gateway/'
/** Written by us: where a service is published. */
export const URL_ANNOTATION = 'status.socket-gateway/url'
/** Of the controller of 2020: this, and the value true to the letter. */
export const MYSOCKET_ANNOTATION = 'mysocket.io/enabled'

/** Name of the socket, as the controller of 2020 called it. */
export const nameOf = ({ metadata: { namespace = 'default', name } }: KubeService): string => `k8s ${namespace}.${name}`

function portOf({ spec }: KubeService, wanted: number | string | undefined): number {
  const ports = (spec?.ports ?? []).filter(({ protocol = 'TCP' }) => protocol === 'TCP')
  const known = ports.map(({ name, port }) => (name === undefined ? String(port) : `${port} (${name})`)).join(', ') || 'none'
  if (wanted === undefined) {
    const [first] = ports
    if (first === undefined) throw new GatewayError('CONFIG_INVALID', 'has no TCP port')
    return first.port
  }
  const found = ports.find(({ name, port }) => port === wanted || name === wanted)
  if (found === undefined)
    throw new GatewayError('CONFIG_INVALID', `${ANNOTATION_PREFIX}port: it has no port ${wanted}; there are ${known}`)
  return found.port
}

const isAsked = (annotations: Readonly<Record<string, string>>): boolean =>
  annotations[MYSOCKET_ANNOTATION] === 'true' ||
  (Object.keys(annotations).some(name => name.startsWith(ANNOTATION_PREFIX)) && annotations[`${ANNOTATION_PREFIX}expose`] !== 'false')

/** Findings, each with the key of its object. */
export interface ServiceFindings extends Findings {
  /** By name: `namespace/name`. */
  readonly keys: ReadonlyMap<string, string>
}

/** The Services that ask for publication by an annotation. */
export function readServices(services: Iterable<KubeService>, domain: string | undefined): ServiceFindings {
  const found: FoundService[] = []
  const refused: RefusedService[] = []
  const keys = new Map<string, string>()
  for (const service of services) {
    const { deletionTimestamp } = service.metadata
    const annotations = service.metadata.annotations ?? {}
    if (!isAsked(annotations) || deletionTimestamp !== undefined) continue
    const name = nameOf(service)
    keys.set(name, keyOf(service))
    try {
      if (service.spec?.type === 'ExternalName')
        throw new GatewayError('CONFIG_INVALID', 'is of type ExternalName, which leads out of the cluster; write a target for it')
      const { host, port, type, policy, access } = readWishes(annotations, ANNOTATION_PREFIX)
      found.push({ name, host, type, policy, access, origin: { host: hostOf(service, domain), port: portOf(service, port) } })
    } catch (error) {
      refused.push({ name, reason: messageOf(error) })
    }
  }
  return { found, refused, keys }
}
