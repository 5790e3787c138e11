import { messageOf } from '../../errors.ts'
import { readPasswordFile } from '../options/admin.ts'
import { askStatus } from '../command/ask-status.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { statusOptions } from '../options/status.ts'
import { formatStatus } from './format-status.ts'

const PERIOD_MS = 2_000
/** Erases the screen and what has scrolled off it, and goes to its corner. */
const CLEAR = '\x1b[H\x1b[2J\x1b[3J'

/**
 * `status`: asks the admin port of a layer and prints what it says.
 * @returns 0 when the layer is ready, 1 when it is not
 * @throws GatewayError ADMIN_FAILED when there is no answer, or none of a layer
 */
export async function runStatus(options: ValuesOf<typeof statusOptions>, context: CliContext): Promise<ExitStatus> {
  const file = options['password-file']
  const password = file === undefined ? undefined : await readPasswordFile(file, '--password-file')
  const look = async (): Promise<{ readonly text: string; readonly isReady: boolean }> => {
    const { status, text } = await askStatus(options.admin, password)
    return { text: options.json ? `${text}\n` : formatStatus(status, Date.now()), isReady: status.ready }
  }
  if (!options.watch) {
    const { text, isReady } = await look()
    context.stdout.write(text)
    return isReady ? 0 : 1
  }
  return watch(look, options.json, context)
}

async function watch(
  look: () => Promise<{ readonly text: string }>,
  isJson: boolean,
  { stdout, untilStopped }: CliContext,
): Promise<ExitStatus> {
  const stopped = untilStopped().then(() => 'stopped' as const)
  for (;;) {
    const text = await look().then(
      found => found.text,
      // It may come back: that is what one watches for.
      (thrown: unknown) => (isJson ? '' : `${messageOf(thrown)}\n`),
    )
    stdout.write(!isJson && stdout.isTTY === true ? `${CLEAR}${text}` : isJson ? text : `${text}\n`)
    let timer: NodeJS.Timeout | undefined
    const next = new Promise<'next'>(resolve => {
      timer = setTimeout(resolve, PERIOD_MS, 'next')
    })
    const outcome = await Promise.race([stopped, next])
    clearTimeout(timer)
    if (outcome === 'stopped') return 0
  }
}
