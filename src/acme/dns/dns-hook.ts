import { execFile } from 'node:child_process'
import { GatewayError } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import type { DnsRecords } from '../acme-options.ts'

/** Time that the program has, milliseconds. */
export const HOOK_MS = 120_000
/** Output of it that is kept; only the end of it is ever shown. */
const MAX_OUTPUT = 65_536
const SHOWN = 300
/** Time for the last of its output, milliseconds. */
const LINGER_MS = 500

/**
 * Records that a program of the operator adds and removes. What it is to do stands in its environment: nothing is put into a command line, which others
 * on the machine can read and a shell could understand.
 */
export class DnsHook implements DnsRecords {
  /** @param environment  that of the program, beside what it is to do */
  constructor(
    private readonly program: string,
    private readonly environment: Readonly<Record<string, string | undefined>>,
    private readonly deadlineMs: number = HOOK_MS,
  ) {}

  add(name: string, text: string, signal: AbortSignal): Promise<void> {
    return this.#run('add', name, text, signal)
  }

  remove(name: string, text: string, signal: AbortSignal): Promise<void> {
    return this.#run('remove', name, text, signal)
  }

  #run(action: 'add' | 'remove', name: string, text: string, signal: AbortSignal): Promise<void> {
    const env = {
      ...ownEnvironment(this.environment),
      ...{ ACME_ACTION: action, ACME_DOMAIN: name.replace(/^_acme-challenge\./, ''), ACME_RECORD: name, ACME_VALUE: text },
    }
    const options = { env, signal, timeout: this.deadlineMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT } as const
    return new Promise((resolve, reject) => {
      const child = execFile(this.program, [], options, (error, _stdout, stderr) => {
        if (error === null) return resolve()
        const said = stderr.trim().slice(-SHOWN)
        const how =
          error.killed === true ? `was ended after ${this.deadlineMs / 1_000} s` : `ended with ${error.code ?? error.signal ?? 'a fault'}`
        reject(
          new GatewayError(
            'CERTIFICATE_REFUSED',
            `--acme-dns-hook ${this.program} ${how} (${action} ${name})${said === '' ? '' : `: ${said}`}`,
            { cause: error },
          ),
        )
      })
      child.stdin?.end()
      // What it has started may go on, and hold the pipes: that is not waited for.
      const leave = guarded(reject, () => {
        child.stdout?.destroy()
        child.stderr?.destroy()
      })
      child.once('exit', () => setTimeout(leave, LINGER_MS).unref())
    })
  }
}

/** Options of the gateway may be in the environment, and secrets among them: no program needs these. */
const ownEnvironment = (environment: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('SG_')))
