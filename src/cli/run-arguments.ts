import { ApiError } from '../client/api-error.ts'
import { asGatewayError, ERRORS, type ErrorCode, type GatewayError } from '../errors.ts'
import { nearest } from '../config/document/nearest.ts'
import type { Command, ExitStatus } from './command/command.ts'
import { COMMANDS } from './commands.ts'
import { readConfigFile, type ConfigFile } from './command/config-file.ts'
import type { CliContext } from './command/context.ts'
import type { OptionTable } from './command/option.ts'
import { doubtfulValues, misspeltVariables, resolveOptions } from './command/resolve.ts'
import { configOption, findCommand, isConfigurable, NAME, optionsOf, usage, withoutAlias } from './find-command.ts'
import { plainArguments } from './plain-arguments.ts'

const namesOf = (options: OptionTable): string[] => Object.entries(options).flatMap(([name, { aliases = [] }]) => [name, ...aliases])

interface Parsed {
  /** Words without dashes. */
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
  /** The text of --help, --version or completion. */
  readonly output: string
}

async function parse(context: CliContext): Promise<Parsed> {
  const plain = plainArguments(withoutAlias(context.argv))
  if (plain !== undefined) return { ...plain, output: '' }
  let output = ''
  const { createParser } = await import('./parser.ts')
  const parsed = await createParser(context).parseAsync(
    [...withoutAlias(context.argv)],
    {},
    (_error: unknown, _argv: unknown, text: string) => {
      output = text
    },
  )
  const { _: words, $0: _script, ...flags } = parsed as { _: unknown[]; $0: string } & Record<string, unknown>
  return { words: withoutAlias(words.map(String)), flags, output }
}

/** The admin port is `--admin` of the commands that ask for its pages, and `--inspector` of those that ask its inspector. */
const elsewhere = (stranger: string, known: readonly string[]): string | undefined =>
  stranger === 'admin' && known.includes('inspector') ? 'inspector' : undefined

/** @throws GatewayError USAGE with a suggestion for an option or an argument that the command does not have */
function checkStrangers(command: Command, { words, flags }: Parsed): void {
  const help = `see ${NAME} ${command.words.join(' ')} --help`
  const known = [...namesOf(optionsOf(command)), 'help', 'version']
  const places = [...(command.positionals ?? []), ...(command.rest === undefined ? [] : [command.rest])].map(({ name }) => name)
  const stranger = Object.keys(flags).find(name => !known.includes(name) && !places.includes(name) && name !== 'h' && name !== 'v')
  if (stranger !== undefined) {
    const meant = elsewhere(stranger, known) ?? nearest(stranger, known)
    throw usage(
      `unknown option ${stranger.length === 1 ? '-' : '--'}${stranger}${meant === undefined ? '' : `, did you mean --${meant}?`}; ${help}`,
    )
  }
  const extra = words[command.words.length]
  if (extra !== undefined) throw usage(`unexpected argument "${extra}"; ${help}`)
}

async function runCommand(command: Command, parsed: Parsed, context: CliContext): Promise<ExitStatus> {
  checkStrangers(command, parsed)
  const { flags } = parsed
  const env = isConfigurable(command) ? context.env : {}
  const given = (command.positionals ?? []).filter(({ name }) => flags[name] !== undefined)
  const args = Object.fromEntries(given.map(({ name }) => [name, String(flags[name])]))
  const noFile: ConfigFile = new Map()
  const { config: file } = resolveOptions(configOption, { flags, env, config: noFile })
  const config = file === undefined ? noFile : await readConfigFile(file, command.options)
  const values = resolveOptions(command.options, { flags, env, config })
  const others = COMMANDS.flatMap(other => namesOf(optionsOf(other)))
  // Of a process that this program starts itself, the one that has started it has said so.
  const isOwn = command.isHidden === true
  const warnings = isOwn
    ? []
    : [...misspeltVariables(env, optionsOf(command), others), ...doubtfulValues(command.options, { flags, env, config })]
  for (const warning of warnings) context.stderr.write(`${NAME}: warning: ${warning}\n`)
  const rest = command.rest === undefined ? undefined : flags[command.rest.name]
  return command.run(values, args, context, Array.isArray(rest) ? rest.map(String) : [])
}

