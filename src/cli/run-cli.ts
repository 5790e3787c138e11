import yargs, { type Argv } from 'yargs'
import { asGatewayError, GatewayError, messageOf } from '../errors.ts'
import { nearest } from '../config/document/nearest.ts'
import { VERSION } from '../version.ts'
import type { Command, ExitStatus } from './command/command.ts'
import { COMMANDS } from './commands.ts'
import { readConfigFile, type ConfigFile } from './command/config-file.ts'
import type { CliContext } from './command/context.ts'
import { FILE, optional, type OptionTable } from './command/option.ts'
import { doubtfulValues, misspeltVariables, resolveOptions } from './command/resolve.ts'

const NAME = 'socket-gateway'
const MAX_WIDTH = 110

const configOption = { config: optional(FILE, { describe: 'YAML file with options by name, such as "app-port: 3000"' }) }

/** May the options of this command also stand in the environment and in a file? */
const isConfigurable = ({ options, flagsOnly = false }: Command): boolean => !flagsOnly && Object.keys(options).length > 0

const optionsOf = (command: Command): OptionTable => (isConfigurable(command) ? { ...command.options, ...configOption } : command.options)

const namesOf = (options: OptionTable): string[] => Object.entries(options).flatMap(([name, { aliases = [] }]) => [name, ...aliases])

/** The words with the name of the command itself where another name of it was given. */
function withoutAlias(words: readonly string[]): readonly string[] {
  const [first = '', ...rest] = words
  return [COMMANDS.find(({ aliases }) => aliases?.includes(first))?.words[0] ?? first, ...rest].slice(0, words.length)
}

const isBelow = (command: Command, words: readonly string[]): boolean => words.every((word, index) => command.words[index] === word)

const usage = (message: string): GatewayError => new GatewayError('USAGE', message)

// --- yargs: splits the command line and writes the help. It neither converts nor defaults nor reads the environment: resolve.ts does,
// --- so that a value is judged in the same way wherever it comes from.

function declareOptions(parser: Argv, options: OptionTable, groups: Command['groups'] = {}): Argv {
  for (const [heading, names] of Object.entries(groups)) parser.group([...names], `${heading}:`)
  for (const [name, option] of Object.entries(options)) {
    parser.option(name, {
      describe: option.describe,
      ...(option.aliases && { alias: [...option.aliases] }),
      ...(option.kind === 'flag' ? { boolean: true } : option.mayBeEmpty === true ? { string: true } : { requiresArg: true }),
      ...(option.defaultText !== undefined && { defaultDescription: option.defaultText }),
      ...(option.isRequired && { describe: `${option.describe} [required]` }),
    })
  }
  return parser
}

const lastWord = (command: Command): string => command.words.at(-1) ?? ''

function declareCommand(parser: Argv, command: Command): Argv {
  const { positionals = [], rest, examples = [] } = command
  const places = positionals.map(({ name }) => ` <${name}>`).join('') + (rest === undefined ? '' : ` [${rest.name}..]`)
  const names = [`${lastWord(command)}${places}`, ...(command.aliases ?? [])]
  return parser.command(names, command.describe, inner => {
    declareOptions(inner, optionsOf(command), command.groups).usage(
      `${NAME} ${command.words.join(' ')}${places.toUpperCase()}\n\n${command.describe}.`,
    )
    for (const { name, describe } of rest === undefined ? positionals : [...positionals, rest])
      inner.positional(name, { describe, type: 'string' })
    for (const [line, text] of examples) inner.example(line, text)
    if (isConfigurable(command)) {
      inner.epilogue(
        'Options may also be given as SG_* environment variables (--app-port as SG_APP_PORT, lists with commas) and in the file of --config. Flags go before the environment, the environment before the file, the file before defaults.',
      )
    }
    return inner
  })
}

/** The few complaints that are left to yargs, in our words. */
function explainFailure(message: string, argv: readonly string[]): string {
  const command = COMMANDS.find(({ words }) => words.every(word => argv.includes(word)))
  const help = `see ${[NAME, ...(command?.words ?? [])].join(' ')} --help`
  const [, option] = /^Not enough arguments following: (.*)$/.exec(message) ?? []
  if (option !== undefined) return `--${option} needs a value; ${help}`
  const places = (command?.positionals ?? []).map(({ name }) => name.toUpperCase())
  if (message.startsWith('Not enough non-option arguments')) return `an argument is missing, expected ${places.join(' ')}; ${help}`
  return `${message}; ${help}`
}

