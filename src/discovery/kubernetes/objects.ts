/** Objects of Kubernetes, as far as they are read. https://kubernetes.io/docs/reference/kubernetes-api/ */

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  /** Rises with each change of the spec. */
  readonly generation?: number
  /** RFC 3339. */
  readonly creationTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly deletionTimestamp?: string
}

export interface KubeObject {
  readonly metadata: ObjectMeta
}

export interface ServicePort {
  readonly name?: string
  readonly port: number
  readonly protocol?: string
  readonly appProtocol?: string
}

export interface KubeService extends KubeObject {
  readonly spec?: {
    readonly clusterIP?: string
    readonly type?: string
    readonly externalName?: string
    readonly ports?: readonly ServicePort[]
  }
}

/** `namespace/name`. */
export const keyOf = ({ metadata: { namespace = '', name } }: KubeObject): string => `${namespace}/${name}`

/** Is it an object, with a name? Whatever else an API server sends is passed over. */
export const isObject = (value: unknown): value is KubeObject => {
  const metadata = (value as KubeObject | null)?.metadata as Partial<ObjectMeta> | null | undefined
  return typeof metadata === 'object' && metadata !== null && typeof metadata.name === 'string'
}

/** The name inside the cluster, which stays whatever its address is. @param domain  of the cluster, such as cluster.local; undefined: without it */
export const hostOf = ({ metadata: { namespace = 'default', name } }: KubeService, domain: string | undefined): string =>
  `${name}.${namespace}.svc${domain === undefined ? '' : `.${domain}`}`

/** Is an address of an outer layer one of IP, and no name? */
export const isIp = (value: string): boolean => value.includes(':') || /^[0-9.]+$/.test(value)
