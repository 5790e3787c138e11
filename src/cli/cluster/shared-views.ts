/** Views of what all nodes have: who looks at one sees all. */
import { InspectorView, type OwnInspector } from '../../cluster/views/inspector-view.ts'
import { shareRequests } from '../../cluster/views/owner-requests.ts'
import { shareVisitors, type WatchedSockets } from '../../cluster/views/visitor-view.ts'
import type { CallAnswerer, PeerCalls } from '../../peers/peer-calls.ts'
import type { RequestSource } from '../../service-host/recorded-requests.ts'
import type { Log } from '../../telemetry/log.ts'

const faultOf =
  (log: Log) =>
  (thrown: unknown): void =>
    log.error({ err: thrown }, 'internal fault in what nodes show each other')

/**
 * Has those who look at a socket of the service see who comes to it at the other nodes.
 * @param requests  those that were recorded at this node; undefined: none are
 * @returns those of all nodes
 */
export function shareSockets(
  calls: PeerCalls,
  { directory, requests }: { readonly directory: WatchedSockets; readonly requests: RequestSource | undefined },
  log: Log,
): RequestSource | undefined {
  const onFault = faultOf(log)
  shareVisitors(calls, directory, onFault)
  return requests && shareRequests(calls, requests, onFault)
}

/** The inspector of this node as that of all. */
export const shareInspector = (calls: PeerCalls, own: OwnInspector, log: Log): CallAnswerer =>
  new InspectorView(calls, own, faultOf(log)).handle
