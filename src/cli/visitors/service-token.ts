import { open, rm } from 'node:fs/promises'
import { stateFileOf } from '../../config/visitors/state-file.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { changeFile, readIfAny } from '../../files/change-file.ts'
import { printable } from '../../telemetry/pretty.ts'
import { addServiceToken, readServiceTokens, removeServiceToken } from '../../visitors/tokens/service-token.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { auditCommand } from './audit-file.ts'
import { formatTable } from '../command/table.ts'
import type { serviceTokenCreateOptions, serviceTokenListOptions, serviceTokenRevokeOptions } from '../options/visitors.ts'

const OWNER_ONLY = 0o600

/**
 * `service-token create`: makes a token for a program and prints it once.
 * @throws GatewayError USAGE, CONFIG_INVALID, FILE_EXISTS, FILE_UNREADABLE
 */
export async function runServiceTokenCreate(options: ValuesOf<typeof serviceTokenCreateOptions>, context: CliContext): Promise<ExitStatus> {
  const { stdout } = context
  const { visitors, name, target: targets, paths, expires: lastsMs, file, json } = options
  const methods = [...new Set(options.methods.flatMap(each => each.split(',')))]
  const output = file === undefined ? undefined : await createFile(file)
  try {
    const { token, stored } = await changeFile(stateFileOf(visitors, 'tokens'), text => {
      const added = addServiceToken(text, { name, targets, methods, paths, lastsMs }, Date.now())
      return { text: added.text, result: added }
    })
    await output?.writeFile(`${token}\n`)
    const { id, expiresAt } = stored
    await auditCommand(visitors, { kind: 'token-created', id, who: name, targets, methods, paths, expiresAt }, context)
    const { hash: _, ...facts } = stored
    if (json) stdout.write(`${JSON.stringify({ ...facts, ...(file === undefined ? { token } : { file }) })}\n`)
    else
      stdout.write(
        [
          file === undefined ? `token: ${token}` : `wrote ${file}: the token, readable by you only`,
          `id: ${stored.id}`,
          `expires: ${stored.expiresAt}`,
          targets.every(isTunnel)
            ? `next: give it to the program: socket-gateway forward --token-file FILE LISTEN wss://HOST/tunnel/${targets[0] ?? ''}`
            : 'next: give it to the program, which sends "Authorization: Bearer TOKEN", or X-SG-Token; git: https://ci:TOKEN@HOST/…',
          `its ${targets.every(isTunnel) ? 'tunnel' : 'target'} needs "access: { tokens: true }"; it is shown this once, and kept as a hash`,
          '',
        ].join('\n'),
      )
    return 0
  } catch (error) {
    if (file !== undefined) await rm(file, { force: true })
    throw error
  } finally {
    await output?.close()
  }
}

/** HOST:PORT; targets have no port. */
const isTunnel = (name: string): boolean => /:\d+$/.test(name)

const createFile = (file: string): ReturnType<typeof open> =>
  open(file, 'wx', OWNER_ONLY).catch((cause: unknown) => {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST')
      throw new GatewayError('FILE_EXISTS', `--file ${file}: exists and is not overwritten; choose another path, or remove it first`, {
        cause,
      })
    throw new GatewayError('FILE_UNREADABLE', `--file ${file}: ${messageOf(cause)}; expected a path where a file can be created`, { cause })
  })

/** `service-token ls`: prints the tokens, never what they are. @throws GatewayError CONFIG_INVALID, FILE_UNREADABLE */
export async function runServiceTokenList(
  { visitors, json }: ValuesOf<typeof serviceTokenListOptions>,
  { stdout }: CliContext,
): Promise<ExitStatus> {
  const file = stateFileOf(visitors, 'tokens')
  const text = await readIfAny(file).catch((cause: unknown) => {
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
  })
  const tokens = readServiceTokens(text)
  if (json) stdout.write(`${JSON.stringify(tokens.map(({ hash: _, ...shown }) => shown))}\n`)
  else if (tokens.length === 0) stdout.write('no service tokens\n')
  else {
    const rows = tokens.map(({ id, name, targets, methods, paths, expiresAt }) =>
      [
        id,
        name,
        targets.join(', '),
        methods.join(', '),
        paths.length === 0 ? 'any' : paths.join(', '),
        Date.parse(expiresAt) <= Date.now() ? `expired ${expiresAt}` : expiresAt,
      ].map(printable),
    )
    stdout.write(formatTable([['ID', 'NAME', 'TARGETS', 'METHODS', 'PATHS', 'EXPIRES'], ...rows]))
  }
  return 0
}

/** `service-token revoke`: ends a token; what is open by it ends too. @throws GatewayError USAGE, FILE_UNREADABLE */
export async function runServiceTokenRevoke(
  wanted: string,
  { visitors, json }: ValuesOf<typeof serviceTokenRevokeOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  const removed = await changeFile(stateFileOf(visitors, 'tokens'), text => {
    const change = removeServiceToken(text, wanted)
    return { text: change.text, result: change.removed }
  })
  await auditCommand(visitors, { kind: 'token-revoked', id: removed.id, who: removed.name }, context)
  const { id, name } = removed
  context.stdout.write(json ? `${JSON.stringify({ id, name })}\n` : `revoked ${printable(name)} (${id}); it is refused within a second\n`)
  return 0
}
