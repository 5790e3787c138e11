/** The weight of an event. */
export const SEVERITIES = ['info', 'warning', 'error'] as const
export type Severity = (typeof SEVERITIES)[number]

interface EventKind {
  readonly severity: Severity
  /** The event in one sentence; `{field}` stands for the value of that field. */
  readonly message: string
  /** Its fields, and what each means. */
  readonly fields: Readonly<Record<string, string>>
}

const INNER_LAYER = {
  identifier: 'its identifier',
  address: 'IP address from which it comes',
  key: 'thumbprint of its key',
}
const OUTER_LAYER = { url: 'URL of its socket port' }
const TUNNEL = {
  tunnel: 'id of the tunnel',
  socket: 'name of the socket that it serves',
  host: 'DNS name of that socket',
  address: 'IP address from which it comes',
}
const UNSERVED = {
  identifiers: 'inner layers that may serve them; empty: any',
  count: 'how many targets there are',
}
const ORIGIN = {
  origin: 'scheme, host and port of the origin, with the path that is asked, if one is',
  identifier: 'the inner layer that finds it so',
}
const ORDERED = {
  name: 'the name that it is for',
  authority: 'host of the authority',
}
const CERTIFICATE = {
  use: 'what it is for, such as `app port`',
  file: 'the file that it stands in',
  names: 'names that it is for',
  notAfter: 'its last moment',
}

