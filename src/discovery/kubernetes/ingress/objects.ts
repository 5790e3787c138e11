/** Objects of networking.k8s.io/v1, as far as they are read. https://kubernetes.io/docs/concepts/services-networking/ingress/ */
import type { KubeObject } from '../objects.ts'

export interface IngressClass extends KubeObject {
  readonly spec?: { readonly controller?: string; readonly parameters?: unknown }
}

export interface IngressBackend {
  readonly service?: { readonly name: string; readonly port?: { readonly name?: string; readonly number?: number } }
  readonly resource?: unknown
}

export interface IngressPath {
  readonly path?: string
  readonly pathType?: string
  readonly backend: IngressBackend
}

/** An address in the status. */
export interface IngressAddress {
  readonly ip?: string
  readonly hostname?: string
}

export interface Ingress extends KubeObject {
  readonly spec?: {
    readonly ingressClassName?: string
    readonly defaultBackend?: IngressBackend
    readonly rules?: readonly { readonly host?: string; readonly http?: { readonly paths?: readonly IngressPath[] } }[]
    readonly tls?: readonly { readonly hosts?: readonly string[]; readonly secretName?: string }[]
  }
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly IngressAddress[] } }
}

/** Group and version of the objects above. */
export const INGRESS_API = 'networking.k8s.io/v1'
