import type { CertificateBook } from '../certificates/certificate-book.ts'
import type { Informer } from '../informer.ts'
import type { Informers } from '../informers.ts'
import type { KubeService } from '../objects.ts'
import { collection } from '../service-source.ts'
import { INGRESS_API, type Ingress, type IngressClass } from './objects.ts'
import { readIngresses, type IngressFindings, type IngressObjects, type IngressReaderOptions } from './read-ingresses.ts'

/** The part of a cluster that counts. */
export interface IngressSourceOptions extends Omit<IngressReaderOptions, 'book'> {
  /** undefined: all namespaces. */
  readonly namespace: string | undefined
}

/** The Ingresses of a cluster and their classes, followed. */
export class IngressSource {
  readonly #classes: Informer<IngressClass>
  readonly #ingresses: Informer<Ingress>

  /** @param services  those of the cluster, followed elsewhere */
  constructor(
    informers: Informers,
    private readonly services: () => ReadonlyMap<string, KubeService>,
    private readonly options: IngressSourceOptions,
  ) {
    this.#classes = informers.of(`/apis/${INGRESS_API}/ingressclasses`)
    this.#ingresses = informers.of(collection(`/apis/${INGRESS_API}`, options.namespace, 'ingresses'))
  }

  get objects(): IngressObjects {
    return { classes: this.#classes.objects, ingresses: this.#ingresses.objects, services: this.services() }
  }

  /** @param book  takes the certificates that they have; undefined: Secrets are not read */
  read(book: CertificateBook | undefined): IngressFindings {
    return readIngresses(this.objects, { ...this.options, book })
  }
}
