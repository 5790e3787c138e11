import { CertificateBook } from '../../discovery/kubernetes/certificates/certificate-book.ts'
import { CertificateFolder } from '../../discovery/kubernetes/certificates/certificate-folder.ts'
import { TLS_SECRETS, type Secret } from '../../discovery/kubernetes/certificates/secrets.ts'
import { GatewaySource } from '../../discovery/kubernetes/gateway/gateway-source.ts'
import { GatewayStatus } from '../../discovery/kubernetes/gateway/gateway-status.ts'
import type { GatewayFindings } from '../../discovery/kubernetes/gateway/read-gateways.ts'
import type { Informer } from '../../discovery/kubernetes/informer.ts'
import type { Informers, InformersOptions } from '../../discovery/kubernetes/informers.ts'
import type { KubeService } from '../../discovery/kubernetes/objects.ts'
import { collection, ServiceSource } from '../../discovery/kubernetes/service-source.ts'
import type { ServiceStatus } from '../../discovery/kubernetes/service-status.ts'
import type { Source } from '../../discovery/watcher.ts'
import type { ValuesOf } from '../command/option.ts'
import type { kubernetesOptions } from '../options/discovery.ts'
import type { PublishHooks } from './publish.ts'

/** The follower of a cluster, and the reason to stop. */
export interface LeadOptions extends InformersOptions {
  readonly values: Pick<
    ValuesOf<typeof kubernetesOptions>,
    'allow-host' | 'certificate-folder' | 'cluster-domain' | 'gateway-address' | 'gateway-controller' | 'namespace'
  >
  readonly status: ServiceStatus
  /** Is the whole process about to end? */
  readonly isEnding: () => boolean
}

/** The hosts to publish, and whoever is told what became of them. */
export interface Lead {
  readonly source: Source
  readonly hooks: PublishHooks
  /** Resolves when what has been said is written. */
  readonly close: () => Promise<void>
}

type ServiceHooks = Required<Pick<PublishHooks, 'changed' | 'refused'>>

/** Writes back what becomes of Services. */
function serviceHooks(source: ServiceSource, { status, isEnding }: LeadOptions): ServiceHooks {
  const published = new Map<string, string>()
  const objectOf = (name: string): KubeService | undefined => {
    const key = source.keyOf(name)
    return key === undefined ? undefined : source.objectOf(key)
  }
  return {
    changed: (name, socket) => {
      const service = objectOf(name)
      if (socket === undefined) {
        const object = service ?? source.objectOf(published.get(name) ?? '')
        published.delete(name)
        // A controller that ends leaves what it said: the next one takes over.
        if (object !== undefined && service === undefined && !isEnding()) status.withdrawn(object)
      } else if (service !== undefined) {
        published.set(name, source.keyOf(name) ?? '')
        status.published(service, socket.url)
      }
    },
    refused: ({ name, reason }) => {
      const service = objectOf(name)
      if (service !== undefined) status.refused(service, reason)
    },
  }
}

/** Certificates of Secrets, followed, and the folder that gets them. */
class Certificates {
  readonly #secrets: Informer<Secret>
  readonly #folder: CertificateFolder

  constructor(
    informers: Informers,
    private readonly options: { readonly folder: string; readonly namespace: string | undefined; readonly allowed: readonly string[] },
  ) {
    this.#secrets = informers.of<Secret>(collection('/api/v1', options.namespace, 'secrets'), TLS_SECRETS)
    this.#folder = new CertificateFolder(options.folder)
  }

  /** For one look at all that is there. */
  book(): CertificateBook {
    return new CertificateBook({ secrets: this.#secrets.objects, allowed: this.options.allowed })
  }

  write({ held }: CertificateBook): Promise<void> {
    return this.#folder.write(held)
  }
}

/** Begins to follow a cluster, for as long as a Lease is held. */
export function createLead(options: LeadOptions): Lead {
  const { values, client, trouble } = options
  const { namespace, 'cluster-domain': domain, 'gateway-controller': controller, 'gateway-address': addresses } = values
  const { 'certificate-folder': folder, 'allow-host': allowed } = values
  const services = new ServiceSource({ namespace, domain }, options)
  const hooks = serviceHooks(services, options)
  if (controller === undefined) return { source: services, hooks, close: () => Promise.resolve() }
  const gateways = new GatewaySource(services.informers, () => services.objects, { controller, addresses, namespace, domain })
  const certificates = folder === undefined ? undefined : new Certificates(services.informers, { folder, namespace, allowed })
  const status = new GatewayStatus(client, controller, trouble, Date.now)
  let last: GatewayFindings | undefined
  const source: Source = {
    list: async () => {
      const findings = await services.list()
      const book = certificates?.book()
      last = gateways.read(book)
      // Before the hosts: the first request for one gets its own certificate.
      if (book !== undefined) await certificates?.write(book)
      return { ...findings, hosts: last.hosts }
    },
    changes: signal => services.changes(signal),
  }
  const applied: PublishHooks['applied'] = refused => {
    if (last !== undefined) status.apply({ objects: gateways.objects, findings: last, refused })
  }
  return { source, hooks: { ...hooks, applied }, close: () => status.close() }
}