/** Every event that there is: its name, how much it matters, what it says. docs/events.md has a row for each, which a test compares. */
export const EVENTS = {
  'gateway.started': {
    severity: 'info',
    message: 'the outer layer has started, release {version}',
    fields: { version: 'release of the program' },
  },
  'inner-layer.connected': {
    severity: 'info',
    message: 'the inner layer "{identifier}" is connected from {address}',
    fields: { ...INNER_LAYER, agent: 'program and release' },
  },
  'inner-layer.lost': {
    severity: 'warning',
    message: 'the inner layer "{identifier}" from {address} is no longer connected',
    fields: INNER_LAYER,
  },
  'inner-layer.reconnected': {
    severity: 'info',
    message: 'the inner layer "{identifier}" from {address} has lost its connection and come back',
    fields: { ...INNER_LAYER, agent: 'program and release' },
  },
  'inner-layer.refused': {
    severity: 'warning',
    message: 'an inner layer from {address} was refused: {reason}',
    fields: { address: 'IP address from which it comes', code: 'code of the refusal, see errors.md', reason: 'why, in words' },
  },
  'outer-layer.connected': {
    severity: 'info',
    message: 'connected to the outer layer {url} as "{identifier}"',
    fields: { ...OUTER_LAYER, identifier: 'the identifier that it has granted', agent: 'program and release of the outer layer' },
  },
  'outer-layer.lost': {
    severity: 'warning',
    message: 'not connected to the outer layer {url}: {reason}',
    fields: { ...OUTER_LAYER, reason: 'why, in words' },
  },
  'outer-layer.reconnected': {
    severity: 'info',
    message: 'the connection to the outer layer {url} was lost and has come back',
    fields: { ...OUTER_LAYER, identifier: 'the identifier that it has granted', agent: 'program and release of the outer layer' },
  },
  'outer-layer.refused': {
    severity: 'warning',
    message: 'the outer layer {url} has refused this inner layer: {reason}',
    fields: { ...OUTER_LAYER, code: 'code of the refusal, see errors.md', reason: 'why, in words' },
  },
  'target.unserved': {
    severity: 'error',
    message: 'no inner layer serves {subject}',
    fields: UNSERVED,
  },
  'target.served': {
    severity: 'info',
    message: '{subject} is served again',
    fields: UNSERVED,
  },
  'target.interrupted': {
    severity: 'warning',
    message: '{subject} was without an inner layer for a moment',
    fields: UNSERVED,
  },
  'target.refused': {
    severity: 'warning',
    message: '{found} does not get the host {host}, which is {owner}',
    fields: {
      host: 'the public host',
      found: 'the container or the workload that asks for it by its labels, as `found` of the target has it',
      owner: '`one of the service itself`, `the one of a socket` or `the one where people log in`',
    },
  },
  'origin.unhealthy': {
    severity: 'warning',
    message: 'the inner layer "{identifier}" finds {origin} not healthy: {reason}',
    fields: { ...ORIGIN, reason: 'why, in words or as a code' },
  },
  'origin.well': {
    severity: 'info',
    message: 'the inner layer "{identifier}" finds {origin} healthy again',
    fields: ORIGIN,
  },
  'origin.unsteady': {
    severity: 'warning',
    message: 'the inner layer "{identifier}" has found {origin} not healthy for a moment',
    fields: ORIGIN,
  },
  'certificate.expiring': {
    severity: 'warning',
    message: 'the certificate {file} ({use}) expires in {days} days, on {notAfter}',
    fields: { ...CERTIFICATE, days: 'whole days that are left' },
  },
  'certificate.expired': {
    severity: 'error',
    message: 'the certificate {file} ({use}) has expired on {notAfter}',
    fields: CERTIFICATE,
  },
  'certificate.issued': {
    severity: 'info',
    message: 'the certificate for {name} has come from {authority}, good until {notAfter}',
    fields: { ...ORDERED, notAfter: 'its last moment' },
  },
  'certificate.failing': {
    severity: 'error',
    message: 'no certificate for {name} could be had of {authority}: {reason}',
    fields: { ...ORDERED, reason: 'why', next: 'when it is tried again' },
  },
  'certificate.well': {
    severity: 'info',
    message: 'the certificate for {name} could be had of {authority} again',
    fields: ORDERED,
  },
  'certificate.unsteady': {
    severity: 'info',
    message: 'the certificate for {name} could not be had of {authority} for a moment',
    fields: ORDERED,
  },
  'reload.refused': {
    severity: 'error',
    message: '{what} were not reloaded, the last good ones stay in force: {reason}',
    fields: {
      what: '`targets`, `public keys`, `certificates of the app port`, `certificates of the socket port`, `authorities of the TCP ports`, `visitors` or `service`',
      reason: 'the fault, with its place',
    },
  },
  'reload.well': {
    severity: 'info',
    message: '{what} are well again',
    fields: { what: 'as of reload.refused' },
  },
  'reload.unsteady': {
    severity: 'info',
    message: '{what} could not be reloaded for a moment',
    fields: { what: 'as of reload.refused' },
  },
  'tcp-port.closed': {
    severity: 'error',
    message: 'TCP ports are not as they should be: {reason}',
    fields: { reason: 'which, and why' },
  },
  'tcp-port.open': {
    severity: 'info',
    message: 'all TCP ports are open again',
    fields: {},
  },
  'tcp-port.unsteady': {
    severity: 'warning',
    message: 'TCP ports were not as they should be for a moment',
    fields: {},
  },
  'service.failed': {
    severity: 'error',
    message: 'the service process {reason}; sockets that are known go on, the API and SSH are away',
    fields: { reason: 'how it ended, or that it does not answer' },
  },
  'service.ready': {
    severity: 'info',
    message: 'the service process is ready',
    fields: {},
  },
  'service.restarted': {
    severity: 'warning',
    message: 'the service process ended and is ready again',
    fields: {},
  },
  'store.away': {
    severity: 'error',
    message: 'the database of the service cannot be reached',
    fields: {},
  },
  'store.back': {
    severity: 'info',
    message: 'the database of the service is there again',
    fields: {},
  },
  'store.unsteady': {
    severity: 'warning',
    message: 'the database of the service was away for a moment',
    fields: {},
  },
  'tunnel.connected': {
    severity: 'info',
    message: 'a tunnel of {socket} ({host}) is connected from {address}',
    fields: TUNNEL,
  },
  'tunnel.lost': {
    severity: 'warning',
    message: 'a tunnel of {socket} ({host}) from {address} is no longer connected',
    fields: TUNNEL,
  },
  'tunnel.reconnected': {
    severity: 'info',
    message: 'a tunnel of {socket} ({host}) has lost its connection and come back',
    fields: TUNNEL,
  },
  'account.new-place': {
    severity: 'warning',
    message: 'a sign-in from {address}, where this account has not signed in before',
    fields: { address: 'IP address of the sign-in', how: '`password`, `ssh`, the provider that vouches, or `token` with its name' },
  },
  'limit.reached': {
    severity: 'warning',
    message: '{limit}: a limit is reached',
    fields: { limit: 'which one, in words', code: 'code of the refusal, see errors.md' },
  },
  'webhook.failing': {
    severity: 'warning',
    message: 'the webhook {webhook} takes no events: {reason}',
    fields: { webhook: 'its name in the file', reason: 'why', waiting: 'events that wait for it' },
  },
  'webhook.well': {
    severity: 'info',
    message: 'the webhook {webhook} takes events again',
    fields: { webhook: 'its name in the file', waiting: 'events that wait for it' },
  },
  'webhook.unsteady': {
    severity: 'info',
    message: 'the webhook {webhook} has not taken events for a moment',
    fields: { webhook: 'its name in the file', waiting: 'events that wait for it' },
  },
  'webhook.dropped': {
    severity: 'error',
    message: 'events for the webhook {webhook} are given up: {reason}',
    fields: { webhook: 'its name in the file', reason: 'why', event: 'the first one that was given up' },
  },
} as const satisfies Readonly<Record<string, EventKind>>

