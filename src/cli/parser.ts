import yargs, { type Argv } from 'yargs'
import { messageOf } from '../errors.ts'
import { VERSION } from '../version.ts'
import type { Command } from './command/command.ts'
import type { CliContext } from './command/context.ts'
import { COMMANDS, GROUPS } from './commands.ts'
import { isBelow, isConfigurable, longestCommand, NAME, optionsOf, usage } from './find-command.ts'

const MAX_WIDTH = 110

// --- yargs: splits the command line and writes the help. It neither converts nor defaults nor reads the environment: resolve.ts does,
// --- so that a value is judged in the same way wherever it comes from.

/** yargs lays out the help of a command whenever it has found one, a fifth of the time of a start: what nobody will read is not in it. */
const isHelpWanted = (argv: readonly string[]): boolean => argv.some(word => /^--?(?:h|get-yargs)/.test(word))

function declareOptions(
  parser: Argv,
  { options, groups, hidden }: Required<Pick<Command, 'options' | 'groups'>> & { hidden: boolean },
): Argv {
  for (const [heading, names] of Object.entries(groups)) parser.group([...names], `${heading}:`)
  for (const [name, option] of Object.entries(options)) {
    parser.option(name, {
      hidden,
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

const placesOf = ({ positionals = [], rest }: Command): string =>
  positionals.map(({ name, isOptional }) => (isOptional === true ? ` [${name}]` : ` <${name}>`)).join('') +
  (rest === undefined ? '' : ` [${rest.name}..]`)

function declareCommand(parser: Argv, command: Command, isHelp: boolean): Argv {
  const { positionals = [], rest, examples = [], words } = command
  const places = placesOf(command)
  return parser.command([`${lastWord(command)}${places}`, ...(command.aliases ?? [])], command.describe, inner => {
    declareBelow(inner, words, isHelp)
    declareOptions(inner, { options: optionsOf(command), groups: command.groups ?? {}, hidden: !isHelp }).usage(
      `${NAME} ${words.join(' ')}${places.toUpperCase()}\n\n${command.describe}.`,
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

/** Commands and groups of them, directly below these words, in the order of the table. */
function declareBelow(parser: Argv, above: readonly string[], isHelp: boolean): Argv {
  const below = COMMANDS.filter(command => command.isHidden !== true && command.words.length > above.length && isBelow(command, above))
  for (const word of new Set(below.map(({ words }) => words[above.length]!))) {
    const words = [...above, word]
    const command = below.find(each => each.words.length === words.length && isBelow(each, words))
    if (command !== undefined) declareCommand(parser, command, isHelp)
    else {
      const name = words.join(' ')
      parser.command(word, GROUPS[name] ?? '', inner => declareBelow(inner.usage(`${NAME} ${name} <command>`), words, isHelp))
    }
  }
  return parser
}

/** The few complaints that are left to yargs, in our words. */
function explainFailure(message: string, argv: readonly string[]): string {
  const command = longestCommand(word => argv.includes(word))
  const help = `see ${[NAME, ...(command?.words ?? [])].join(' ')} --help`
  const [, option] = /^Not enough arguments following: (.*)$/.exec(message) ?? []
  if (option !== undefined) return `--${option} needs a value; ${help}`
  const places = (command?.positionals ?? []).map(({ name, isOptional }) =>
    isOptional === true ? `[${name.toUpperCase()}]` : name.toUpperCase(),
  )
  if (message.startsWith('Not enough non-option arguments')) return `an argument is missing, expected ${places.join(' ')}; ${help}`
  return `${message}; ${help}`
}

/** The parser for all commands; it throws GatewayError USAGE. */
export function createParser(context: CliContext): Argv {
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
    .alias('version', 'v')
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw usage(explainFailure(message ?? messageOf(error), context.argv))
    })
    .epilogue(`${NAME} <command> --help explains a command. Exit status: 0 fine, 1 failure, 2 usage.`)
  declareBelow(parser, [], isHelpWanted(context.argv))
  // Last, as the help lists commands in this order.
  parser.completion('completion', 'Print a completion script for bash or zsh')
  return parser
}
