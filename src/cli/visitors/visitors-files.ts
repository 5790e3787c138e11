import { readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { parseVisitorsConfig } from '../../config/visitors/visitors-config.ts'
import { appendRevocation, readVisitorsPlaces } from '../../config/visitors/visitors-file.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { createKeyText, MAX_KEYS, rotateKeyText } from '../../visitors/session/key-ring.ts'
import type { Revocation } from '../../visitors/session/revocations.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { auditCommand } from './audit-file.ts'
import { writeNewFiles } from '../command/new-files.ts'
import type { ValuesOf } from '../command/option.ts'
import type { visitorsInitOptions, visitorsRevokeOptions, visitorsRotateOptions } from '../options/visitors.ts'

const OWNER_ONLY = 0o600
const EVERYBODY = 0o644
const PROVIDER = 'company'

type InitValues = ValuesOf<typeof visitorsInitOptions>

/** The text of a file of logins, with what can be left out left out. */
export function visitorsYaml({
  auth,
  issuer,
  'client-id': clientId = 'socket-gateway',
}: Pick<InitValues, 'auth' | 'issuer' | 'client-id'>): string {
  const comment = issuer === undefined ? '# ' : ''
  const provider = `${PROVIDER}: { issuer: ${JSON.stringify(issuer ?? 'https://idp.example.com')}, clientId: ${JSON.stringify(clientId)}, clientSecretFile: ${PROVIDER}.secret }`
  return `# Logins of visitors, see docs/visitors.md. Followed while it runs: a bad change is logged with its line and not taken.
auth: ${JSON.stringify(auth)}
# name: Example Corp   # on every page, with logo: logo.svg
sessionHours: 8
# idleHours: 2
providers:${issuer === undefined ? ' {}' : ''}
${comment}  ${provider}
#   google: { kind: google, clientId: …, clientSecretFile: google.secret }
#   github: { kind: github, clientId: …, clientSecretFile: github.secret }
`
}

/** `visitors init`: the file of logins, and its keys. @throws GatewayError FILE_EXISTS, CONFIG_INVALID */
export async function runVisitorsInit(values: InitValues, { stdout }: CliContext): Promise<ExitStatus> {
  const { visitors: file, force } = values
  const text = visitorsYaml(values)
  // What it says has to be right, but for the secret, which comes next.
  const { authUrl, keysFile } = parseVisitorsConfig(text, file, {
    secret: () => '-',
    text: () => '',
    logo: () => ({ type: '', bytes: Buffer.alloc(0) }),
  })
  await writeNewFiles(
    [
      { path: file, mode: EVERYBODY, text },
      { path: keysFile, mode: OWNER_ONLY, text: createKeyText(Date.now()) },
    ],
    force,
  )
  const secret = path.join(path.dirname(file), `${PROVIDER}.secret`)
  const provider = values.issuer === undefined ? `name a provider in ${file}` : `put the client secret into ${secret}, readable by you only`
  stdout.write(
    [
      `wrote ${file} and ${keysFile}, the keys of sessions, readable by you only`,
      `next: at the provider, register ${authUrl}/callback/${PROVIDER} as redirect URI of this client; ${provider};`,
      `then: socket-gateway outer-layer --visitors ${file} …, and access: { login: … } in a target`,
      '',
    ].join('\n'),
  )
  return 0
}

/** `visitors rotate`: a new key before the others. @throws GatewayError FILE_UNREADABLE, KEY_INVALID */
export async function runVisitorsRotate(
  { visitors: file }: ValuesOf<typeof visitorsRotateOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  const { keysFile } = await readVisitorsPlaces(file)
  const fresh = `${keysFile}.new`
  const text = rotateKeyText(await textOf(keysFile), Date.now())
  try {
    // In one step: a process that reads it meanwhile finds the old keys, or all of them.
    await writeFile(fresh, text, { mode: OWNER_ONLY, flag: 'wx' })
    await rename(fresh, keysFile)
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `${fresh}: ${messageOf(cause)}`, { cause })
  }
  await auditCommand(file, { kind: 'keys-rotated' }, context)
  context.stdout.write(`a new key seals and signs from now on; the last ${MAX_KEYS - 1} before it still open what they have sealed\n`)
  return 0
}

/** `visitors revoke`: ends sessions, within a second. @throws GatewayError USAGE, FILE_UNREADABLE, CONFIG_INVALID */
export async function runVisitorsRevoke(values: ValuesOf<typeof visitorsRevokeOptions>, context: CliContext): Promise<ExitStatus> {
  const revocation = revocationOf(values)
  const { revokedFile } = await readVisitorsPlaces(values.visitors)
  await appendRevocation(revokedFile, revocation)
  const of = values.email ?? values.account ?? values.session ?? 'all'
  await auditCommand(values.visitors, { kind: 'sessions-revoked', of }, context)
  context.stdout.write(`wrote ${revokedFile}; these sessions are over within a second, and who logs in from now on is not concerned\n`)
  return 0
}

function revocationOf({ email, account, session, all }: ValuesOf<typeof visitorsRevokeOptions>): Revocation {
  const atMs = Date.now()
  const bar = account?.indexOf('|') ?? -1
  const given: readonly (Revocation | undefined)[] = [
    email === undefined ? undefined : { kind: 'email', atMs, email },
    account === undefined
      ? undefined
      : { kind: 'account', atMs, provider: account.slice(0, Math.max(0, bar)), subject: account.slice(bar + 1) },
    session === undefined ? undefined : { kind: 'session', atMs, id: session },
    all ? { kind: 'all', atMs } : undefined,
  ]
  const [one, ...more] = given.filter(each => each !== undefined)
  if (one === undefined || more.length > 0)
    throw new GatewayError('USAGE', 'expected exactly one of --email, --account, --session and --all')
  if (account !== undefined && bar < 1)
    throw new GatewayError('USAGE', `--account ${account}: expected PROVIDER|SUBJECT, such as company|1234`)
  return one
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
  }
}
