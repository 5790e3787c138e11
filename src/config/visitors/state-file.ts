import path from 'node:path'
import { asGatewayError, GatewayError, messageOf } from '../../errors.ts'
import { readIfAny } from '../../files/change-file.ts'
import { fingerprintOf } from '../../files/fingerprint.ts'
import { Followed } from '../../files/followed.ts'

/** So short that what was revoked is so within a second. */
const POLL_MS = 300

interface Reading<Value> {
  readonly value: Value | undefined
  readonly faults: readonly { readonly error: GatewayError }[]
}

/** The file beside that of visitors in which commands keep something, such as `visitors.tokens` beside `visitors.yaml`. */
export function stateFileOf(visitorsFile: string, extension: 'tokens' | 'shares' | 'uses' | 'audit'): string {
  const { dir, name } = path.parse(path.resolve(visitorsFile))
  return path.join(dir, `${name}.${extension}`)
}

/** The parts of such a file. */
export interface StateFileParts<Value> {
  readonly file: string
  /** @param text  undefined: there is no file. @throws GatewayError */
  readonly read: (text: string | undefined) => Value
  readonly apply: (value: Value) => void
  /** A file cannot be used; what was in force stays. Once per fault. */
  readonly onFault: (error: GatewayError) => void
}

/** A file that commands write and the outer layer follows: what is new in it is in force within a second. */
export class StateFile<Value> {
  readonly #followed: Followed<string, Reading<Value>>

  constructor({ file, read, apply, onFault }: StateFileParts<Value>) {
    this.#followed = new Followed<string, Reading<Value>>(
      {
        places: () => Promise.resolve(file),
        fingerprint: fingerprintOf,
        read: async () => {
          try {
            return { value: read(await readIfAny(file)), faults: [] }
          } catch (cause) {
            const { code, message } = asGatewayError(cause, 'FILE_UNREADABLE')
            return { value: undefined, faults: [{ error: new GatewayError(code, `${file}: ${message}`, { cause }) }] }
          }
        },
        due: () => 'no',
        apply: ({ value }, tell) => {
          tell()
          if (value !== undefined) apply(value)
        },
      },
      POLL_MS,
      onFault,
      thrown => onFault(new GatewayError('INTERNAL', `${file}: ${messageOf(thrown)}`, { cause: thrown })),
    )
  }

  /** Reads the file, then follows it. @throws GatewayError CONFIG_INVALID, FILE_UNREADABLE; nothing is followed then */
  async start(): Promise<void> {
    await this.#followed.start(({ faults: [fault] }) => {
      if (fault !== undefined) throw fault.error
    })
  }

  /** Stops following. Idempotent. */
  close(): Promise<void> {
    return this.#followed.close()
  }
}
