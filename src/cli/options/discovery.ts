/** Options of the commands that publish what is found. */
import { serviceOptions } from '../command/command.ts'
import { choice, duration, FILE, flag, listOf, optional, TEXT, withDefault } from '../command/option.ts'
import { clientOptions } from './client.ts'

const { json: _json, ...loginOptions } = clientOptions

/** Options of publication: as a target in a file, or as a socket of the service. */
const publicationOptions = {
  targets: optional(FILE, {
    describe:
      'Targets file to write, which an outer layer follows (its --targets); without it what is found becomes sockets of the service',
    defaultText: 'none',
  }),
  base: optional(FILE, {
    describe: 'With --targets: targets file whose content goes into it as well, and comes first',
    defaultText: 'none',
  }),
  identifier: listOf(TEXT, {
    describe: 'With --targets: identifier of the inner layers that serve what is found; repeatable',
    aliases: ['i'],
    fallback: [],
  }),
  'allow-host': listOf(TEXT, {
    describe: 'Public host that may be asked for, such as *.apps.example.com; repeatable; any when absent',
    fallback: [],
  }),
  'allow-issuer': listOf(TEXT, {
    describe:
      'With --targets: issuer of JWTs, or URL of its keys, that a label may name though it is not in the Internet; repeatable. The outer layer fetches keys there',
    fallback: [],
  }),
  keep: withDefault(duration(10_000, 30 * 86_400_000), 7 * 86_400_000, {
    describe: 'Without --targets: time for which a socket keeps its name when nothing serves it',
  }),
  insecure: flag('Allow a ws:// connection to another machine than this one'),
  ...loginOptions,
} as const

/** Options of `docker`. */
export const dockerOptions = {
  engine: withDefault(TEXT, 'unix:///var/run/docker.sock', {
    describe: 'Container engine (Docker, Podman): unix://PATH or tcp://HOST:PORT; only read from',
    variable: 'DOCKER_HOST',
  }),
  network: optional(TEXT, { describe: 'Network whose addresses count', defaultText: 'the only one of a container' }),
  by: withDefault(choice(['address', 'name'] as const), 'address', {
    describe: 'Reach a container by its address, or by its name, where this process or the inner layer is in the same network',
  }),
  ...publicationOptions,
  ...serviceOptions,
} as const

/** Headings of `docker --help`. */
export const dockerGroups = {
  'Where containers are': ['engine', 'network', 'by'],
  'What becomes of them': ['targets', 'base', 'identifier', 'allow-host', 'allow-issuer', 'keep'],
  'The service': ['server', 'api-token', 'ca', 'credentials', 'insecure'],
} as const

/** Options of `kubernetes`. */
export const kubernetesOptions = {
  'kubernetes-api': optional(TEXT, {
    describe: 'URL of the API server, such as http://127.0.0.1:8001 of "kubectl proxy"',
    defaultText: 'that of the cluster that this process runs in',
  }),
  'kubernetes-token-file': optional(FILE, { describe: 'File with the token for it', defaultText: 'that of the service account, in a pod' }),
  'kubernetes-ca': optional(FILE, {
    describe: 'File with the authorities of its certificate',
    defaultText: 'that of the cluster, in a pod',
  }),
  namespace: optional(TEXT, { describe: 'Only Services of this namespace', defaultText: 'those of all' }),
  'cluster-domain': optional(TEXT, {
    describe: 'Domain of names in the cluster, such as cluster.local',
    defaultText: 'none: NAME.NAMESPACE.svc',
  }),
  'gateway-controller': optional(TEXT, {
    describe:
      'With --targets: also follow the Gateway API, for the classes with this controllerName, such as socket-gateway/gateway-controller',
    defaultText: 'none: Services alone',
  }),
  'ingress-controller': optional(TEXT, {
    describe: 'With --targets: also follow Ingresses, of the classes with this controller, such as socket-gateway/ingress-controller',
    defaultText: 'none: no Ingresses',
  }),
  'gateway-address': listOf(TEXT, {
    describe: 'Address or name of the outer layers, which Gateways and Ingresses get into their status; repeatable',
    fallback: [],
  }),
  'certificate-folder': optional(FILE, {
    describe:
      'With --gateway-controller or --ingress-controller: folder that gets the certificates of Secrets, for --tls-certificate of the layer that ends TLS; Secrets are read for it',
    defaultText: 'none: certificates are those of the outer layer, and no Secret is read',
  }),
  lease: withDefault(TEXT, 'socket-gateway', { describe: 'Name of the Lease by which one of several such processes works' }),
  'lease-namespace': optional(TEXT, { describe: 'Namespace of it', defaultText: 'that of the pod, or default' }),
  ...publicationOptions,
  ...serviceOptions,
} as const

/** Headings of `kubernetes --help`. */
export const kubernetesGroups = {
  'The cluster': ['kubernetes-api', 'kubernetes-token-file', 'kubernetes-ca', 'namespace', 'cluster-domain', 'lease', 'lease-namespace'],
  'The Gateway API and Ingresses': ['gateway-controller', 'ingress-controller', 'gateway-address', 'certificate-folder'],
  'What becomes of Services': ['targets', 'base', 'identifier', 'allow-host', 'allow-issuer', 'keep'],
  'The service': ['server', 'api-token', 'ca', 'credentials', 'insecure'],
} as const
