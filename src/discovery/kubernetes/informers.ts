import { Informer } from './informer.ts'
import type { KubeClient } from './kube-client.ts'
import type { KubeObject } from './objects.ts'

/** Listeners of those who look after informers. */
export interface InformersOptions {
  readonly client: KubeClient
  readonly trouble: (error: unknown) => void
  readonly well: () => void
}

/** Objects of several kinds, followed together. */
export class Informers {
  readonly #all: Informer<KubeObject>[] = []
  #wake: () => void = () => undefined
  #isChanged = false

  constructor(private readonly options: InformersOptions) {}

  /** Those of a collection, once `changes` has been called. @param path  such as /api/v1/services @param selector  as of an `Informer` */
  of<Kind extends KubeObject>(path: string, selector?: string): Informer<Kind> {
    const { client, trouble, well } = this.options
    const informer = new Informer<Kind>(client, path, { changed: () => this.#changed(), trouble, well }, selector)
    this.#all.push(informer)
    return informer
  }

  /** Are all of them known? */
  get isKnown(): boolean {
    return this.#all.every(({ isKnown }) => isKnown)
  }

  /** Follows them until `signal` is aborted. Resolves when all are known. */
  async changes(signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    const running = Promise.all(this.#all.map(informer => informer.run(signal)))
    const changes = this.#changes(signal)
    while (!this.isKnown && !signal.aborted) await Promise.race([changes.next(), running])
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
