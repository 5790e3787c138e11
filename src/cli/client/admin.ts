import { GatewayError } from '../../errors.ts'
import type { ServiceClient } from '../../client/service-client.ts'
import type { Account, AccountLimits, AuditEntry, Role } from '../../client/wire.ts'
import { textOfServer, parseServerUrl } from '../../client/server-url.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { adminAccountsOptions, adminInviteOptions, adminLimitsOptions, auditOptions, joinTokenOptions } from '../options/client.ts'
import { formatBox } from '../tables/box.ts'
import { answer } from './answer.ts'
import { credentialsOf, openClient, type ClientValues } from './open.ts'

const time = (text: string): string => `${text.slice(0, 19).replace('T', ' ')}Z`

const formatAccounts = (accounts: readonly Account[]): string =>
  formatBox({
    head: ['ACCOUNT ID', 'EMAIL', 'NAME', 'ROLE', 'STATE', 'SINCE'],
    rows: accounts.map(({ id, email, name, role, state, createdAt }) => [id, email, name, role, state, time(createdAt)]),
  })

/** The account that somebody means: by its id, or its e-mail address. @throws GatewayError NOT_FOUND */
async function accountOf(client: ServiceClient, text: string): Promise<Account> {
  if (!text.includes('@')) return client.accountOf(text)
  const { items } = await client.accounts({ email: text })
  const [account] = items
  if (account === undefined)
    throw new GatewayError('NOT_FOUND', `no account has the e-mail address ${JSON.stringify(text)}; see socket-gateway admin accounts`)
  return account
}

/** `admin accounts`. */
export async function runAdminAccounts(values: ValuesOf<typeof adminAccountsOptions>, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const accounts = values.email === undefined ? await client.allAccounts() : [await accountOf(client, values.email)]
  return answer(values, context, accounts, () => formatAccounts(accounts))
}

/** `admin suspend`: its sockets are out of force and its tunnels cut at once. */
export async function runAdminSuspend(text: string, values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const account = await client.suspend((await accountOf(client, text)).id)
  return answer(values, context, account, () => 'Account suspended\n')
}

/** `admin resume`. */
export async function runAdminResume(text: string, values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const account = await client.resume((await accountOf(client, text)).id)
  return answer(values, context, account, () => 'Account resumed\n')
}

/** `admin role`. */
export async function runAdminRole(text: string, role: string, values: ClientValues, context: CliContext): Promise<ExitStatus> {
  if (!['user', 'auditor', 'admin'].includes(role))
    throw new GatewayError('USAGE', `${JSON.stringify(role)}: expected one of user, auditor, admin`)
  const client = await openClient(values, context)
  const account = await client.setRole((await accountOf(client, text)).id, role as Role)
  return answer(values, context, account, () => formatAccounts([account]))
}

/** `admin delete`: the account with its sockets, for good. */
export async function runAdminDelete(text: string, values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const { id } = await accountOf(client, text)
  await client.deleteAccount(id)
  return answer(values, context, { id }, () => 'Account deleted\n')
}

const isYes = (word: 'yes' | 'no' | undefined): boolean | undefined => (word === undefined ? undefined : word === 'yes')

function limitsOf(values: ValuesOf<typeof adminLimitsOptions>): AccountLimits {
  const given: AccountLimits = {
    http: values.http,
    tcp: values.tcp,
    tunnels: values.tunnels,
    logWatchers: values['log-watchers'],
    creationsPerHour: values['creations-per-hour'],
    requestsPerSecond: values['requests-per-second'],
    concurrency: values.concurrency,
    maxConnections: values['max-connections'],
    bytesPerDay: values['bytes-per-day'],
    interstitial: isYes(values.interstitial),
    vanity: isYes(values.vanity),
    customDomains: isYes(values['custom-domains']),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/** `admin limits`: changes those that are given, and shows all that count. */
export async function runAdminLimits(text: string, values: ValuesOf<typeof adminLimitsOptions>, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const account = await accountOf(client, text)
  const change = limitsOf(values)
  const isChange = values.defaults || Object.keys(change).length > 0
  const { limits, limitsInForce } = isChange
    ? await client.setLimits(account.id, { ...(values.defaults ? {} : account.limits), ...change })
    : account
  return answer(values, context, { limits, limitsInForce }, () => {
    const rows = Object.entries(limitsInForce).map(([name, value]) => [
      name,
      typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value),
      Object.hasOwn(limits, name) ? 'account' : 'service',
    ])
    return formatBox({ head: ['LIMIT', 'VALUE', 'OF THE'], right: [1], rows })
  })
}

/** `admin invite`. */
export async function runAdminInvite(email: string, values: ValuesOf<typeof adminInviteOptions>, context: CliContext): Promise<ExitStatus> {
  const invitation = await (await openClient(values, context)).invite(email, values.role)
  const { link, isMailed } = invitation
  const letter =
    isMailed === false
      ? 'No letter goes to them, as this address has had too many within the hour: hand the link on yourself. Links before it are over.'
      : 'A letter with it goes to them as well, or into the outbox of a service that sends none.'
  return answer(
    values,
    context,
    invitation,
    () => `Invitation of ${email}: ${link}\n${letter}\nnext: socket-gateway account create --invitation '${link}'\n`,
  )
}

/** `admin join-token`: what an inner layer joins with. */
export async function runJoinToken(values: ValuesOf<typeof joinTokenOptions>, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const expiresAt = new Date(Date.now() + values.expires).toISOString()
  const token = await client.createJoinToken({ identifiers: values.identifier, uses: values.uses, expiresAt })
  const server = values.server ?? (await credentialsOf(values, context).currentServer()) ?? ''
  const place = `${textOfServer(parseServerUrl(server))}#${token.token}`
  return answer(
    values,
    context,
    { ...token, place },
    () => `next, on the machine of the inner layer: socket-gateway inner-layer join '${place}'\n`,
  )
}

/** `audit`: who did what, the latest first. */
export async function runAudit(values: ValuesOf<typeof auditOptions>, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const entries: AuditEntry[] = []
  let cursor: string | undefined
  do {
    const page = await client.audit({
      limit: Math.min(100, values.limit - entries.length),
      cursor,
      ...(values.account !== undefined && { accountId: values.account }),
      ...(values.action !== undefined && { action: values.action }),
      ...(values.since !== undefined && { since: new Date(Date.now() - values.since).toISOString() }),
    })
    entries.push(...page.items)
    cursor = page.next ?? undefined
  } while (cursor !== undefined && entries.length < values.limit)
  return answer(values, context, entries, () =>
    formatBox({
      head: ['AT', 'ACTOR', 'BY', 'FROM', 'ACTION', 'OBJECT', 'RESULT'],
      rows: entries.map(({ at, actor, actorKind, address, action, object, isRefused }) => [
        time(at),
        actor,
        actorKind,
        address,
        action,
        object,
        isRefused ? 'refused' : 'done',
      ]),
    }),
  )
}
