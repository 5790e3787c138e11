import { readFile } from 'node:fs/promises'
import { ConfigError, unreadableTargets } from '../../config/document/fault.ts'
import { lintTargets } from '../../config/lint.ts'
import { parseTargets } from '../../config/targets.ts'
import { explain, type ExplainedRule, type Explanation } from '../../config/explain.ts'
import { ownAnswerOf } from '../../route/own-answer.ts'
import { originOf, type RouteTable, type Target } from '../../route/table.ts'
import { plural } from '../../telemetry/plural.ts'
import { printable } from '../../telemetry/pretty.ts'
import { GatewayError } from '../../errors.ts'
import { askStatus } from '../command/ask-status.ts'
import type { ExitStatus } from '../command/command.ts'
import type { ValuesOf } from '../command/option.ts'
import { connectedTo, unservedOf, unservedText } from '../command/unserved.ts'
import { readPasswordFile } from '../options/admin.ts'
import type { targetsCheckOptions } from '../options/status.ts'
import type { targetsExplainOptions } from '../options/visitors.ts'
import type { CliContext } from '../command/context.ts'
import { formatTable } from '../command/table.ts'
import { explainTcp, formatBlindNames, formatTcpPorts } from './targets-tcp.ts'
import { formatTunnels } from './targets-tunnels.ts'

async function readTargets(file: string): Promise<RouteTable> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw unreadableTargets(file, cause)
  })
  return parseTargets(text, file)
}

const policyOf = ({ policy }: Target): string =>
  policy.any ? 'everything' : policy.rules.length === 0 ? 'nothing' : plural(policy.rules.length, 'rule')

/** Where requests go, or what is answered instead. */
const destinationOf = (target: Target): string => ownAnswerOf(target) ?? originOf(target)

const identifiersOf = (identifiers: readonly string[] | undefined): string => identifiers?.join(', ') ?? 'any'

/**
 * `targets check FILE`: prints host → origin, policy and identifiers of each target, and warnings.
 * @throws ConfigError with every fault of the file
 */
export async function runTargetsCheck(
  file: string,
  { admin, 'password-file': passwordFile, visitors }: ValuesOf<typeof targetsCheckOptions>,
  { stdout }: CliContext,
): Promise<ExitStatus> {
  const table = await readTargets(file)
  if (visitors !== undefined) {
    const unknown = await (await import('../visitors/unknown-providers.ts')).unknownProviders(table, visitors)
    // Nobody could come in there.
    if (unknown.length > 0) throw new ConfigError(unknown.map(({ line, text }) => ({ file, line, column: 1, path: '', message: text })))
  }
  const unserved = admin === undefined ? [] : await unservedAt(admin, table, passwordFile)
  const warnings = lintTargets(table)
  const rows = table.all.map(target =>
    [target.name, destinationOf(target), policyOf(target), target.hostname === '' ? '–' : identifiersOf(target.identifiers)].map(printable),
  )
  if (rows.length > 0) stdout.write(`${formatTable([['HOST', 'ORIGIN', 'POLICY', 'INNER LAYER'], ...rows])}\n`)
  stdout.write(formatBlindNames(table.blind) + formatTcpPorts(table.tcp) + formatTunnels(table.tunnels))
  for (const { line, target, pattern, message } of warnings) {
    stdout.write(`${file}:${line}: warning: ${printable(`${target}${pattern === undefined ? '' : ` ${pattern}`}: ${message}`)}\n`)
  }
  for (const { line, text } of unserved) stdout.write(`${file}:${line}: warning: ${printable(text)}\n`)
  const count = warnings.length + unserved.length
  stdout.write(`${file}: valid, ${plural(table.targets.length, 'target')}, ${plural(count, 'warning')}\n`)
  return 0
}

/** Finds what no inner layer serves that is connected to the outer layer with this admin port. */
async function unservedAt(
  admin: string,
  table: RouteTable,
  passwordFile: string | undefined,
): Promise<readonly { readonly line: number; readonly text: string }[]> {
  const password = passwordFile === undefined ? undefined : await readPasswordFile(passwordFile, '--password-file')
  const connected = connectedTo((await askStatus(admin, password)).status)
  if (connected === undefined) throw new GatewayError('USAGE', `--admin ${admin}: this is an inner layer; expected an outer one`)
  return unservedOf(table, connected).map(each => ({ line: each.line, text: `${each.name}: ${unservedText(each, connected)}` }))
}

