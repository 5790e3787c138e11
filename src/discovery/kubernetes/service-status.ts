import { isConflict, isNotFound, type KubeClient } from './kube-client.ts'
import type { KubeService } from './objects.ts'
import { postEvent, type ObjectEvent } from './object-event.ts'
import { URL_ANNOTATION } from './read-services.ts'

/** Writes back what has become of Services: an annotation with the public URL, and events that `kubectl describe` shows. */
export class ServiceStatus {
  #writing = Promise.resolve()

  /** @param now  milliseconds since 1970 */
  constructor(
    private readonly client: KubeClient,
    private readonly trouble: (error: unknown) => void,
    private readonly now: () => number,
  ) {}

  published(service: KubeService, url: string): void {
    this.#soon(async () => {
      await this.#annotate(service, url)
      await this.#event(service, { type: 'Normal', reason: 'Published', message: `published as ${url}` })
    })
  }

  /** It is not asked for any more. */
  withdrawn(service: KubeService): void {
    this.#soon(() => this.#annotate(service, null))
  }

  refused(service: KubeService, message: string): void {
    this.#soon(() => this.#event(service, { type: 'Warning', reason: 'NotPublished', message }))
  }

  /** Resolves when all of it has been written, or could not be. */
  flushed(): Promise<void> {
    return this.#writing
  }

  /** One after the other: what was said last counts. */
  #soon(write: () => Promise<void>): void {
    this.#writing = this.#writing.then(write).catch((error: unknown) => {
      if (!isNotFound(error) && !isConflict(error)) this.trouble(error)
    })
  }

  async #annotate({ metadata: { namespace = 'default', name } }: KubeService, url: string | null): Promise<void> {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`
    const body = { metadata: { annotations: { [URL_ANNOTATION]: url } } }
    await this.client.call(path, { method: 'PATCH', body, signal: new AbortController().signal })
  }

  #event(service: KubeService, event: ObjectEvent): Promise<void> {
    return postEvent(this.client, { apiVersion: 'v1', kind: 'Service' }, service, { ...event, atMs: this.now() })
  }
}
