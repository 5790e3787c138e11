/** `outer-layer --invite NAME`: says what to type on the other machine, and takes the key of whoever does. */
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { bracketed } from '../../address/host-port.ts'
import { Invitations, type Joined } from '../../enrolment/invitations.ts'
import { JoinEndpoint } from '../../enrolment/join-endpoint.ts'
import { formatJoinText, pinOf } from '../../enrolment/join-text.ts'
import type { KeyFiles } from '../../identity/public-keys.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CliContext } from '../command/context.ts'
import { writeNewFiles } from '../command/new-files.ts'
import { namesIn, readCertificate, type OuterState } from './outer-state.ts'

const OWNER_ONLY = 0o600
/** The files are looked at twice a second. */
const IN_FORCE_MS = 10_000

/** The invitations of one process. */
export interface OuterInvitations {
  readonly endpoint: JoinEndpoint
  readonly invitations: Invitations
  /** Says what to type, once the port is known. */
  announce(socketPort: number): Promise<void>
  close(): Promise<void>
}

/**
 * Prepares invitations; undefined: nobody is invited.
 * @param inForce  resolves when a key that was written is in force everywhere
 */
export function createInvitations(
  state: OuterState,
  { keys, inForce = kid => untilInForce(keys, kid) }: { readonly keys: KeyFiles; readonly inForce?: (kid: string) => Promise<void> },
  log: Log,
  { stderr }: Pick<CliContext, 'stderr'>,
): OuterInvitations | undefined {
  const { options, keysFolder, certificateFile } = state
  if (options.invite.length === 0) return undefined
  const invitations = new Invitations({
    clock: () => performance.now(),
    accept: async joined => {
      await writeNewFiles([{ path: fileOf(keysFolder, joined), mode: OWNER_ONLY, text: joined.pem }], false)
      await inForce(joined.kid)
    },
    onExpired: identifier =>
      log.warn({ identifier }, `the invitation of "${identifier}" is over, and nobody came; start anew for another one`),
  })
  return {
    endpoint: new JoinEndpoint(invitations, log),
    invitations,
    announce: async socketPort => {
      const certificate = await readCertificate(certificateFile)
      const [linkName] = options['link-name']
      const url = options['invite-url'] ?? `wss://${linkName ?? `${bracketed(hostIn(namesIn(certificate)))}:${socketPort}`}`
      for (const identifier of new Set(options.invite)) {
        if (keys.registry.names(identifier)) {
          log.info({ identifier }, `"${identifier}" has joined already; remove its file in ${keysFolder} to invite it anew`)
          continue
        }
        const text = formatJoinText({ url, identifier, secret: invitations.invite(identifier), pin: pinOf(certificate.publicKey) })
        // Beside the log, which must not have it.
        stderr.write(`On the machine of "${identifier}", once, within ten minutes:\n\n  socket-gateway inner-layer --join '${text}'\n\n`)
      }
    },
    close: () => Promise.resolve(invitations.close()),
  }
}

const hostIn = (names: readonly string[]): string => names.find(name => !name.startsWith('*')) ?? 'localhost'

const fileOf = (folder: string, { identifier, kid }: Joined): string =>
  join(folder, `${identifier.replace(/[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '_')}-${kid.slice(0, 8)}.crt`)

/** Resolves when the files have been read again and have this key; at the latest after a while, when a fault of the files has its own line in the log. */
export async function untilInForce(keys: KeyFiles, kid: string): Promise<void> {
  if (keys.registry.get(kid) !== undefined) return
  await new Promise<void>(resolve => {
    const done = (): void => {
      leave()
      clearTimeout(timer)
      resolve()
    }
    const leave = keys.onChange(registry => {
      if (registry.get(kid) !== undefined) done()
    })
    const timer = setTimeout(done, IN_FORCE_MS)
  })
}
