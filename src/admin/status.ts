/** The answer of `/status`: the interface between a layer, its console and `socket-gateway status`. Times are ISO 8601 in UTC. */

/** The part of a status that both layers have. */
interface CommonStatus {
  readonly version: string
  readonly since: string
  readonly uptimeSeconds: number
  readonly ready: boolean
  /** Why it is not ready. */
  readonly reasons: readonly string[]
  /** Faults beside which everything else is served. */
  readonly degraded: readonly string[]
  readonly eventLoop: {
    /** Over the last five seconds. */
    readonly delayP99Ms: number
    readonly stalls: number
    readonly lastStall: { readonly ms: number; readonly at: string } | null
  }
}

/** One connection of an inner layer. */
export interface InnerLayerStatus {
  readonly identifier: string
  readonly address: string
  /** Program and release. */
  readonly agent: string
  /** Thumbprint of its key. */
  readonly key: string
  /** The file that it is in; null: the service keeps it, or it is not registered any more. */
  readonly keyFile: string | null
  readonly since: string
  /** The node of a cluster that it is connected to, by its id, in a list of all nodes by its name; absent: this process. */
  readonly node?: string
  /** 0 until measured. */
  readonly roundTripMs: number
  readonly streams: number
  readonly outstandingBytes: number
}

/** One of the worker processes of an outer layer. */
export interface WorkerStatus {
  readonly number: number
  readonly pid: number
  readonly since: string
  /** Of two with the same number, one takes the place of the other. */
  readonly state: 'starting' | 'up' | 'leaving'
  /** Null where it has not answered in time. */
  readonly requests: number | null
  /** Connections of inner layers; null as above. */
  readonly innerLayers: number | null
}

/** One of the nodes of a cluster, as the one that is asked sees it. */
export interface NodeStatus {
  readonly id: string
  readonly name: string
  /** False: nothing of it is among what is shown. */
  readonly answers: boolean
  /** Why it does not. */
  readonly why: string | null
  /** Null where it has not answered, as all that follows. */
  readonly version: string | null
  readonly uptimeSeconds: number | null
  readonly ready: boolean | null
  /** Why it is not ready, and what is not as it should be. */
  readonly degraded: readonly string[]
  /** Requests. */
  readonly inFlight: number | null
  /** Connections of inner layers. */
  readonly innerLayers: number | null
}

/** A row of a list of all nodes. */
interface AtNodes {
  /** Names of the nodes that have it; absent: it is the list of one node. */
  readonly nodes?: readonly string[]
}

/** A certificate of a port with TLS. */
export interface CertificateStatus {
  readonly file: string
  /** DNS names that it is for. */
  readonly names: readonly string[]
  readonly notAfter: string
}

/** One rule of a policy: a request is allowed when any of them allows it. */
export interface RuleStatus {
  /** `*`, a path, or a regular expression with a leading `^`. */
  readonly pattern: string
  /** `*` among them: every method but CONNECT and TRACE. */
  readonly methods: readonly string[]
  readonly line: number | null
}

/** One target, or one of its routes. */
export interface TargetStatus extends AtNodes {
  /** The key in the targets file; of a route, its path follows. */
  readonly host: string
  /** Of the key in the file that `reload` names; null: made in code. */
  readonly line: number | null
  /** At most 20 rules; without any, nothing is allowed. */
  readonly policy: readonly RuleStatus[]
  /** Rules that are not among them. */
  readonly policyOmitted: number
  /** Null: it answers by itself. */
  readonly origin: string | null
  /** The answer of the gateway itself, such as `410 (fixed)`; null: the origin answers. */
  readonly answer: string | null
  /** Inner layers that may serve it; null: any. */
  readonly identifiers: readonly string[] | null
  /** Connections of inner layers that may serve it. */
  readonly innerLayers: number
  /** The path of the health check, and how often it is asked for; null: none, so that requests alone say how it is. */
  readonly healthCheck: { readonly path: string; readonly intervalMs: number } | null
  /** Null: nothing is known yet. */
  readonly health: 'well' | 'not well' | null
  /** Identifiers of those that are asked last, since the origin is not well there. */
  readonly avoided: readonly string[]
  readonly requests: number
  /** Without those whose client had left. */
  readonly errors: number
  readonly lastError: { readonly code: string; readonly reason: string | null; readonly at: string } | null
}

