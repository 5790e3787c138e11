import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { visitorsPlaces } from '../../config/visitors/visitors-config.ts'
import { VisitorsFile, type ServiceLogins } from '../../config/visitors/visitors-file.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'
import { AuditFile } from './audit-file.ts'
import { VisitorLanes } from './visitor-lanes.ts'
import { createKeyText } from '../../visitors/session/key-ring.ts'
import { SharedRevocations } from '../../visitors/session/shared-revocations.ts'
import type { SharedByVisitors } from '../../visitors/shared.ts'
import type { EndedLogins, Revocation } from '../../visitors/session/revocations.ts'
import { createVisitors } from '../../visitors/check/create-visitors.ts'
import type { SocketLogin } from '../../service-host/ipc.ts'
import type { HeldSockets } from '../../visitors/holders/held-socket.ts'
import type { LoginEvent } from '../../visitors/login-event.ts'
import type { AccountCheck } from '../../visitors/providers/accounts-provider.ts'
import type { Visitors } from '../../visitors/check/visitors.ts'

/** The check of visitors of an outer layer, with the files that it follows. */
export interface RunningVisitors {
  readonly check: Visitors
  /** The host on which people log in, as `parseHost` gives it. */
  readonly authHost: () => string
  /** Why a file of theirs is not in force as it is now; empty: all are. */
  readonly fault: () => string
  close(): Promise<void>
}

/** The files and the service that logins come from. */
export interface VisitorsSources {
  /** The file of `--visitors`; of a service alone, one beside its secrets that need not be there. */
  readonly file: string
  /** Providers that the file of the service names. */
  readonly logins?: ServiceLogins | undefined
  /** Accounts of the service. */
  readonly accounts?: AccountCheck | undefined
  /** Sockets of the service that programs open with certificates. */
  readonly held?: HeldSockets | undefined
  /** Told of who has come in at a socket of the service. */
  readonly onSocketLogin?: ((login: SocketLogin) => void) | undefined
  /** Tells of logins by these accounts that are over. @returns ends it */
  readonly onLoginsEnded?: ((listener: (ended: readonly EndedLogins[]) => void) => () => void) | undefined
  /** Of all processes of this outer layer; undefined: this one is alone. */
  readonly shared?: SharedByVisitors | undefined
}

/**
 * Reads the files of visitors and follows them.
 * @throws GatewayError CONFIG_INVALID, FILE_UNREADABLE, KEY_INVALID
 */
export async function startVisitors(
  { file, logins, accounts, held, onLoginsEnded, onSocketLogin, shared }: VisitorsSources,
  log: Log,
): Promise<RunningVisitors> {
  if (logins?.isAlone === true) await ensureKeys(file)
  let isStarted = false
  const onFault = (fault: GatewayError): void =>
    log.error({ code: fault.code }, `visitors not reloaded, what was in force stays: ${fault.message}`)
  const files = new VisitorsFile(
    file,
    {
      onChange: () => {
        if (!isStarted) return
        log.info({ providers: files.config.providers.size, keys: files.keys.all.length }, 'visitors reloaded')
        visitors.checkProviders().catch((fault: unknown) => log.error({ err: fault }, `a provider cannot be used: ${messageOf(fault)}`))
      },
      onRevoked: revocations => {
        visitors.revocations.add(revocations)
        revoked?.read(revocations)
      },
      onFault,
    },
    logins,
  )
  const audit = new AuditFile(file, message => log.error({}, message))
  const onEvent = (event: LoginEvent): void => {
    audit.write(event)
    const came = socketLoginOf(event)
    if (came !== undefined) onSocketLogin?.(came)
    logEvent(event, log)
  }
  const lanes = new VisitorLanes(file, onFault, onEvent, shared)
  // Workers have the same file.
  const revoked = shared?.exact === undefined ? undefined : new SharedRevocations({ peers: shared.peers, apply: heard => applied(heard) })
  const persist = (revocation: Revocation): Promise<void> => {
    revoked?.read([revocation])
    return files.append(revocation)
  }
  const visitors = createVisitors({
    config: () => files.config,
    keys: () => files.keys,
    persist,
    shared,
    clock: Date.now,
    accounts,
    held,
    onEvent,
    lanes: parts => lanes.create(parts),
    onFault: thrown => log.error({ err: thrown }, 'internal fault while visitors are checked'),
  })
  const applied = (revocations: readonly Revocation[]): void => {
    visitors.revocations.add(revocations)
    for (const revocation of revocations)
      files
        .append(revocation)
        .catch((thrown: unknown) => log.error({ err: thrown }, `a revocation of another node cannot be written: ${messageOf(thrown)}`))
  }
  await files.start()
  try {
    await visitors.checkProviders()
    await lanes.start()
  } catch (error) {
    await files.close()
    throw error
  }
  isStarted = true
  const unfollow = onLoginsEnded?.(ended => visitors.revocations.endLogins(ended))
  return {
    check: visitors.check,
    authHost: () => files.config.authHost,
    fault: () => files.faults.map(({ message }) => message).join('; '),
    close: async () => {
      unfollow?.()
      visitors.close()
      await Promise.all([files.close(), lanes.close()])
      await audit.close()
    },
  }
}

/** Makes the keys of sessions where the operator has no file of visitors. @throws GatewayError FILE_UNREADABLE */
async function ensureKeys(file: string): Promise<void> {
  const { keysFile } = visitorsPlaces('', file)
  try {
    await mkdir(dirname(keysFile), { recursive: true, mode: 0o700 })
    await writeFile(keysFile, createKeyText(Date.now()), { mode: 0o600, flag: 'wx' })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return
    throw new GatewayError('FILE_UNREADABLE', `${keysFile}: ${messageOf(cause)}`, { cause })
  }
}

/** Somebody who has come in at a socket of the service, by a login or by a link of its owner. */
export function socketLoginOf(event: LoginEvent): SocketLogin | undefined {
  if (event.kind === 'socket-login') {
    const { socketId, who, provider, by, address } = event
    return { socketId, who, provider, by, address }
  }
  if (event.kind !== 'share-used' || event.socketId === undefined) return undefined
  const { socketId, id, who, by = 'browser', address } = event
  return { socketId, who, provider: 'share', by, address, shareId: id }
}

function logEvent(event: LoginEvent, log: Log): void {
  const { kind: _kind, ...facts } = event
  if (event.kind === 'login') log.info(facts, `visitor logged in: ${event.who} by ${event.provider}`)
  else if (event.kind === 'logout') log.info(facts, `visitor logged out${event.isEverywhere ? ' everywhere' : ''}: ${event.who}`)
  else if (event.kind === 'device')
    log.info(facts, `visitor ${event.isAllowed ? 'let' : 'did not let'} a program open ${event.tunnels.join(', ')}: ${event.who}`)
  else if (event.kind === 'login-failed') log.warn(facts, `login failed: ${event.reason}`)
  else if (event.kind === 'logout-failed') log.warn(facts, `logout failed: ${event.reason}`)
  // The access log has a line for each of the others.
}
