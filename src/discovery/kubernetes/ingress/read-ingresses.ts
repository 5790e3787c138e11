import { messageOf } from '../../../errors.ts'
import type { FoundHost } from '../../found.ts'
import type { CertificateBook } from '../certificates/certificate-book.ts'
import type { SecretPair } from '../certificates/secrets.ts'
import { onlyKnown, unsupported } from '../gateway/conditions.ts'
import { HostTables } from '../gateway/host-tables.ts'
import { byAge } from '../gateway/listeners.ts'
import { checkRoutes } from '../gateway/read-gateways.ts'
import { keyOf, type KubeService } from '../objects.ts'
import type { Ingress, IngressClass } from './objects.ts'
import { rulesOf } from './rules.ts'

/** All objects of a cluster that count, each by its key. */
export interface IngressObjects {
  readonly classes: ReadonlyMap<string, IngressClass>
  readonly ingresses: ReadonlyMap<string, Ingress>
  readonly services: ReadonlyMap<string, KubeService>
}

/** Their reader. */
export interface IngressReaderOptions {
  /** As `controller` of a class has it. */
  readonly controller: string
  readonly domain: string | undefined
  /** Certificates of Secrets; absent: they are not read. */
  readonly book?: CertificateBook | undefined
}

/** The outcome for one of ours. */
export interface IngressState {
  /** The reason why nothing of it is served; undefined: it is. */
  readonly fault: string | undefined
  readonly hosts: readonly string[]
  /** Backends that lead nowhere, each in words. */
  readonly unresolved: readonly string[]
}

/** The hosts of Ingresses, and the states of those of our classes. */
export interface IngressFindings {
  readonly hosts: readonly FoundHost[]
  /** By key: those of our classes alone. */
  readonly states: ReadonlyMap<string, IngressState>
  /** Keys of the Ingresses of which something is in a host, by the name of the host as it was found. */
  readonly owners: ReadonlyMap<string, ReadonlySet<string>>
}

const DEFAULT_CLASS = 'ingressclass.kubernetes.io/is-default-class'
/** As it was before there were classes; still read by everybody. */
const CLASS_ANNOTATION = 'kubernetes.io/ingress.class'
const OWN_ANNOTATIONS = 'socket-gateway/'

const foundName = (host: string): string => `k8s ingress ${host}`

/** Names of our classes, and whether one of them is for Ingresses that name none. */
function ownClasses(
  classes: Iterable<IngressClass>,
  controller: string,
): { readonly names: ReadonlySet<string>; readonly isDefault: boolean } {
  const own = [...classes].filter(({ spec }) => spec?.controller === controller && spec.parameters === undefined)
  const isDefault = own.some(({ metadata: { annotations = {} } }) => annotations[DEFAULT_CLASS] === 'true')
  return { names: new Set(own.map(({ metadata }) => metadata.name)), isDefault }
}

/** Certificates that it asks for. @throws NotDone, GatewayError KEY_INVALID */
function certificatesOf({ metadata: { namespace = '' }, spec = {} }: Ingress, book: CertificateBook | undefined): readonly SecretPair[] {
  return (spec.tls ?? []).flatMap(({ hosts = [], secretName = '' }) => {
    if (secretName === '') return []
    if (book === undefined)
      throw unsupported(
        `tls.secretName ${secretName}: certificates are those of the outer layer (--tls-certificate, --acme): leave secretName out, or give --certificate-folder to the controller`,
      )
    const pair = book.find(namespace, secretName)
    const other = hosts.find(host => !pair.covers(host.toLowerCase().replace(/^\*/, 'any')))
    if (other !== undefined) throw unsupported(`tls.hosts: the certificate of the Secret ${namespace}/${secretName} is not for ${other}`)
    return [pair]
  })
}

/** Reads all of it anew. Whoever is older has what two ask for; nothing of one that asks for something else than targets can have is served. */
export function readIngresses(
  { classes, ingresses, services }: IngressObjects,
  { controller, domain, book }: IngressReaderOptions,
): IngressFindings {
  const { names, isDefault } = ownClasses(classes.values(), controller)
  const isOurs = ({ metadata: { annotations = {}, deletionTimestamp }, spec }: Ingress): boolean => {
    const name = spec?.ingressClassName ?? annotations[CLASS_ANNOTATION]
    return deletionTimestamp === undefined && (name === undefined ? isDefault : names.has(name))
  }
  const tables = new HostTables()
  const states = new Map<string, IngressState>()
  for (const ingress of [...ingresses.values()].filter(isOurs).sort(byAge)) {
    const key = keyOf(ingress)
    const { namespace = '', annotations = {} } = ingress.metadata
    try {
      const annotation = Object.keys(annotations).find(each => each.startsWith(OWN_ANNOTATIONS))
      if (annotation !== undefined) throw unsupported(`the annotation ${annotation} is for Services, and would be without effect here`)
      onlyKnown(ingress.spec ?? {}, ['ingressClassName', 'defaultBackend', 'rules', 'tls'], 'spec')
      const { hosts, unresolved } = rulesOf(ingress, { namespace, services, domain })
      const certificates = certificatesOf(ingress, book)
      const puts = [...hosts].map(([host, pieces]) => {
        checkRoutes(host, tables.routesOf(pieces))
        return tables.prepare(host, key, pieces)
      })
      for (const put of puts) put()
      book?.hold(certificates)
      states.set(key, { fault: undefined, hosts: [...hosts.keys()], unresolved })
    } catch (error) {
      states.set(key, { fault: messageOf(error), hosts: [], unresolved: [] })
    }
  }
  return {
    hosts: [...tables.all].map(([host, { routes }]) => ({ name: foundName(host), host, target: { routes } })),
    states,
    owners: new Map([...tables.all].map(([host, { owners }]) => [foundName(host), owners])),
  }
}
