import type { KubeClient } from './kube-client.ts'
import type { KubeObject } from './objects.ts'

/** Something to be said about an object, as `kubectl describe` shows it. */
export interface ObjectEvent {
  readonly type: 'Normal' | 'Warning'
  /** CamelCase. */
  readonly reason: string
  readonly message: string
}

const MAX_MESSAGE = 1_000

/** Writes an event about an object. @param kind  its version and kind @param atMs  milliseconds since 1970 @throws KubeError, GatewayError SERVICE_UNREACHABLE */
export async function postEvent(
  client: KubeClient,
  kind: { readonly apiVersion: string; readonly kind: string },
  { metadata: { namespace = 'default', name, uid = '' } }: KubeObject,
  { atMs, ...event }: ObjectEvent & { readonly atMs: number },
): Promise<void> {
  const at = new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
  const body = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: `${name.slice(0, 50)}.`, namespace },
    involvedObject: { ...kind, namespace, name, uid },
    source: { component: 'socket-gateway' },
    firstTimestamp: at,
    lastTimestamp: at,
    count: 1,
    ...event,
    message: event.message.slice(0, MAX_MESSAGE),
  }
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`
  await client.call(path, { method: 'POST', body, signal: new AbortController().signal })
}