/** The level is looked up by hand, because an error may come before the options are known. */
const isDebugging = ({ argv, env }: CliContext): boolean =>
  /(?:^|\0)--log-level[=\0]debug(?:\0|$)/.test(argv.join('\0')) || env['SG_LOG_LEVEL'] === 'debug'

/** Next commands for what the API refuses and does not say itself. */
const NEXT: Partial<Record<ErrorCode, string>> = {
  UNAUTHENTICATED: 'socket-gateway login',
  LIMIT_REACHED: 'socket-gateway socket ls',
  NOT_FOUND: 'socket-gateway socket ls',
}

/** Commands whose last argument is no socket, and where it is found. */
const LISTS: readonly (readonly [command: string, list: string])[] = [
  ['tunnel delete', 'socket-gateway tunnel ls --socket-id SOCKET'],
  ['tunnel connect', 'socket-gateway tunnel ls --socket-id SOCKET'],
  ['inner revoke', 'socket-gateway inner ls'],
  ['admin', 'socket-gateway admin accounts'],
]

const listOf = (argv: readonly string[]): string | undefined =>
  LISTS.find(([command]) => `${withoutAlias(argv).join(' ')} `.startsWith(`${command} `))?.[1]

/** A login does not help those who came with a token of their own. */
const nextOf = (code: ErrorCode, { argv, env }: CliContext): string | undefined =>
  (code === 'NOT_FOUND' ? listOf(argv) : undefined) ??
  (code === 'UNAUTHENTICATED' && ((env['SG_API_TOKEN'] ?? '') !== '' || argv.some(text => /^--api[-_]token(?:=|$)/.test(text)))
    ? 'another token in SG_API_TOKEN (POST /api/v1/account/tokens makes them), or none and socket-gateway login'
    : NEXT[code])

/** Of these, a message of its own that goes on behind a semicolon says what to do next. */
const SAYS_ITSELF: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['NOT_FOUND', 'UNAUTHENTICATED'])

/** The rest of an answer of the API beside its message: each fault with its place, what to do next, and under which number its operator finds the call. */
function moreOf(error: GatewayError, context: CliContext): readonly string[] {
  const faults = error.details.map(({ path, message }) => `${path}: ${message}`).filter(fault => !error.message.includes(fault))
  if (!(error instanceof ApiError)) return faults
  // A link or a token for one purpose that is not valid any more says whom to ask.
  const saysItself = SAYS_ITSELF.has(error.code) && error.message !== ERRORS[error.code].text && error.message.includes('; ')
  const next = saysItself ? undefined : nextOf(error.code, context)
  const patience = error.retryAfterS === undefined ? '' : `try again in ${error.retryAfterS} s`
  const wait = patience === '' || error.message.includes(patience) ? [] : [patience]
  const id = error.requestId === '' ? '' : `, request id ${error.requestId}`
  return [...faults, ...wait, ...(next === undefined ? [] : [`next: ${next}`]), `code ${error.code}${id}`]
}

function report(thrown: unknown, context: CliContext): ExitStatus {
  const error = asGatewayError(thrown)
  const [first = '', ...rest] = [...error.message.split('\n'), ...moreOf(error, context)]
  context.stderr.write([`${NAME}: ${first}`, ...rest.map(line => `  ${line}`), ''].join('\n'))
  if (isDebugging(context)) context.stderr.write(`${(error.cause instanceof Error ? error.cause.stack : undefined) ?? error.stack ?? ''}\n`)
  return error.facts.exit
}

/**
 * Runs the command that the arguments name, to its end.
 * @returns the exit status; what went wrong has been written to stderr, in one line for each fault
 */
export async function runArguments(context: CliContext): Promise<ExitStatus> {
  try {
    if (context.argv.length === 0) {
      const { createParser } = await import('./parser.ts')
      context.stderr.write(`${await createParser(context).getHelp()}\n`)
      return 2
    }
    const raw = COMMANDS.find(({ words, raw: takes }) => takes !== undefined && words[0] === context.argv[0])
    if (raw?.raw !== undefined) return await raw.raw(context.argv.slice(1), context)
    const parsed = await parse(context)
    if (parsed.output !== '') {
      context.stdout.write(parsed.output.endsWith('\n') ? parsed.output : `${parsed.output}\n`)
      return 0
    }
    return await runCommand(findCommand(parsed.words), parsed, context)
  } catch (error) {
    return report(error, context)
  }
}
