import type { CertificateBook } from '../certificates/certificate-book.ts'
import type { Informer } from '../informer.ts'
import type { Informers } from '../informers.ts'
import type { KubeService } from '../objects.ts'
import { collection } from '../service-source.ts'
import { GATEWAY_GROUP, type Gateway, type GatewayClass, type HttpRoute, type Namespace, type ReferenceGrant } from './objects.ts'
import { readGateways, type GatewayFindings, type GatewayObjects, type GatewayReaderOptions } from './read-gateways.ts'

/** The part of a cluster that counts. */
export interface GatewaySourceOptions extends Omit<GatewayReaderOptions, 'book'> {
  /** undefined: all namespaces. */
  readonly namespace: string | undefined
}

const V1 = `/apis/${GATEWAY_GROUP}/v1`
/** Served by all versions of the Gateway API, unlike v1 of it. */
const GRANTS = `/apis/${GATEWAY_GROUP}/v1beta1`

/** The objects of the Gateway API in a cluster, followed. */
export class GatewaySource {
  readonly #classes: Informer<GatewayClass>
  readonly #gateways: Informer<Gateway>
  readonly #routes: Informer<HttpRoute>
  readonly #grants: Informer<ReferenceGrant>
  readonly #namespaces: Informer<Namespace>

  /** @param services  those of the cluster, followed elsewhere */
  constructor(
    informers: Informers,
    private readonly services: () => ReadonlyMap<string, KubeService>,
    private readonly options: GatewaySourceOptions,
  ) {
    const { namespace } = options
    this.#classes = informers.of(`${V1}/gatewayclasses`)
    this.#gateways = informers.of(collection(V1, namespace, 'gateways'))
    this.#routes = informers.of(collection(V1, namespace, 'httproutes'))
    this.#grants = informers.of(collection(GRANTS, namespace, 'referencegrants'))
    this.#namespaces = informers.of('/api/v1/namespaces')
  }

  get objects(): GatewayObjects {
    return {
      classes: this.#classes.objects,
      gateways: this.#gateways.objects,
      routes: this.#routes.objects,
      grants: this.#grants.objects,
      namespaces: this.#namespaces.objects,
      services: this.services(),
    }
  }

  /** @param book  takes the certificates that listeners have; undefined: Secrets are not read */
  read(book: CertificateBook | undefined): GatewayFindings {
    return readGateways(this.objects, { ...this.options, book })
  }
}
