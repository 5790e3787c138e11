import type { FoundHost, RefusedService } from '../../discovery/found.ts'
import { CertificateBook } from '../../discovery/kubernetes/certificates/certificate-book.ts'
import { CertificateFolder } from '../../discovery/kubernetes/certificates/certificate-folder.ts'
import { TLS_SECRETS, type Secret } from '../../discovery/kubernetes/certificates/secrets.ts'
import { GatewaySource } from '../../discovery/kubernetes/gateway/gateway-source.ts'
import { GatewayStatus } from '../../discovery/kubernetes/gateway/gateway-status.ts'
import type { GatewayFindings } from '../../discovery/kubernetes/gateway/read-gateways.ts'
import type { Informer } from '../../discovery/kubernetes/informer.ts'
import type { Informers, InformersOptions } from '../../discovery/kubernetes/informers.ts'
import { IngressSource } from '../../discovery/kubernetes/ingress/ingress-source.ts'
import { IngressStatus } from '../../discovery/kubernetes/ingress/ingress-status.ts'
import type { IngressFindings } from '../../discovery/kubernetes/ingress/read-ingresses.ts'
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
    'allow-host' | 'certificate-folder' | 'cluster-domain' | 'gateway-address' | 'gateway-controller' | 'ingress-controller' | 'namespace'
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

/** A kind of routes that become hosts. */
interface Part {
  /** @param book  takes the certificates that they have */
  read(book: CertificateBook | undefined): readonly FoundHost[]
  /** Says what became of them. */
  applied(refused: readonly RefusedService[]): void
  close(): Promise<void>
}

/** Begins to follow those that the options ask for. */
function* partsOf(options: LeadOptions, services: ServiceSource): Generator<Part> {
  const { values, client, trouble } = options
  const { namespace, 'cluster-domain': domain, 'gateway-address': addresses } = values
  const all = (): ReadonlyMap<string, KubeService> => services.objects
  const gateway = values['gateway-controller']
  if (gateway !== undefined) {
    const source = new GatewaySource(services.informers, all, { controller: gateway, addresses, namespace, domain })
    const status = new GatewayStatus(client, gateway, trouble, Date.now)
    let last: GatewayFindings | undefined
    yield {
      read: book => (last = source.read(book)).hosts,
      applied: refused => last && status.apply({ objects: source.objects, findings: last, refused }),
      close: () => status.close(),
    }
  }
  const ingress = values['ingress-controller']
  if (ingress !== undefined) {
    const source = new IngressSource(services.informers, all, { controller: ingress, namespace, domain })
    const status = new IngressStatus({ client, addresses, trouble, now: Date.now })
    let last: IngressFindings | undefined
    yield {
      read: book => (last = source.read(book)).hosts,
      applied: refused => last && status.apply({ objects: source.objects, findings: last, refused }),
      close: () => status.close(),
    }
  }
}

/** Begins to follow a cluster, for as long as a Lease is held. */
export function createLead(options: LeadOptions): Lead {
  const { values } = options
  const { namespace, 'cluster-domain': domain, 'certificate-folder': folder, 'allow-host': allowed } = values
  const services = new ServiceSource({ namespace, domain }, options)
  const hooks = serviceHooks(services, options)
  const parts = [...partsOf(options, services)]
  if (parts.length === 0) return { source: services, hooks, close: () => Promise.resolve() }
  const certificates = folder === undefined ? undefined : new Certificates(services.informers, { folder, namespace, allowed })
  const source: Source = {
    list: async () => {
      const findings = await services.list()
      const book = certificates?.book()
      const hosts = parts.flatMap(part => part.read(book))
      // Before the hosts: the first request for one gets its own certificate.
      if (book !== undefined) await certificates?.write(book)
      return { ...findings, hosts }
    },
    changes: signal => services.changes(signal),
  }
  const applied: PublishHooks['applied'] = refused => {
    for (const part of parts) part.applied(refused)
  }
  const close = async (): Promise<void> => {
    await Promise.all(parts.map(part => part.close()))
  }
  return { source, hooks: { ...hooks, applied }, close }
}
