/** The share of the door that one client, address or account may have. */
export interface SshLimits {
  /** Connections that have not logged in, of all addresses and of one. */
  readonly unproven: number
  readonly unprovenPerAddress: number
  /** Time to log in, milliseconds. */
  readonly loginMs: number
  /** Keys and other attempts of one connection. */
  readonly attempts: number
  /** Connections that have logged in, of all accounts and of one. */
  readonly connections: number
  readonly connectionsPerAccount: number
  /** Forwards of one connection. */
  readonly forwards: number
  /** Between two questions whether a client is there, milliseconds, and how many may be left without an answer. */
  readonly keepAliveMs: number
  readonly keepAliveCount: number
  /** A channel of which a client does not see one end goes after this silence, milliseconds. */
  readonly lingerMs: number
  /** A request to a client of Go that nothing comes for ends after this time, milliseconds. */
  readonly silentMs: number
  /** A client has this long to close a session that was ended, before the connection is, milliseconds. */
  readonly readMs: number
  /** A session that is there before any forward was asked for waits this long for one, milliseconds: Paramiko opens its session first. */
  readonly forwardMs: number
}

/** Limits that suit a public host. */
export const DEFAULT_SSH_LIMITS: SshLimits = Object.freeze({
  unproven: 100,
  unprovenPerAddress: 5,
  loginMs: 20_000,
  attempts: 20,
  connections: 10_000,
  connectionsPerAccount: 200,
  forwards: 32,
  keepAliveMs: 15_000,
  keepAliveCount: 3,
  lingerMs: 60_000,
  silentMs: 60_000,
  readMs: 3_000,
  forwardMs: 2_000,
})
