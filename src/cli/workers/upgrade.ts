import { setTimeout as delay } from 'node:timers/promises'
import type { WorkerStatus } from '../../admin/status.ts'
import { GatewayError } from '../../errors.ts'
import { askAdmin } from '../command/ask-status.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { readPasswordFile } from '../options/admin.ts'
import type { clusterDrainOptions } from '../options/status.ts'

const TIMEOUT_MS = 5_000
const LOOK_MS = 500

interface Workers {
  readonly count: number
  readonly isRestarting: boolean
  readonly workers: readonly WorkerStatus[]
}

/** `upgrade`: restarts the workers of an outer layer, and waits for it. @returns 1 when a new worker did not start, so that the old ones stay @throws GatewayError ADMIN_FAILED */
export async function runUpgrade(options: ValuesOf<typeof clusterDrainOptions>, { stdout }: CliContext): Promise<ExitStatus> {
  const { admin, 'password-file': file } = options
  const password = file === undefined ? undefined : await readPasswordFile(file, '--password-file')
  const ask = async (method: 'GET' | 'POST', path: string): Promise<unknown> => {
    const response = await askAdmin(new URL(path, admin), admin, password, AbortSignal.timeout(TIMEOUT_MS), method)
    if (response.ok) return response.json()
    const { error_message: reason } = (await response.json().catch(() => ({}))) as { readonly error_message?: string }
    throw new GatewayError(
      'ADMIN_FAILED',
      response.status === 404 ? `the outer layer at ${admin} has no workers (--workers)` : `${admin}: ${reason ?? response.status}`,
    )
  }
  const look = async (): Promise<Workers> => (await ask('GET', 'api/workers')) as Workers
  const before = new Set((await look()).workers.map(({ pid }) => pid))
  await ask('POST', 'api/workers/restart')
  let shown = 0
  for (;;) {
    const { count, isRestarting, workers } = await look()
    const fresh = workers.filter(({ pid, state }) => state === 'up' && !before.has(pid)).length
    if (fresh > shown) stdout.write(`${fresh} of ${count} workers are new\n`)
    shown = Math.max(shown, fresh)
    if (!isRestarting) return finish(fresh === count, stdout)
    await delay(LOOK_MS)
  }
}

function finish(isDone: boolean, stdout: CliContext['stdout']): ExitStatus {
  stdout.write(isDone ? 'done\n' : 'a new worker has not started, so that the old ones stay: see the log of the outer layer\n')
  return isDone ? 0 : 1
}
