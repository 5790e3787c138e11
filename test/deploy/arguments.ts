/** Command lines of files in deploy/, as the program reads them. */
import { expect } from '@jest/globals'
import { COMMANDS } from '../../src/cli/commands.ts'
import { resolveOptions } from '../../src/cli/command/resolve.ts'
import { optionsOf } from '../../src/cli/find-command.ts'

/** Values of a command with `--name=value` behind it. @throws GatewayError USAGE for one that the program would not take */
export function parsedArguments(
  [word = '', ...rest]: readonly string[],
  env: Readonly<Record<string, string>>,
): { readonly 'drain-timeout'?: number; readonly 'drain-delay'?: number } {
  const options = optionsOf(COMMANDS.find(({ words }) => words.join(' ') === word)!)
  const flags = new Map<string, string[]>()
  for (const argument of rest) {
    const [, name = '', value = 'true'] = /^--([\w-]+)(?:=(.*))?$/.exec(argument) ?? []
    expect([argument, Object.keys(options).includes(name)]).toEqual([argument, true])
    flags.set(name, [...(flags.get(name) ?? []), value])
  }
  const given = Object.fromEntries([...flags].map(([name, values]) => [name, values.length === 1 ? values[0] : values]))
  return resolveOptions(options, { flags: given, env, config: new Map() as never })
}
