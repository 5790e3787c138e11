import { GatewayError, messageOf } from '../../errors.ts'

/** The purpose of a file of an option, for the message when it cannot be read. */
export interface OptionFile {
  /** Such as `--token-file`. */
  readonly option: string
  /** The content that was expected. */
  readonly expected: string
  /** The way to get one. */
  readonly remedy: string
}

/** The system's code, such as ENOENT, in words; undefined for rare ones. */
function reasonOf(code: unknown): string | undefined {
  switch (code) {
    case 'ENOENT':
      return 'no such file (ENOENT)'
    case 'EACCES':
      return 'this account may not read it (EACCES)'
    case 'EISDIR':
      return 'this is a directory (EISDIR)'
    default:
      return undefined
  }
}

/** The error for a file of an option that cannot be read. @param cause  as the system gave it */
export function unreadableFile(file: string, { option, expected, remedy }: OptionFile, cause: unknown): GatewayError {
  const reason = reasonOf((cause as { readonly code?: unknown } | null)?.code) ?? messageOf(cause)
  return new GatewayError('FILE_UNREADABLE', `${option} ${file}: ${reason}; expected ${expected}: correct the path, or ${remedy}`, {
    cause,
  })
}

/** Reads the file of an option. @throws GatewayError as `read` does, FILE_UNREADABLE with the option, what was expected, and what to do */
export async function readOptionFile<Value>(file: string, facts: OptionFile, read: (file: string) => Promise<Value>): Promise<Value> {
  try {
    return await read(file)
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'FILE_UNREADABLE') throw unreadableFile(file, facts, error.cause ?? error)
    throw error
  }
}

/** `--private-key` of both programs that prove themselves by a key. */
export const PRIVATE_KEY_FILE: OptionFile = {
  option: '--private-key',
  expected: 'a private key in PEM',
  remedy: 'mint a pair with: socket-gateway certificates',
}

/** `--node-key`, of whatever a node seals or proves by it. */
export const NODE_KEY_FILE: OptionFile = {
  option: '--node-key',
  expected: 'the private key of the cluster in PEM',
  remedy: 'mint one with: socket-gateway certificates --private-key node.key --certificate node.crt',
}

/** An option with certificates in PEM. @param whose  such as `of the authority to trust` */
export const certificateFile = (option: string, whose: string): OptionFile => ({
  option,
  expected: `the certificate ${whose} in PEM`,
  remedy: 'leave the option out',
})