/** Name of an event. */
export type EventName = keyof typeof EVENTS

/** States that turn, with the events that say so. `first`: whether it is news that all is well when nothing was before. */
export const STATES = {
  'inner-layer': { bad: 'inner-layer.lost', good: 'inner-layer.connected', again: 'inner-layer.reconnected', first: true, holdMs: 10_000 },
  'outer-layer': { bad: 'outer-layer.lost', good: 'outer-layer.connected', again: 'outer-layer.reconnected', first: true, holdMs: 10_000 },
  target: { bad: 'target.unserved', good: 'target.served', again: 'target.interrupted', first: false, holdMs: 10_000 },
  origin: { bad: 'origin.unhealthy', good: 'origin.well', again: 'origin.unsteady', first: false, holdMs: 10_000 },
  reload: { bad: 'reload.refused', good: 'reload.well', again: 'reload.unsteady', first: false, holdMs: 2_000 },
  certificate: { bad: 'certificate.failing', good: 'certificate.well', again: 'certificate.unsteady', first: false, holdMs: 10_000 },
  'tcp-port': { bad: 'tcp-port.closed', good: 'tcp-port.open', again: 'tcp-port.unsteady', first: false, holdMs: 2_000 },
  service: { bad: 'service.failed', good: 'service.ready', again: 'service.restarted', first: false, holdMs: 10_000 },
  store: { bad: 'store.away', good: 'store.back', again: 'store.unsteady', first: false, holdMs: 10_000 },
  tunnel: { bad: 'tunnel.lost', good: 'tunnel.connected', again: 'tunnel.reconnected', first: true, holdMs: 10_000 },
  webhook: { bad: 'webhook.failing', good: 'webhook.well', again: 'webhook.unsteady', first: false, holdMs: 10_000 },
} as const satisfies Readonly<
  Record<
    string,
    { readonly bad: EventName; readonly good: EventName; readonly again: EventName; readonly first: boolean; readonly holdMs: number }
  >
>

/** A state that turns from well to not well and back. */
export type StateName = keyof typeof STATES

/** Is this the name of an event? */
export const isEventName = (name: string): name is EventName => Object.hasOwn(EVENTS, name)
