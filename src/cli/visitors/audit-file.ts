/** Visitors who came or were refused, and credentials that were made or revoked: lines of JSON beside the file of logins. Never a token, and never a link. */
import { appendFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { stateFileOf } from '../../config/visitors/state-file.ts'
import { messageOf } from '../../errors.ts'
import { LogFile } from '../../telemetry/log-file.ts'
import type { LoginEvent } from '../../visitors/login-event.ts'
import type { CliContext } from '../command/context.ts'

/** Something that a command has done. */
export type AuditedCommand =
  | {
      readonly kind: 'token-created'
      readonly id: string
      readonly who: string
      readonly targets: readonly string[]
      readonly methods: readonly string[]
      readonly paths: readonly string[]
      readonly expiresAt: string
    }
  | { readonly kind: 'token-revoked'; readonly id: string; readonly who: string }
  | {
      readonly kind: 'share-created'
      readonly id: string
      readonly page: string
      readonly methods: readonly string[]
      readonly maxUses: number | undefined
      readonly email: string | undefined
      readonly expiresAt: string
    }
  | { readonly kind: 'share-revoked'; readonly id: string }
  | { readonly kind: 'sessions-revoked'; readonly of: string }
  | { readonly kind: 'keys-rotated' }

const MAX_BYTES = 10 * 1024 * 1024
const MAX_AGE_MS = 31 * 86_400_000
/** Old files: a year and a bit, where little happens. */
const MAX_FILES = 13

const lineOf = (event: LoginEvent | (AuditedCommand & { readonly by: string })): string =>
  `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`

/** The file, as the outer layer writes it. */
export class AuditFile {
  readonly #file: LogFile

  /** @param visitors  the file of logins. @param onFault  it cannot be written, or can be again */
  constructor(visitors: string, onFault: (message: string) => void) {
    const path = stateFileOf(visitors, 'audit')
    this.#file = new LogFile({ path, maxBytes: MAX_BYTES, maxAgeMs: MAX_AGE_MS, maxFiles: MAX_FILES, nowMs: Date.now, onFault })
  }

  /** Adds a line. Never throws; whatever cannot be written waits. */
  write(event: LoginEvent): void {
    this.#file.write(lineOf(event))
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** Adds what a command has done, and whose account of this machine has run it. What was done is done: a file that cannot be written is a warning. */
export async function auditCommand(visitors: string, event: AuditedCommand, { stderr }: Pick<CliContext, 'stderr'>): Promise<void> {
  const path = stateFileOf(visitors, 'audit')
  try {
    await appendFile(path, lineOf({ ...event, by: accountOf() }), { mode: 0o640 })
  } catch (error) {
    stderr.write(`socket-gateway: done, and not written into ${path}: ${messageOf(error)}\n`)
  }
}

function accountOf(): string {
  try {
    return userInfo().username
  } catch {
    return '-' // an account that has no name, in a container
  }
}
