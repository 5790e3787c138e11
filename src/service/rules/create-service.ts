import { randomInt } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import type { Tell } from '../../events/turning-states.ts'
import type { Store } from '../../store/store.ts'
import type { Log } from '../../telemetry/log.ts'
import { AccountAdmin } from '../accounts/account-admin.ts'
import { AccountKeys } from '../accounts/account-keys.ts'
import type { AccountParts } from '../accounts/account-parts.ts'
import { AccountTokens } from '../accounts/api-tokens.ts'
import { Invitations } from '../accounts/invitations.ts'
import { OwnAccount } from '../accounts/own-account.ts'
import { AccountSessions } from '../accounts/sessions.ts'
import { SignUps } from '../accounts/sign-up.ts'
import type { ServiceConfig } from '../config.ts'
import type { Accounts, DataPlane, Mail, Service } from '../contract.ts'
import { Attempts, type SharedAttempts } from '../core/attempts.ts'
import { AccountTurns } from '../core/account-turns.ts'
import { AccountEvents } from '../core/account-events.ts'
import { AuditLog } from '../core/audit-log.ts'
import { SYSTEM_CLOCK, type ServiceClock } from '../core/clock.ts'
import { DirectoryFeed } from '../core/directory-feed.ts'
import { LiveTunnels } from '../core/live-tunnels.ts'
import { NewPlaces } from '../core/new-places.ts'
import { Secrets } from '../core/secrets.ts'
import type { RandomInteger } from '../names/socket-names.ts'
import { loadArgon2, Passwords, type Argon2 } from '../proofs/passwords.ts'
import { SealingKey } from '../proofs/sealed.ts'
import { SessionTokens } from '../proofs/session-tokens.ts'
import { Liveness } from '../sockets/liveness.ts'
import { SocketCreation } from '../sockets/socket-creation.ts'
import { removeSockets } from '../sockets/socket-removal.ts'
import { RecordedRequests } from '../sockets/requests.ts'
import { SocketShares } from '../sockets/shares.ts'
import { AccountSockets } from '../sockets/sockets.ts'
import { SshDoorAccess } from '../sockets/ssh-access.ts'
import { SocketTunnels } from '../sockets/tunnels.ts'
import { AuditReader } from './audit.ts'
import { CleanUp } from './clean-up.ts'
import { DomainWatch } from './domain-watch.ts'
import { InnerEnrolment } from './enrolment.ts'
import { EventReader } from './events.ts'
import { HolderCertificates } from './holder-certificates.ts'
import { SealedCertificates } from './sealed-certificates.ts'
import { Start, unlessAway } from './start.ts'
import { UsageBook } from './usage.ts'

/** The parts that a service is made of. */
export interface ServiceOptions {
  readonly store: Store
  /** The configuration in force; asked each time, as its file is followed. */
  readonly config: () => ServiceConfig
  /** The 32 bytes of the key file. */
  readonly secretsKey: Buffer
  readonly mail: Mail
  readonly dataPlane: DataPlane
  readonly log: Log
  /** URLs of the socket ports, where the configuration names none. */
  readonly linkUrls?: () => readonly string[]
  /** Origin of the API; default: https: and the host of the configuration. */
  readonly apiUrl?: string
  /** Name of this process among several of one service. */
  readonly nodeId?: string
  /** Address of this gateway, as tunnels show it; default: the host for SSH, else the zone. */
  readonly serverAddress?: string
  /** The TXT records of a name, empty where nothing is known; absent: host names outside of the zone are taken as they are said. */
  readonly textRecords?: (name: string) => Promise<readonly string[] | undefined>
  readonly clock?: ServiceClock
  readonly random?: RandomInteger
  /** Told of what happens to accounts, for the operator. */
  readonly onEvent?: Tell
  /** Factor of the times in which events are held back, for tests. */
  readonly eventHoldScale?: number
  /** The longest wait of a call until what it has changed is in force, milliseconds; default: 250. */
  readonly inForceMs?: number
  /** Default: @node-rs/argon2 where it is installed; null: scrypt. */
  readonly argon2?: Argon2 | null
  /** Of the machine: passwords are hashed with half of them at most. */
  readonly cores?: number
  /** Counts of other processes of this service; absent: this one is alone. */
  readonly sharedAttempts?: SharedAttempts
}

