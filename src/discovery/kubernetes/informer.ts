import { setTimeout as wait } from 'node:timers/promises'
import { GatewayError } from '../../errors.ts'
import { isGone, type KubeClient } from './kube-client.ts'
import { isObject, keyOf, type KubeObject } from './objects.ts'

/** Those who want to know. */
export interface InformerHandlers {
  /** Something has changed, or all of it is known for the first time. */
  readonly changed: () => void
  readonly trouble: (error: unknown) => void
  /** It works again. */
  readonly well: () => void
}

const PAGE = 500
/** The server ends a watch by itself after so long, seconds; it goes on from there. */
const WATCH_S = 300
/** Then it is over here as well: a connection may have been lost without a word. */
const LONGEST_WATCH_MS = (WATCH_S + 60) * 1_000
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000

interface ObjectList {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string }
  readonly items?: readonly unknown[]
}

/**
 * All objects of one kind, as the API server has them: a list, then a watch from its version on. A watch that ends goes on at the version that was
 * seen last, bookmarks included; one whose version is too old (410) begins with a list.
 */
export class Informer<Kind extends KubeObject> {
  #objects = new Map<string, Kind>()
  #version: string | undefined
  #isKnown = false

  /**
   * @param path  of the collection, such as /api/v1/services
   * @param selector  query for some of them, such as fieldSelector=…; empty: all
   */
  constructor(
    private readonly client: KubeClient,
    private readonly path: string,
    private readonly handlers: InformerHandlers,
    private readonly selector = '',
  ) {}

  /** Empty until the first list has come. */
  get objects(): ReadonlyMap<string, Kind> {
    return this.#objects
  }

  get isKnown(): boolean {
    return this.#isKnown
  }

  get #selected(): string {
    return this.selector === '' ? '' : `${this.selector}&`
  }

  /** Follows them until `signal` is aborted; what it has stays while the server is away. */
  async run(signal: AbortSignal): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list(signal)
        this.handlers.well()
        const hasMoved = await this.#watch(signal)
        if (hasMoved) pauseMs = FIRST_PAUSE_MS
      } catch (error) {
        if (signal.aborted) return
        if (isGone(error)) this.#version = undefined
        else this.handlers.trouble(error)
      }
      await wait(pauseMs, undefined, { signal }).catch(() => undefined)
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const objects = new Map<string, Kind>()
    let next = ''
    do {
      const query = `${this.#selected}limit=${PAGE}${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`
      const page = (await this.client.call(`${this.path}?${query}`, { signal })) as ObjectList | undefined
      if (!Array.isArray(page?.items))
        throw new GatewayError('SERVICE_UNREACHABLE', `${this.path} was answered without a list; is this the API server?`)
      for (const item of page.items) if (isObject(item)) objects.set(keyOf(item), item as Kind)
      next = page.metadata?.continue ?? ''
      this.#version = page.metadata?.resourceVersion
    } while (next !== '')
    this.#objects = objects
    this.#isKnown = true
    this.handlers.changed()
  }

  /** @returns whether anything came */
  async #watch(signal: AbortSignal): Promise<boolean> {
    const query = `${this.#selected}watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_S}&resourceVersion=${encodeURIComponent(this.#version ?? '')}`
    let hasMoved = false
    const within = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_WATCH_MS)])
    for await (const { type, object } of this.client.watch(`${this.path}?${query}`, within)) {
      hasMoved = true
      if (type === 'ERROR') {
        const { code, message } = (object ?? {}) as { readonly code?: unknown; readonly message?: unknown }
        // Too old, or whatever else: a list says how things are.
        this.#version = undefined
        if (code === 410) return hasMoved
        throw new GatewayError('SERVICE_UNREACHABLE', `the watch of ${this.path} failed: ${String(message).slice(0, 500)}`)
      }
      if (!isObject(object) && type !== 'BOOKMARK') continue
      const { resourceVersion } = (object as KubeObject).metadata
      if (resourceVersion !== undefined) this.#version = resourceVersion
      if (type === 'BOOKMARK') continue
      if (type === 'DELETED') this.#objects.delete(keyOf(object as Kind))
      else this.#objects.set(keyOf(object as Kind), object as Kind)
      this.handlers.changed()
    }
    return hasMoved
  }
}
