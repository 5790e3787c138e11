import { readFile } from 'node:fs/promises'
import { GatewayError } from '../../errors.ts'
import type { SshKey } from '../../client/wire.ts'
import { printable } from '../../telemetry/pretty.ts'
import { formatBox } from '../tables/box.ts'
import { formatAccount } from '../tables/service-tables.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { askFor } from '../command/prompt.ts'
import type { accountCreateOptions } from '../options/client.ts'
import { answer, shownTime } from './answer.ts'
import { anonymousClient, openClient, type ClientValues } from './open.ts'

const NO_FILE: ReadonlySet<unknown> = new Set(['ENOENT', 'ENAMETOOLONG', 'ENOTDIR', 'EISDIR'])

/** The line of a public key: of the file that the text names, or the text itself. @throws GatewayError USAGE for a private key */
async function publicKey(text: string): Promise<string> {
  const content = await readFile(text, 'utf8').catch((error: unknown) => {
    if (NO_FILE.has((error as NodeJS.ErrnoException).code)) return text
    throw new GatewayError('FILE_UNREADABLE', `${text}: cannot be read; give the file of a public key such as ~/.ssh/id_ed25519.pub`)
  })
  if (content.includes('PRIVATE KEY'))
    throw new GatewayError('USAGE', 'this is a private key, which nobody else may have; give the file that ends in .pub')
  const line = content.trim()
  if (content === text && !/\s/.test(line))
    throw new GatewayError(
      'FILE_UNREADABLE',
      `${line.slice(0, 200)}: no such file; give that of a public key, such as ~/.ssh/id_ed25519.pub, or its text`,
    )
  if (!/^[\w@.-]{1,60} [A-Za-z0-9+/=]{20,}/.test(line))
    throw new GatewayError('USAGE', 'expected an SSH public key, or a file that has one, such as ~/.ssh/id_ed25519.pub')
  return line
}

/** The token of a link such as `https://api.example.com/invitation#TOKEN`, and the server that it names. */
function invitationOf(text: string): { readonly token: string; readonly server: string | undefined } {
  const [url = '', token] = text.split('#')
  if (token === undefined) return { token: text, server: undefined }
  return { token, server: URL.canParse(url) ? new URL(url).origin : undefined }
}

/** `account create`: asks for an account, which a link in a mail confirms, or takes an invitation. */
export async function runAccountCreate(values: ValuesOf<typeof accountCreateOptions>, context: CliContext): Promise<ExitStatus> {
  const invitation = values.invitation === undefined ? undefined : invitationOf(values.invitation)
  const server = values.server ?? invitation?.server
  const client = await anonymousClient({ ...values, ...(server !== undefined && { server }) }, context)
  const sshKey = values.sshkey === undefined ? undefined : await publicKey(values.sshkey)
  const key = sshKey === undefined ? {} : { sshKey }
  const [name = '', email = '', password = ''] = await askFor(
    [
      { value: values.name, label: 'Name: ', option: '--name' },
      { value: invitation === undefined ? values.email : '', label: 'Email: ', option: '--email' },
      { value: values.password, label: 'Password: ', option: '--password', isHidden: true },
    ],
    context,
  )
  if (invitation !== undefined) {
    const account = await client.acceptInvitation({ token: invitation.token, name, password, ...key })
    const { email: given } = values
    if (given !== undefined && given.toLowerCase() !== account.email.toLowerCase())
      context.stderr.write(
        `socket-gateway: warning: the account has the address of the invitation, ${printable(account.email)}, and not that of --email\n`,
      )
    const where = server === undefined ? '' : ` --server ${server}`
    return answer(
      values,
      context,
      account,
      () =>
        `Congratulation! your account has been created.\nAfter that login with: socket-gateway login --email ${account.email}${where}\n`,
    )
  }
  await client.signUp({ name, email, password, ...key })
  return answer(
    values,
    context,
    { email },
    () =>
      `Congratulation! your account has been created. A confirmation email has been sent to ${email}\nPlease complete the account registration by following the confirmation link in your email.\nAfter that login with: socket-gateway login --email ${email}\n`,
  )
}

/** `account show`: the account and its SSH keys. */
export async function runAccountShow(values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const [account, keys] = await Promise.all([client.account(), client.sshKeys()])
  return answer(values, context, { ...account, sshKeys: keys }, () => formatAccount(account, keys))
}

const formatKeys = (keys: readonly SshKey[]): string =>
  formatBox({
    head: ['KEY ID', 'TYPE', 'FINGERPRINT', 'LAST USED', 'COMMENT'],
    rows: keys.map(({ id, algorithm, fingerprint, usedAt, comment }) => [
      id,
      algorithm,
      fingerprint,
      usedAt === null ? 'never' : shownTime(usedAt),
      comment,
    ]),
  })

/** `account keys ls`. */
export async function runKeysLs(values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const keys = await (await openClient(values, context)).sshKeys()
  return answer(values, context, keys, () => formatKeys(keys))
}

/** `account keys add`. @param text  the key, or a file that has it */
export async function runKeysAdd(text: string, values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const line = await publicKey(text)
  const key = await (await openClient(values, context)).addSshKey(line)
  return answer(values, context, key, () => formatKeys([key]))
}

/** `account keys delete`. @param id  of the key, or its fingerprint */
export async function runKeysDelete(id: string, values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const meant = id.startsWith('SHA256:') ? (await client.sshKeys()).find(({ fingerprint }) => fingerprint === id)?.id : id
  if (meant === undefined) throw new GatewayError('NOT_FOUND', `no key has the fingerprint ${id}; see socket-gateway account keys ls`)
  await client.removeSshKey(meant)
  return answer(values, context, { id: meant }, () => 'Key deleted\n')
}
