import { isBelow, longestCommand, optionsOf } from './find-command.ts'
import type { Command } from './command/command.ts'
import { COMMANDS } from './commands.ts'

/** A command line that was split: the words of its command, and the values of arguments and options by name. */
export interface PlainArguments {
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
}

/** An argument that is a value as it stands. yargs takes quotes off, and what begins with a dash may be an option. */
const isValue = (text: string | undefined): text is string => text !== undefined && text !== '' && !/^[-'"]|['"]$/.test(text)

/** The thumbprint of a key, as one in 64 is: base64url that begins with a dash. No option has such a name. */
const isDashedThumbprint = (text: string | undefined): text is string => text !== undefined && /^-[A-Za-z0-9_-]{42}$/.test(text)

/** The command that these words name, and how many of them; undefined where that is not plain. */
function commandOf(words: readonly string[]): Command | undefined {
  const command = longestCommand((word, index) => words[index] === word)
  if (command === undefined || command.isHidden === true || command.rest !== undefined || command.raw !== undefined) return undefined
  // Behind a command with others below it a word may be a misspelt one of those.
  if (words.length > command.words.length && COMMANDS.some(each => each !== command && isBelow(each, command.words))) return undefined
  return command
}

/** Options of a command, by each name that is not a single letter. */
const namesOf = (command: Command): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(optionsOf(command)).flatMap(([name, { aliases = [] }]) =>
      [name, ...aliases].filter(each => each.length > 1 && !each.startsWith('no-')).map(each => [each, name] as const),
    ),
  )

/**
 * Splits the common kind of command line as yargs does, which takes a quarter of the time of a start to load: a command, its arguments, and then
 * options by their long names.
 * @returns undefined for all that is less plain, which is left to yargs: help, mistakes, short names, quotes
 */
export function plainArguments(argv: readonly string[]): PlainArguments | undefined {
  const firstFlag = argv.findIndex(text => !isValue(text))
  const values = firstFlag === -1 ? argv : argv.slice(0, firstFlag)
  const command = commandOf(values)
  if (command === undefined) return undefined
  const { positionals = [] } = command
  const dashed = argv[values.length]
  const words = values.length < command.words.length + positionals.length && isDashedThumbprint(dashed) ? [...values, dashed] : values
  const places = words.slice(command.words.length)
  if (places.length > positionals.length || positionals.slice(places.length).some(({ isOptional }) => isOptional !== true)) return undefined
  const flags = new Map<string, unknown>(places.map((text, index) => [positionals[index]!.name, text]))
  return readFlags(command, argv.slice(words.length), flags) ? { words: command.words, flags: Object.fromEntries(flags) } : undefined
}

/** Reads options into `flags`. @returns false where one is not plain */
function readFlags(command: Command, argv: readonly string[], flags: Map<string, unknown>): boolean {
  const names = namesOf(command)
  const options = new Map(Object.entries(optionsOf(command)))
  for (let at = 0; at < argv.length; at++) {
    const [, name = '', behind] = /^--([^=]+)(?:=(.*))?$/s.exec(argv[at]!) ?? []
    const option = options.get(names.get(name) ?? '')
    if (option === undefined) return false
    const key = names.get(name)!
    if (option.kind === 'flag') {
      // A word behind it may be its value.
      if (behind !== undefined || flags.has(key) || argv[at + 1]?.startsWith('--') === false) return false
      flags.set(key, true)
      continue
    }
    const value = behind ?? argv[++at]
    if (!isValue(value)) return false
    flags.set(key, flags.has(key) ? [flags.get(key), value].flat() : value)
  }
  return true
}