function createParser(context: CliContext): Argv {
  const parser = yargs()
    .scriptName(NAME)
    .usage(`${NAME} <command>\n\nReach private HTTP APIs from the Internet without opening a port.`)
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'strip-aliased': true,
      'greedy-arrays': false,
      'short-option-groups': false,
    })
    .locale('en')
    .wrap(Math.min(MAX_WIDTH, context.stdout.columns ?? MAX_WIDTH))
    .help('help')
    .alias('help', 'h')
    .version(VERSION)
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw usage(explainFailure(message ?? messageOf(error), context.argv))
    })
    .epilogue(`${NAME} <command> --help explains a command. Exit status: 0 fine, 1 failure, 2 usage.`)
  for (const command of COMMANDS.filter(({ words }) => words.length === 1)) declareCommand(parser, command)
  parser.command('targets', 'Check a targets file, or explain what it decides', inner => {
    inner.usage(`${NAME} targets <command>`)
    for (const command of COMMANDS.filter(({ words }) => words.length === 2)) declareCommand(inner, command)
    return inner
  })
  // Last, as the help lists commands in this order.
  parser.completion('completion', 'Print a completion script for bash or zsh')
  return parser
}

interface Parsed {
  /** Words without dashes. */
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
  /** The text of --help, --version or completion. */
  readonly output: string
}

async function parse(context: CliContext): Promise<Parsed> {
  let output = ''
  const parsed = await createParser(context).parseAsync([...context.argv], {}, (_error: unknown, _argv: unknown, text: string) => {
    output = text
  })
  const { _: words, $0: _script, ...flags } = parsed as { _: unknown[]; $0: string } & Record<string, unknown>
  return { words: withoutAlias(words.map(String)), flags, output }
}

/** The command that the words name. @throws GatewayError USAGE with a suggestion */
function findCommand(words: readonly string[]): Command {
  const found = COMMANDS.find(command => command.words.every((word, index) => words[index] === word))
  if (found !== undefined) return found
  const depth = COMMANDS.some(command => command.words.length === 2 && command.words[0] === words[0]) ? 1 : 0
  const group = words.slice(0, depth)
  const known = [...new Set(COMMANDS.filter(command => isBelow(command, group)).map(command => command.words[depth] ?? ''))]
  const word = words[depth]
  if (depth === 0 && word === 'version') throw usage('unknown command "version", did you mean --version?')
  const help = `see ${[NAME, ...group].join(' ')} --help`
  if (word === undefined) throw usage(`expected a command: ${known.join(', ')}; ${help}`)
  const meant = nearest(word, depth === 0 ? [...known, 'completion'] : known)
  throw usage(`unknown command "${word}"${meant === undefined ? '' : `, did you mean "${meant}"?`}; ${help}`)
}

/** @throws GatewayError USAGE with a suggestion for an option or an argument that the command does not have */
function checkStrangers(command: Command, { words, flags }: Parsed): void {
  const help = `see ${NAME} ${command.words.join(' ')} --help`
  const known = [...namesOf(optionsOf(command)), 'help', 'version']
  const places = [...(command.positionals ?? []), ...(command.rest === undefined ? [] : [command.rest])].map(({ name }) => name)
  const stranger = Object.keys(flags).find(name => !known.includes(name) && !places.includes(name) && name !== 'h')
  if (stranger !== undefined) {
    const meant = nearest(stranger, known)
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
  const args = Object.fromEntries((command.positionals ?? []).map(({ name }) => [name, String(flags[name])]))
  const noFile: ConfigFile = new Map()
  const { config: file } = resolveOptions(configOption, { flags, env, config: noFile })
  const config = file === undefined ? noFile : await readConfigFile(file, command.options)
  const values = resolveOptions(command.options, { flags, env, config })
  const others = COMMANDS.flatMap(other => namesOf(optionsOf(other)))
  const warnings = [...misspeltVariables(env, optionsOf(command), others), ...doubtfulValues(command.options, { flags, env, config })]
  for (const warning of warnings) context.stderr.write(`${NAME}: warning: ${warning}\n`)
  const rest = command.rest === undefined ? undefined : flags[command.rest.name]
  return command.run(values, args, context, Array.isArray(rest) ? rest.map(String) : [])
}

/** The level is looked up by hand, because an error may come before the options are known. */
const isDebugging = ({ argv, env }: CliContext): boolean =>
  /(?:^|\0)--log-level[=\0]debug(?:\0|$)/.test(argv.join('\0')) || env['SG_LOG_LEVEL'] === 'debug'

function report(thrown: unknown, context: CliContext): ExitStatus {
  const error = asGatewayError(thrown)
  const [first = '', ...rest] = error.message.split('\n')
  context.stderr.write([`${NAME}: ${first}`, ...rest.map(line => `  ${line}`), ''].join('\n'))
  if (isDebugging(context)) context.stderr.write(`${(error.cause instanceof Error ? error.cause.stack : undefined) ?? error.stack ?? ''}\n`)
  return error.facts.exit
}

/**
 * Runs the command that the arguments name, to its end.
 * @returns the exit status; what went wrong has been written to stderr, in one line for each fault
 */
export async function runCli(context: CliContext): Promise<ExitStatus> {
  try {
    if (context.argv.length === 0) {
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
