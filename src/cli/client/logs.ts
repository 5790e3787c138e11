import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayError, messageOf } from '../../errors.ts'
import { printable } from '../../telemetry/pretty.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { logsOptions } from '../options/client.ts'
import { findSocket } from './find-socket.ts'
import { openSession } from './open.ts'

const AGAIN_MS = 2_000

/** `logs`: one line for each request or connection of a socket from now on, until Ctrl-C. @param text  whose socket; undefined: the only one */
export async function runLogs(text: string | undefined, values: ValuesOf<typeof logsOptions>, context: CliContext): Promise<ExitStatus> {
  const session = await openSession(values, context)
  const { id, url } = await findSocket(session.client, text)
  const end = new AbortController()
  void context.untilStopped().then(() => end.abort())
  context.stderr.write(`requests to ${url} from now on; Ctrl-C ends it\n`)
  const stopRenewing = session.keepAlive(() => undefined)
  try {
    while (!end.signal.aborted) {
      try {
        for await (const line of session.client.log(id, end.signal)) {
          context.stdout.write(values.json ? `${JSON.stringify(line)}\n` : `${printable(line.text)}\n`)
        }
      } catch (error) {
        if (error instanceof GatewayError && error.code === 'NOT_FOUND') {
          context.stderr.write(`there is no socket at ${url} any more: it was deleted, or went by itself after its last connection\n`)
          return 0
        }
        if (!(error instanceof GatewayError) || error.code !== 'SERVICE_UNREACHABLE') throw error
        context.stderr.write(`${messageOf(error)}; next attempt in ${AGAIN_MS / 1000} s\n`)
      }
      await pause(AGAIN_MS, end.signal)
    }
  } finally {
    stopRenewing()
  }
  return 0
}

/** Waits, and keeps the process alive meanwhile: between two attempts nothing else does. */
const pause = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal }).catch(() => undefined)
