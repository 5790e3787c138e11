import { readFile } from 'node:fs/promises'
import { ConfigError, formatFault, type ConfigFault } from '../../config/document/fault.ts'
import { nearest } from '../../config/document/nearest.ts'
import { isYamlMap, parseYaml } from '../../config/document/yaml.ts'
import { unreadableFile, type OptionFile } from './option-file.ts'
import type { Option, OptionTable } from './option.ts'

/** An option as it stands in a configuration file. */
export interface ConfiguredValue {
  readonly texts: readonly string[]
  /** A message about it, with file, line and column. */
  readonly fault: (message: string) => string
}

const CONFIG_FILE: OptionFile = {
  option: '--config',
  expected: 'YAML with the options, such as "app-port: 3000"',
  remedy: 'give the options as flags or in the environment',
}

/** Options of one command from `--config FILE`, by their name. */
export type ConfigFile = ReadonlyMap<string, ConfiguredValue>

const EXPECTED = { one: 'a text or a number', many: 'a text or a list of texts', flag: 'true or false' } as const

/** The scalars of a value as texts, undefined when the option cannot be written like that. */
function textsOf(option: Option<unknown>, value: unknown): readonly string[] | undefined {
  if (option.mayBeEmpty === true && value === true) return ['']
  if (option.kind === 'flag') return typeof value === 'boolean' ? [String(value)] : undefined
  const items = option.kind === 'many' && Array.isArray(value) ? (value as unknown[]) : [value]
  return items.every(item => typeof item === 'string' || typeof item === 'number') ? items.map(String) : undefined
}

/** An option is as wrong here as on the command line, and ends with the same status. */
const usage = (faults: readonly ConfigFault[]): ConfigError => new ConfigError(faults, { code: 'USAGE' })

function parsed(text: string, file: string): ReturnType<typeof parseYaml> {
  try {
    return parseYaml(text, file)
  } catch (error) {
    throw error instanceof ConfigError ? usage(error.faults) : error
  }
}

/**
 * Reads a YAML map of option names, as on the command line but without dashes in front.
 * @throws ConfigError USAGE with every unknown key and wrong type, or GatewayError FILE_UNREADABLE
 */
export async function readConfigFile(file: string, options: OptionTable): Promise<ConfigFile> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw unreadableFile(file, CONFIG_FILE, cause)
  })
  const document = parsed(text, file)
  const faults: ConfigFault[] = [...document.faults]
  const values = new Map<string, ConfiguredValue>()
  if (document.value !== undefined && document.value !== null && !isYamlMap(document.value)) {
    throw usage([document.fault([], 'expected a map of option names to values, such as "app-port: 3000"')])
  }
  for (const [key, value] of Object.entries(isYamlMap(document.value) ? document.value : {})) {
    const [name, option] = Object.entries(options).find(([known, { aliases = [] }]) => known === key || aliases.includes(key)) ?? []
    const texts = option && textsOf(option, value)
    const places = [key]
    if (name === undefined || option === undefined) {
      const meant = nearest(key.replaceAll('_', '-'), Object.keys(options))
      faults.push(document.fault(places, `unknown option${meant === undefined ? '' : `, did you mean "${meant}"?`}`))
    } else if (texts === undefined) faults.push(document.fault(places, `expected ${EXPECTED[option.kind]}`))
    else if (values.has(name)) faults.push(document.fault(places, `the same option as "${name}" and its other names; give one of them`))
    else values.set(name, { texts, fault: message => formatFault(document.fault(places, message)) })
  }
  if (faults.length > 0) throw usage(faults)
  return values
}
