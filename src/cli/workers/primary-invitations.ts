import { KeyFiles } from '../../identity/public-keys.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Answerer } from '../../workers/calls/call-book.ts'
import type { CliContext } from '../command/context.ts'
import { createInvitations } from '../run/outer-invitations.ts'
import type { OuterState } from '../run/outer-state.ts'

/** The invitations of an outer layer of several processes: whichever of them an inner layer comes to asks here, so that each secret counts once. */
export interface PrimaryInvitations {
  /** Answers `join`. */
  readonly join: Answerer
  /** Resolves when a key is in force at all workers. */
  inForce: (kid: string) => Promise<void>
  /** Says what to type, once the port is known. */
  announce(socketPort: number): Promise<void>
  close(): Promise<void>
}

/** An inner layer that hands its certificate in, as a worker passes it on. */
export interface JoinRequest {
  readonly secret: string
  readonly certificate: string
  readonly address: string
}

/** Prepares invitations; undefined: nobody is invited. @throws GatewayError for keys that cannot be read */
export async function openPrimaryInvitations(state: OuterState, log: Log, context: CliContext): Promise<PrimaryInvitations | undefined> {
  if (state.options.invite.length === 0) return undefined
  // Workers say what is wrong with a key, and when keys change.
  const keys = new KeyFiles(state.options['public-key'], { onChange: () => undefined, onFault: () => undefined })
  await keys.start()
  const opened: PrimaryInvitations = {
    join: value => {
      const { secret, certificate, address } = value as JoinRequest
      return created.invitations.join(secret, certificate, address)
    },
    inForce: () => Promise.resolve(),
    announce: port => created.announce(port),
    close: async () => {
      await created.close()
      await keys.close()
    },
  }
  const created = createInvitations(state, { keys, inForce: kid => opened.inForce(kid) }, log, context)!
  return opened
}
