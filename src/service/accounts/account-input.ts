/** Details of people about themselves, checked. */
import { invalid } from '../input/service-error.ts'
import { faultOfName, faultOfPassword, parseEmail } from '../input/texts.ts'
import { parsePublicKey, type SshPublicKey } from '../ssh-keys/public-key.ts'
import type { Fault } from '../../errors.ts'
import { GatewayError } from '../../errors.ts'

const EMAIL = 'expected an e-mail address such as ada@example.com'

/** A person who wants an account. */
export interface CheckedPerson {
  readonly name: string
  readonly email: string
  readonly password: string
  readonly key: SshPublicKey | undefined
}

/** @throws ServiceError INVALID with all faults; none of them repeats the password */
export function checkPerson(request: {
  readonly name: unknown
  readonly email: unknown
  readonly password: unknown
  readonly sshKey?: unknown
}): CheckedPerson {
  const faults: Fault[] = []
  const add = (path: string, message: string | undefined): void => {
    if (message !== undefined) faults.push({ path, message })
  }
  const email = parseEmail(request.email)
  add('name', faultOfName(request.name))
  add('email', email === undefined ? EMAIL : undefined)
  add('password', faultOfPassword(request.password, ...[request.name, request.email].filter(text => typeof text === 'string')))
  let key: SshPublicKey | undefined
  try {
    key = request.sshKey === undefined || request.sshKey === '' ? undefined : parsePublicKey(request.sshKey, 'sshKey')
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.details.length === 0) throw thrown
    faults.push(...thrown.details)
  }
  if (faults.length > 0) throw invalid(...faults)
  return { name: (request.name as string).trim(), email: email!, password: request.password as string, key }
}

/** @throws ServiceError INVALID */
export function checkEmail(email: unknown): string {
  const parsed = parseEmail(email)
  if (parsed === undefined) throw invalid({ path: 'email', message: EMAIL })
  return parsed
}

/** @throws ServiceError INVALID */
export function checkName(name: unknown): string {
  const fault = faultOfName(name)
  if (fault !== undefined) throw invalid({ path: 'name', message: fault })
  return (name as string).trim()
}

/** @throws ServiceError INVALID */
export function checkPassword(password: unknown, path: string, ...mustDiffer: readonly string[]): string {
  const fault = faultOfPassword(password, ...mustDiffer)
  if (fault !== undefined) throw invalid({ path, message: fault })
  return password as string
}
