import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { formatBox } from '../tables/box.ts'
import { answer, shownTime } from './answer.ts'
import { openClient, type ClientValues } from './open.ts'

const time = (text: string | null): string => (text === null ? '' : shownTime(text))

/** `inner ls`: the keys of inner layers that have joined. */
export async function runInnerLs(values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const keys = await (await openClient(values, context)).innerKeys()
  return answer(values, context, keys, () =>
    formatBox({
      head: ['KEY', 'IDENTIFIERS', 'JOINED', 'LAST SEEN', 'STATE'],
      rows: keys.map(({ kid, identifiers, createdAt, seenAt, revokedAt, isConnected }) => [
        kid,
        identifiers,
        time(createdAt),
        time(seenAt),
        revokedAt !== null ? 'revoked' : isConnected ? 'connected' : 'away',
      ]),
    }),
  )
}

/** `inner revoke`: the key is refused from now on, and its connections are cut. */
export async function runInnerRevoke(kid: string, values: ClientValues, context: CliContext): Promise<ExitStatus> {
  await (await openClient(values, context)).revokeInnerKey(kid)
  return answer(values, context, { kid }, () => 'Key revoked\n')
}
