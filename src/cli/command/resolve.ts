import { GatewayError } from '../../errors.ts'
import { nearest } from '../../config/document/nearest.ts'
import type { ConfigFile } from './config-file.ts'
import type { CliContext } from './context.ts'
import type { Option, OptionTable, OptionText, ValuesOf } from './option.ts'
import { shown } from './shown.ts'

/** Where option values come from, the strongest first. */
export interface Sources {
  /** The values parsed from the command line, by option name: text, texts, or boolean. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly env: CliContext['env']
  readonly config: ConfigFile
}

/** A value, and how to complain about it. */
interface Given {
  readonly texts: readonly string[]
  readonly fault: (message: string) => string
}

/** The environment variable of an option: `app-port` → `SG_APP_PORT`. */
export const variableOf = (name: string): string => `SG_${name.toUpperCase().replaceAll('-', '_')}`

/** Names of one letter are for the command line alone. */
const isLong = (name: string): boolean => name.length > 1

const variablesOf = (name: string, { aliases = [], variable }: OptionText): readonly string[] =>
  variable === undefined ? [name, ...aliases].filter(isLong).map(variableOf) : [variable]

const listed = (texts: readonly string[]): string => texts.map(shown).join(', ')

function fromFlags(name: string, option: Option<unknown>, value: unknown): Given | undefined {
  if (value === undefined) return undefined
  const texts = (Array.isArray(value) ? (value as unknown[]) : [value]).map(String)
  const fault = (message: string): string => `--${name} ${option.kind === 'flag' ? '' : `${listed(texts)}: `}${message}`
  return { texts, fault }
}

// An empty variable is how compose files and shells say "not set".
function fromEnvironment(name: string, option: Option<unknown>, env: CliContext['env']): Given | undefined {
  const variable = variablesOf(name, option).find(each => (env[each] ?? '') !== '')
  if (variable === undefined) return undefined
  const text = env[variable] ?? ''
  const texts = option.kind === 'many' ? text.split(',').map(part => part.trim()) : [text]
  return { texts, fault: message => `${variable} ${listed(texts)}: ${message}` }
}

/**
 * The value of every option: flag, else environment, else configuration file, else default. Lists are not merged: the strongest source wins.
 * @throws GatewayError USAGE with a line for each fault
 */
export function resolveOptions<Table extends OptionTable>(options: Table, { flags, env, config }: Sources): ValuesOf<Table> {
  const faults: string[] = []
  const givenOf = (name: string, option: Option<unknown>): Given | undefined =>
    fromFlags(name, option, flags[name]) ?? fromEnvironment(name, option, env) ?? config.get(name)
  const isGiven = (name: string): boolean => options[name] !== undefined && givenOf(name, options[name]) !== undefined
  const values = Object.entries(options).map(([name, option]) => {
    const given = givenOf(name, option)
    const complain = (message: string): void => void faults.push(message)
    if (given === undefined) {
      if (option.isRequired && ![option.unless ?? []].flat().some(isGiven))
        complain(`--${name} is missing; give it as flag, as ${variablesOf(name, option)[0]}, or as ${name} in the file of --config`)
      return [name, option.fallback]
    }
    if (option.kind !== 'many' && given.texts.length > 1) {
      complain(given.fault('given more than once'))
      return [name, undefined]
    }
    const value = option.parse(given.texts)
    if (value === undefined) complain(given.fault(`expected ${option.expected}`))
    return [name, value]
  })
  if (faults.length > 0) throw new GatewayError('USAGE', faults.join('\n'))
  return Object.fromEntries(values) as ValuesOf<Table>
}

/** Returns a warning for each value that is read as it stands, but was probably meant otherwise. */
export function doubtfulValues(options: OptionTable, { flags, env, config }: Sources): readonly string[] {
  return Object.entries(options).flatMap(([name, option]) => {
    const given = fromFlags(name, option, flags[name]) ?? fromEnvironment(name, option, env) ?? config.get(name)
    return (given?.texts ?? []).flatMap(text => {
      const doubt = option.doubt?.(text)
      return doubt === undefined || given === undefined ? [] : [given.fault(doubt)]
    })
  })
}

/** Variables that start with SG_, belong to no option, and are probably a misspelt one: a warning for each. */
export function misspeltVariables(env: CliContext['env'], options: OptionTable, others: readonly string[]): readonly string[] {
  const mine = Object.entries(options).flatMap(([name, option]) => variablesOf(name, option))
  const known = new Set([...mine, ...others.map(variableOf)])
  return Object.keys(env)
    .filter(variable => variable.startsWith('SG_') && !known.has(variable))
    .flatMap(variable => {
      const meant = nearest(variable, mine)
      return meant === undefined ? [] : [`${variable} is no option and has no effect, did you mean ${meant}?`]
    })
}
