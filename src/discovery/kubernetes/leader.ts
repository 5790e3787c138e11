import { setTimeout as wait } from 'node:timers/promises'
import { isConflict, isNotFound, type KubeClient } from './kube-client.ts'
import type { ObjectMeta } from './objects.ts'

/** Of several controllers the one that works. https://kubernetes.io/docs/concepts/architecture/leases/ */
export interface LeaderOptions {
  readonly client: KubeClient
  readonly namespace: string
  /** Of the Lease. */
  readonly name: string
  /** The name of the holder: another one for each process. */
  readonly identity: string
  /** Milliseconds since 1970, for what is written into the Lease. */
  readonly now: () => number
  /** Milliseconds, rising: whether a Lease has run out is judged by how long this process has seen it unchanged, not by the clocks of others. */
  readonly clock: () => number
  readonly leaseMs?: number
}

interface Lease {
  readonly metadata: ObjectMeta
  readonly spec?: {
    readonly holderIdentity?: string
    readonly renewTime?: string
    readonly leaseDurationSeconds?: number
    readonly leaseTransitions?: number
  }
}

const LEASE_MS = 15_000
/** Renewed after this part of it, and given up after that one. */
const RENEW_PART = 1 / 3
const GIVE_UP_PART = 2 / 3

/** Holds a Lease, or waits for it. */
export class Leader {
  #seen = ''
  #seenAtMs = -Infinity
  #renewedAtMs = -Infinity
  #isHeld = false

  constructor(private readonly options: LeaderOptions) {}

  /** Calls `lead` while it holds the Lease, with a signal that says that it does not any more, until `signal` is aborted; then gives it back. */
  async run(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal, trouble: (error: unknown) => void): Promise<void> {
    const { leaseMs = LEASE_MS, clock } = this.options
    let leading: { readonly stop: AbortController; readonly done: Promise<void> } | undefined
    const step = async (): Promise<void> => {
      try {
        if (await this.#take(signal)) this.#renewedAtMs = clock()
        else this.#isHeld = false
      } catch (error) {
        if (signal.aborted) return
        trouble(error)
      }
      // An API server that is away lets nobody take the Lease, but another process may have it by the time it is back.
      if (this.#isHeld && clock() - this.#renewedAtMs > leaseMs * GIVE_UP_PART) this.#isHeld = false
    }
    while (!signal.aborted) {
      await step()
      if (this.#isHeld && leading === undefined) {
        const stop = new AbortController()
        // One that fails is begun anew in the next round: the Lease is held, and nobody else would publish.
        const over = (): void => void (leading = undefined)
        leading = { stop, done: lead(stop.signal).catch(trouble).then(over) }
      } else if (!this.#isHeld && leading !== undefined) {
        leading.stop.abort()
        await leading.done
      }
      await wait(leaseMs * RENEW_PART, undefined, { signal }).catch(() => undefined)
    }
    leading?.stop.abort()
    await leading?.done
    if (this.#isHeld) await this.#giveBack().catch(() => undefined)
  }

  get #path(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(this.options.namespace)}/leases`
  }

  #spec(transitions: number): object {
    const { identity, now, leaseMs = LEASE_MS } = this.options
    const renewTime = new Date(now()).toISOString().replace('Z', '000Z')
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      renewTime,
      acquireTime: renewTime,
      leaseTransitions: transitions,
    }
  }

  /** @returns whether this process holds it now */
  async #take(ended: AbortSignal): Promise<boolean> {
    const { client, name, namespace, identity, clock, leaseMs = LEASE_MS } = this.options
    // One who waits longer for an answer holds a Lease in its own eyes that has run out in those of others.
    const signal = AbortSignal.any([ended, AbortSignal.timeout(Math.floor(leaseMs * RENEW_PART))])
    try {
      const lease = (await client.call(`${this.#path}/${encodeURIComponent(name)}`, { signal })) as Lease
      const { holderIdentity = '', renewTime = '', leaseTransitions = 0 } = lease.spec ?? {}
      const seen = `${holderIdentity} ${renewTime}`
      if (seen !== this.#seen) {
        this.#seen = seen
        this.#seenAtMs = clock()
      }
      const isFree = holderIdentity === '' || clock() - this.#seenAtMs > leaseMs
      if (holderIdentity !== identity && !isFree) return (this.#isHeld = false)
      const spec = this.#spec(holderIdentity === identity ? leaseTransitions : leaseTransitions + 1)
      // The resource version goes along: of two that want it one gets a conflict.
      await client.call(`${this.#path}/${encodeURIComponent(name)}`, { method: 'PUT', body: { ...lease, spec }, signal })
    } catch (error) {
      if (isConflict(error)) return (this.#isHeld = false)
      if (!isNotFound(error)) throw error
      const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec: this.#spec(0) }
      try {
        await client.call(this.#path, { method: 'POST', body, signal })
      } catch (cause) {
        if (isConflict(cause)) return (this.#isHeld = false)
        throw cause
      }
    }
    return (this.#isHeld = true)
  }

  /** So that the next one need not wait for it to run out. */
  async #giveBack(): Promise<void> {
    const { client, name, identity } = this.options
    const signal = AbortSignal.timeout(2_000)
    const lease = (await client.call(`${this.#path}/${encodeURIComponent(name)}`, { signal })) as Lease
    if (lease.spec?.holderIdentity !== identity) return
    await client.call(`${this.#path}/${encodeURIComponent(name)}`, {
      method: 'PUT',
      body: { ...lease, spec: { ...lease.spec, holderIdentity: '' } },
      signal,
    })
  }
}