/** One service that is carried as it is: a route of a TCP port, a blind name, or a tunnel. */
export interface ServiceStatus extends AtNodes {
  /** Of a route the port, and the name in TLS where there is one; `blind NAME`; of a tunnel its name. */
  readonly name: string
  readonly origin: string
  readonly identifiers: readonly string[] | null
  /** Connections of inner layers that may serve it. */
  readonly innerLayers: number
  /** Connections to this origin that have ended, and how many of them with an error. */
  readonly ended: number
  readonly errors: number
}

/** An inner layer that was not let in. */
export interface RefusedStatus extends AtNodes {
  readonly address: string
  readonly code: string
  readonly reason: string
  readonly count: number
  readonly at: string
}

/** A host that clients asked for and that has no target. */
export interface UnknownHostStatus extends AtNodes {
  readonly host: string
  readonly count: number
  readonly at: string
}

/** Of an outer layer. */
export interface OuterStatus extends CommonStatus {
  readonly layer: 'outer'
  /** Absent: it is one process. */
  readonly workers?: readonly WorkerStatus[]
  /** All nodes of a cluster; absent: this is the status of one node. */
  readonly nodes?: readonly NodeStatus[]
  readonly ports: { readonly app: number; readonly socket: number }
  readonly innerLayers: readonly InnerLayerStatus[]
  /** Null: there is no service. */
  readonly service: {
    readonly sockets: number
    /** The fault that keeps it from being whole. */
    readonly fault: string | null
    /** Connections that serve tunnels. */
    readonly tunnels: number
    /** At most 100 of them. */
    readonly firstTunnels: readonly InnerLayerStatus[]
  } | null
  /** At most 1,000: of more, those that requests have come for go before the others. */
  readonly targets: readonly TargetStatus[]
  /** Targets and routes in force that are not among them. */
  readonly targetsOmitted: number
  readonly reload: {
    readonly file: string
    /** When the targets in force were read. */
    readonly loadedAt: string
    /** The fault of the file as it is now. */
    readonly fault: string | null
  }
  readonly keys: { readonly inForce: number; readonly faults: readonly string[] }
  readonly requests: { readonly inFlight: number; readonly repeats: number }
  readonly tcp: {
    readonly ports: readonly number[]
    readonly connections: number
    /** Of ports that are not open, and of files of authorities of clients that are not in force. */
    readonly faults: readonly string[]
    readonly services: readonly ServiceStatus[]
  }
  readonly tunnels: { readonly connections: number; readonly services: readonly ServiceStatus[] }
  /** The last ones, the latest first. */
  readonly refused: readonly RefusedStatus[]
  readonly unknownHosts: readonly UnknownHostStatus[]
  readonly certificates: { readonly inForce: readonly CertificateStatus[]; readonly faults: readonly string[] }
}

/** One connection to an outer layer. */
export interface ConnectionStatus {
  readonly outerLayer: string
  readonly isUp: boolean
  /** Of the session, or of the last attempt that failed. */
  readonly since: string
  /** Program and release of the outer layer; null until it was connected. */
  readonly agent: string | null
  readonly roundTripMs: number
  readonly streams: number
  /** Why it is not connected, or why it was lost the last time. */
  readonly lastFailure: string | null
}

/** Of an inner layer. */
export interface InnerStatus extends CommonStatus {
  readonly layer: 'inner'
  readonly identifier: string
  readonly connections: readonly ConnectionStatus[]
  readonly requests: { readonly inFlight: number; readonly failed: number }
  readonly lastFailure: { readonly origin: string; readonly code: string; readonly reason: string; readonly at: string } | null
}

export type LayerStatus = OuterStatus | InnerStatus

/** The part that a layer adds to the status that all layers have. */
export type OwnStatus = Omit<OuterStatus, keyof CommonStatus> | Omit<InnerStatus, keyof CommonStatus>
