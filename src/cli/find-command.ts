import { nearest } from '../config/document/nearest.ts'
import { GatewayError } from '../errors.ts'
import type { Command } from './command/command.ts'
import { FILE, optional, type OptionTable } from './command/option.ts'
import { COMMANDS } from './commands.ts'

/** The program, as it is called. */
export const NAME = 'socket-gateway'

/** The option that is not declared by a command. */
export const configOption = { config: optional(FILE, { describe: 'YAML file with options by name, such as "app-port: 3000"' }) }

/** May the options of this command also stand in the environment and in a file? */
export const isConfigurable = ({ options, flagsOnly = false }: Command): boolean => !flagsOnly && Object.keys(options).length > 0

/** The options that a command takes. */
export const optionsOf = (command: Command): OptionTable =>
  isConfigurable(command) ? { ...command.options, ...configOption } : command.options

/** The longest of the commands that these words begin with; undefined: none. */
export const longestCommand = (isWord: (word: string, index: number) => boolean): Command | undefined =>
  COMMANDS.filter(({ words }) => words.every(isWord)).sort((a, b) => b.words.length - a.words.length)[0]

/** Does the command begin with these words? */
export const isBelow = (command: Command, words: readonly string[]): boolean => words.every((word, index) => command.words[index] === word)

/** A mistake on the command line. */
export const usage = (message: string): GatewayError => new GatewayError('USAGE', message)

/** The words with the name of the command itself where another name of it was given. */
export function withoutAlias(words: readonly string[]): readonly string[] {
  const [first = '', ...rest] = words
  return [COMMANDS.find(({ aliases }) => aliases?.includes(first))?.words[0] ?? first, ...rest].slice(0, words.length)
}

/** The command that the words name. @throws GatewayError USAGE with a suggestion */
export function findCommand(words: readonly string[]): Command {
  const found = longestCommand((word, index) => words[index] === word)
  if (found !== undefined) return found
  // As deep as there are commands below the words.
  let depth = 0
  while (depth < words.length && COMMANDS.some(command => command.words.length > depth + 1 && isBelow(command, words.slice(0, depth + 1))))
    depth++
  const group = words.slice(0, depth)
  const known = [
    ...new Set(COMMANDS.filter(command => command.isHidden !== true && isBelow(command, group)).map(command => command.words[depth] ?? '')),
  ]
  const word = words[depth]
  const help = `see ${[NAME, ...group].join(' ')} --help`
  if (word === undefined) throw usage(`expected a command: ${known.join(', ')}; ${help}`)
  const meant = nearest(word, depth === 0 ? [...known, 'completion'] : known)
  throw usage(`unknown command "${word}"${meant === undefined ? '' : `, did you mean "${meant}"?`}; ${help}`)
}
