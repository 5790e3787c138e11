import type { Source } from '../watcher.ts'
import { Informer } from './informer.ts'
import type { KubeClient } from './kube-client.ts'
import type { KubeService } from './objects.ts'
import { readServices, type ServiceFindings } from './read-services.ts'

/** The Services that count. */
export interface ServiceSourceOptions {
  readonly client: KubeClient
  /** undefined: those of all namespaces. */
  readonly namespace: string | undefined
  readonly domain: string | undefined
  readonly trouble: (error: unknown) => void
  readonly well: () => void
}

/** The Services of a cluster that ask for publication, followed. */
export class ServiceSource implements Source {
  readonly #informer: Informer<KubeService>
  #findings: ServiceFindings = { found: [], refused: [], keys: new Map() }
  #wake: () => void = () => undefined
  #isChanged = false

  constructor(private readonly options: ServiceSourceOptions) {
    const { client, namespace, trouble, well } = options
    const path = namespace === undefined ? '/api/v1/services' : `/api/v1/namespaces/${encodeURIComponent(namespace)}/services`
    this.#informer = new Informer<KubeService>(client, path, { changed: () => this.#changed(), trouble, well })
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
  async changes(signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    const running = this.#informer.run(signal)
    const changes = this.#changes(signal)
    if (!this.#informer.isKnown) await Promise.race([changes.next(), running])
    return changes
  }

  async *#changes(signal: AbortSignal): AsyncGenerator<undefined, void, undefined> {
    signal.addEventListener('abort', () => this.#wake())
    while (!signal.aborted) {
      if (!this.#isChanged) await new Promise<void>(resolve => (this.#wake = resolve))
      this.#isChanged = false
      if (!signal.aborted) yield undefined
    }
  }

  #changed(): void {
    this.#isChanged = true
    this.#wake()
  }
}