/** A query with a share link: whoever has it comes in, so it is shown no more than a token. */
const hasShare = (query: string): boolean => /[?&]sg-share=/.test(query)
const withoutShare = (text: string): string => text.replace(/([?&]sg-share=)[^&\s]*/g, '$1…')

function effectOf(rule: ExplainedRule, decisive: ExplainedRule | undefined): string {
  if (!rule.matchesPath) return 'path does not match'
  if (!rule.allowsMethod) return 'method does not match'
  return rule.line === decisive?.line && rule.pattern === decisive.pattern ? 'allows it: this one decides' : 'allows it too'
}

function linesOf(explanation: Explanation, file: string): string {
  const { host, target, route, hostRule, path, query, rules, rule, effects, originUrl, identifiers } = explanation
  const rows: (readonly [string, string | undefined])[] = [
    ['request', `${explanation.method} ${explanation.url}`],
    ['host', host],
    [
      'target',
      target &&
        `"${target.name}"${target.line === 0 ? ', a socket of the service' : `, ${file}:${target.line}`}${hostRule === undefined ? '' : ` (${hostRule === 'any' ? 'any host' : hostRule})`}`,
    ],
    ['route', route && `${route.path}, ${file}:${route.line}`],
    ['match', route?.match],
    ['path', path],
    ['query', query === '' || query === undefined ? undefined : `${query} (no part of any path)`],
    ['ambiguous', explanation.ambiguous],
    ['origin', originUrl],
    [
      'by',
      target &&
        (originUrl ?? explanation.code) &&
        (identifiers === undefined ? 'any inner layer' : `inner layer ${identifiers.join(' or ')}`),
    ],
  ]
  const facts = formatTable(rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, printable(value)]])))
  const judged = rules.map(each => [
    `${file}:${each.line}`,
    printable(each.pattern),
    printable(each.methods.join(', ')),
    effectOf(each, rule),
  ])
  const others = formatTable(effects.map(([key, text]) => [key, printable(text)]))
  return `${facts}${others === '' ? '' : `\n${others}`}${judged.length > 0 ? `\n${formatTable([['RULE', 'PATH', 'METHODS', ''], ...judged])}` : ''}`
}

/**
 * `targets explain FILE METHOD URL`: prints the target and the rule that decide on a request, without sending it. With the method TCP, and
 * `NAME:PORT` or `:PORT` for the URL: where a connection to that port would go.
 * With somebody who would come: which lane of `access` decides on them, and why.
 * @returns 0 when the request is allowed, 1 when it is refused
 * @throws ConfigError with every fault of the file
 */
export async function runTargetsExplain(
  args: { readonly file: string; readonly method: string; readonly url: string },
  { as: email, token, visitors, certificate, directory, header }: ValuesOf<typeof targetsExplainOptions>,
  { stdout }: CliContext,
): Promise<ExitStatus> {
  const own = await readTargets(args.file)
  if (args.method === 'TCP') {
    const { text, isAllowed } = explainTcp(own, args.url, args.file)
    stdout.write(text)
    return isAllowed ? 0 : 1
  }
  const table = directory === undefined ? own : await (await import('./table-with-sockets.ts')).tableWithSockets(own, directory)
  const explanation = explain(table, args.method, args.url, header.flat())
  const code = explanation.code === undefined ? '' : ` (${explanation.code})`
  const { host, target: named, route, path, method, query = '' } = explanation
  const target = host === undefined ? undefined : table.match(host)
  const judged =
    route === undefined ? target : target?.routes?.all.find(({ line, match }) => line === route.line && match?.text === route.match)
  const access = judged?.treatment?.access
  const isAsked = email !== undefined || token !== undefined || certificate !== undefined || hasShare(query)
  const visitor =
    isAsked && access !== undefined && host !== undefined && path !== undefined && judged !== undefined && named !== undefined
      ? await (
          await import('../visitors/targets-visitor.ts')
        ).explainVisitor({ email, token, certificate, visitors, target: judged.name, access, method, host, path, query })
      : undefined
  const who = !isAsked ? '' : `\nvisitor  ${printable(visitor?.text ?? 'everybody: the target has no access')}\n`
  stdout.write(`${withoutShare(linesOf(explanation, args.file))}${who}\n${explanation.verdict}: ${printable(explanation.reason)}${code}\n`)
  return explanation.verdict === 'allowed' && visitor?.isAdmitted !== false ? 0 : 1
}
