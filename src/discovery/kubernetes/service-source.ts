import type { Source } from '../watcher.ts'
import { type Informer } from './informer.ts'
import { Informers, type InformersOptions } from './informers.ts'
import type { KubeService } from './objects.ts'
import { readServices, type ServiceFindings } from './read-services.ts'

/** The Services that count. */
export interface ServiceSourceOptions {
  /** undefined: those of all namespaces. */
  readonly namespace: string | undefined
  readonly domain: string | undefined
}

/** Path of a collection of one namespace, or of all. @param group  such as /api/v1 */
export const collection = (group: string, namespace: string | undefined, kind: string): string =>
  namespace === undefined ? `${group}/${kind}` : `${group}/namespaces/${encodeURIComponent(namespace)}/${kind}`

/** The Services of a cluster that ask for publication, followed. */
export class ServiceSource implements Source {
  readonly informers: Informers
  readonly #informer: Informer<KubeService>
  #findings: ServiceFindings = { found: [], refused: [], keys: new Map() }

  constructor(
    private readonly options: ServiceSourceOptions,
    informers: InformersOptions,
  ) {
    this.informers = new Informers(informers)
    this.#informer = this.informers.of<KubeService>(collection('/api/v1', options.namespace, 'services'))
  }

  /** All of them, by `namespace/name`. */
  get objects(): ReadonlyMap<string, KubeService> {
    return this.#informer.objects
  }

  /** The object of what was found by this name at last. */
  keyOf(name: string): string | undefined {
    return this.#findings.keys.get(name)
  }

  objectOf(key: string): KubeService | undefined {
    return this.#informer.objects.get(key)
  }

  list(): Promise<ServiceFindings> {
    this.#findings = readServices(this.#informer.objects.values(), this.options.domain)
    return Promise.resolve(this.#findings)
  }

  /** Resolves when all of them are known. */
  changes(signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    return this.informers.changes(signal)
  }
}
