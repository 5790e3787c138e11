import { setTimeout as sleep } from 'node:timers/promises'
import type { AccountEvent } from '../../client/wire.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { printable } from '../../telemetry/pretty.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { accountEventsOptions } from '../options/events.ts'
import { openSession } from './open.ts'

const AGAIN_MS = 2_000

/** `account events`: what has happened to the account, the latest last; with --follow, what happens from now on as well. */
export async function runAccountEvents(values: ValuesOf<typeof accountEventsOptions>, context: CliContext): Promise<ExitStatus> {
  const { name, severity, all, follow, limit, json } = values
  const session = await openSession(values, context)
  const query = { ...(name !== undefined && { name }), ...(severity !== undefined && { severity }), ...(all && { all }) }
  const write = (event: AccountEvent): void => {
    const { at, severity: of, name: what, message } = event
    context.stdout.write(json ? `${JSON.stringify(event)}\n` : `${at}  ${of.padEnd(7)}  ${what.padEnd(18)}  ${printable(message)}\n`)
  }
  const { items } = await session.client.events({ ...query, limit })
  const end = new AbortController()
  // Before the first line, which whoever stops this may wait for.
  if (follow) void context.untilStopped().then(() => end.abort())
  for (const event of [...items].reverse()) write(event)
  if (!follow) return 0
  const stopRenewing = session.keepAlive(() => undefined)
  let after = items[0]?.id ?? '0'
  try {
    while (!end.signal.aborted) {
      try {
        for await (const event of session.client.liveEvents({ ...query, after }, end.signal)) {
          after = event.id
          write(event)
        }
      } catch (error) {
        if (!(error instanceof GatewayError) || error.code !== 'SERVICE_UNREACHABLE') throw error
        context.stderr.write(`${messageOf(error)}; next attempt in ${AGAIN_MS / 1_000} s\n`)
      }
      await sleep(AGAIN_MS, undefined, { signal: end.signal }).catch(() => undefined)
    }
  } finally {
    stopRenewing()
  }
  return 0
}