/**
 * Puts the rules together. While the database is away, they are there all the same, and their calls say so.
 * @throws GatewayError STORE_INVALID (the key file is of another database), KEY_INVALID
 */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { store, config, mail, dataPlane, log, clock = SYSTEM_CLOCK, random = (end: number) => randomInt(end) } = options
  const { hosts, zone } = config()
  const apiUrl = options.apiUrl ?? `https://${hosts.api}`
  const now = (): number => clock.now()
  const sealing = new SealingKey(options.secretsKey)
  const secrets = new Secrets(store, sealing, now)
  await unlessAway(() => secrets.load())
  const visitorCertificates = new HolderCertificates(secrets, clock)
  const argon2 = options.argon2 === undefined ? await loadArgon2() : (options.argon2 ?? undefined)
  const passwords = await Passwords.create(argon2, options.cores)
  const directory = new DirectoryFeed({
    store,
    config,
    dataPlane,
    now,
    log,
    ...(options.inForceMs !== undefined && { inForceMs: options.inForceMs }),
    authorities: () => visitorCertificates.authorities(),
    onSecrets: async () => {
      try {
        await secrets.reload()
      } catch (err) {
        if (!(err instanceof GatewayError) || err.code !== 'STORE_INVALID') throw err
        // Sealed under a newer key file: nothing else may wait for that.
        log.error(
          { err },
          'new secrets cannot be opened; those of the start stay in use until this process has the key file of the others and starts again',
        )
      }
    },
  })
  const attempts = new Attempts(now, options.sharedAttempts)
  const { onEvent: onTold = () => undefined, eventHoldScale: holdScale } = options
  const events = new AccountEvents({ store, now, log, onTold, ...(holdScale !== undefined && { holdScale }) })
  const parts: AccountParts = {
    store,
    config,
    clock,
    log,
    mail,
    random,
    apiUrl,
    linkUrls: () => (config().hosts.link.length > 0 ? config().hosts.link : (options.linkUrls?.() ?? [])),
    nodeId: options.nodeId ?? 'gateway',
    serverAddress: options.serverAddress ?? hosts.ssh?.host ?? zone,
    audit: new AuditLog(store, now, log, events),
    events,
    places: new NewPlaces(now),
    directory,
    live: new LiveTunnels(),
    textRecords: options.textRecords,
    turns: new AccountTurns(),
    passwords,
    attempts,
  }
  const creation = new SocketCreation(parts)
  const tunnels = new SocketTunnels(parts, secrets)
  const liveness = new Liveness(parts)
  const cleanUp = new CleanUp(parts, liveness)
  const domains = new DomainWatch(parts)
  const start = new Start(clock, log, async () => {
    await liveness.restart()
    await directory.start()
  })
  return {
    accounts: accountsOf(parts),
    sessions: new AccountSessions(parts, async () => new SessionTokens(await secrets.symmetric('jwt'), apiUrl, now)),
    apiTokens: new AccountTokens(parts),
    sockets: new AccountSockets(parts, creation),
    shares: new SocketShares(parts),
    requests: new RecordedRequests(parts, dataPlane),
    tunnels: {
      create: (...args) => tunnels.create(...args),
      list: (...args) => tunnels.list(...args),
      get: (...args) => tunnels.get(...args),
      remove: (...args) => tunnels.remove(...args),
      credentials: (...args) => tunnels.credentials(...args),
      certificate: (...args) => tunnels.certificate(...args),
      connected: (...args) => liveness.connected(...args),
      disconnected: (...args) => liveness.disconnected(...args),
    },
    ssh: new SshDoorAccess(parts, secrets, { creation, tunnels }),
    enrolment: new InnerEnrolment(parts, attempts, new LiveTunnels()),
    audit: new AuditReader(parts),
    events: new EventReader(parts, events),
    usage: new UsageBook(parts),
    visitorCertificates,
    serverCertificates: new SealedCertificates(store, sealing),
    snapshot: () => directory.snapshot(),
    start: async () => {
      cleanUp.start()
      domains.start()
      await start.run()
    },
    reconfigured: async () => {
      try {
        const { seq } = await store.changing(async ({ change }) => change('config', parts.nodeId))
        await directory.inForce(seq)
      } catch (err) {
        log.warn({ err }, 'limits of sockets that exist do not follow the new configuration; reload it once more')
      }
    },
    isHealthy: () => store.isHealthy(),
    close: async () => {
      await start.close()
      await cleanUp.close()
      await events.close()
      await domains.close()
      await liveness.settled()
      await directory.close()
    },
  }
}

function accountsOf(parts: AccountParts): Accounts {
  const [signUps, own, keys, invitations] = [
    new SignUps(parts),
    new OwnAccount(parts),
    new AccountKeys(parts),
    new Invitations(parts),
  ] as const
  const admin = new AccountAdmin(parts, async (transaction, accountId) => {
    const rows = await transaction.db.selectFrom('sockets').select('id').where('account_id', '=', accountId).execute()
    const ids = rows.map(({ id }) => id)
    await removeSockets(transaction, ids, parts.clock.now())
  })
  return {
    signUp: (...args) => signUps.signUp(...args),
    confirm: (...args) => signUps.confirm(...args),
    requestReset: (...args) => own.requestReset(...args),
    reset: (...args) => own.reset(...args),
    acceptInvitation: (...args) => invitations.accept(...args),
    get: (...args) => own.get(...args),
    rename: (...args) => own.rename(...args),
    changePassword: (...args) => own.changePassword(...args),
    keys: (...args) => keys.list(...args),
    addKey: (...args) => keys.add(...args),
    removeKey: (...args) => keys.remove(...args),
    list: (...args) => admin.list(...args),
    invite: (...args) => invitations.invite(...args),
    suspend: (...args) => admin.suspend(...args),
    resume: (...args) => admin.resume(...args),
    setLimits: (...args) => admin.setLimits(...args),
    setRole: (...args) => admin.setRole(...args),
    remove: (...args) => admin.remove(...args),
  }
}
