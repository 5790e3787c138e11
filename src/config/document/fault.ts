/** Faults of a configuration file, and their places. */
import { GatewayError, messageOf } from '../../errors.ts'

/** One fault. */
export interface ConfigFault {
  readonly file: string
  /** 1-based; 0 is the file as a whole. */
  readonly line: number
  /** 1-based, in UTF-16 units. */
  readonly column: number
  /** Such as `targets."api.example.com".port`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
}

/** `file:line:column: path: message`, as editors and terminals link it. */
export const formatFault = (fault: ConfigFault): string =>
  `${fault.file}${fault.line === 0 ? '' : `:${fault.line}:${fault.column}`}: ${fault.path === '' ? '' : `${fault.path}: `}${fault.message}`

/** A path of keys and list indexes as text; keys that are no plain words are quoted. */
export const formatPath = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    const word = /^[\w$-]+$/.test(String(key)) ? String(key) : JSON.stringify(key)
    return text === '' ? word : `${text}.${word}`
  }, '')

/** All the faults of one file, in the order of their places; `message` has one line for each. */
export class ConfigError extends GatewayError {
  readonly faults: readonly ConfigFault[]
  constructor(
    faults: readonly ConfigFault[],
    options: { readonly code?: 'CONFIG_INVALID' | 'FILE_UNREADABLE' | 'USAGE'; readonly cause?: unknown } = {},
  ) {
    const sorted = [...faults].sort((a, b) => a.line - b.line || a.column - b.column)
    super(options.code ?? 'CONFIG_INVALID', sorted.map(formatFault).join('\n'), { cause: options.cause })
    this.faults = Object.freeze(sorted)
  }
}

const isMissing = (thrown: unknown): boolean => (thrown as { readonly code?: unknown } | null)?.code === 'ENOENT'

/**
 * The fault of a targets file that cannot be read.
 * @param more  what else to do about a file that is not there, appended to the advice
 */
export function unreadableTargets(file: string, cause: unknown, more = ''): ConfigError {
  const message = isMissing(cause) ? `no such file; write one (see targets.example.yaml)${more}` : `cannot be read: ${messageOf(cause)}`
  return new ConfigError([{ file, line: 0, column: 0, path: '', message }], { code: 'FILE_UNREADABLE', cause })
}
