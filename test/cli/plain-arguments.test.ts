import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { COMMANDS } from '../../src/cli/commands.ts'
import type { Command } from '../../src/cli/command/command.ts'
import { optionsOf } from '../../src/cli/find-command.ts'
import { createParser } from '../../src/cli/parser.ts'
import { plainArguments } from '../../src/cli/plain-arguments.ts'
import type { CliContext } from '../../src/cli/command/context.ts'

const contextOf = (argv: readonly string[]): CliContext => ({
  argv,
  env: {},
  stdout: { write: () => undefined },
  stderr: { write: () => undefined },
  logDestination: { write: () => undefined },
  untilStopped: () => Promise.resolve(undefined),
})

/** The reading of yargs: words and values, undefined where it complains. */
async function byYargs(argv: readonly string[]): Promise<{ words: string[]; flags: Record<string, unknown> } | undefined> {
  try {
    const { _: words, $0: _script, ...flags } = await createParser(contextOf(argv)).parseAsync([...argv])
    const given = Object.entries(flags).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
    return { words: words.map(String), flags: Object.fromEntries(given) }
  } catch {
    return undefined
  }
}

/** Texts that mean something to a shell, to yargs or to us, and plain ones. */
const text = fc.oneof(
  fc.constantFrom(
    '',
    '-',
    '--',
    '-x',
    '--help',
    '-h',
    '--no-color',
    '"a b"',
    "'",
    'true',
    'false',
    '0',
    '3000',
    '0x10',
    '1e3',
    'a=b',
    'a.b',
    '=',
    '[]',
  ),
  fc.constantFrom(
    '127.0.0.1:8080',
    'targets.yaml',
    './a b',
    'ws://localhost:3001',
    '\n',
    'ä',
    '__proto__',
    'constructor',
    'check',
    'outer',
  ),
  fc.string({ maxLength: 8 }),
)

const flagsOf = (command: Command): fc.Arbitrary<string[]> => {
  const names = Object.entries(optionsOf(command)).flatMap(([name, { aliases = [] }]) => [name, ...aliases])
  const name = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('config', ...names) },
    fc.constantFrom('stranger', 'version', '__proto__', 'a.b'),
  )
  return fc.oneof(
    fc.tuple(name, text).map(([each, value]) => [`--${each}`, value]),
    fc.tuple(name, text).map(([each, value]) => [`--${each}=${value}`]),
    name.map(each => [`--${each}`]),
    name.map(each => [`-${each}`]),
    text.map(each => [each]),
  )
}

const line = fc
  .constantFrom(...COMMANDS)
  .chain(command =>
    fc
      .tuple(fc.array(text, { maxLength: 2 }), fc.array(flagsOf(command), { maxLength: 4 }))
      .map(([places, flags]) => [...command.words, ...(places.length === 2 ? places.slice(1) : []), ...flags.flat()]),
  )

describe('a plain command line', () => {
  test('is split as yargs splits it, whatever is on it', async () => {
    let plain = 0
    await fc.assert(
      fc.asyncProperty(line, async argv => {
        const ours = plainArguments(argv)
        if (ours === undefined) return
        plain++
        expect({ argv, ...(await byYargs(argv)) }).toEqual({ argv, ...ours })
      }),
      { numRuns: 400 },
    )
    expect(plain).toBeGreaterThan(40)
  })

  test('is what services are started with', () => {
    expect(plainArguments(['outer-layer', '--public-key', 'a.crt', '--public-key=b.crt', '--app-h2c', '--app-port', '0'])).toEqual({
      words: ['outer-layer'],
      flags: { 'public-key': ['a.crt', 'b.crt'], 'app-h2c': true, 'app-port': '0' },
    })
    expect(plainArguments(['http', '8080'])).toEqual({ words: ['http'], flags: { what: '8080' } })
    expect(plainArguments(['targets', 'check', 'targets.yaml'])?.words).toEqual(['targets', 'check'])
  })

  test('has thumbprints of keys that begin with a dash, which yargs takes for options', async () => {
    const key = `-${'x-_4Z7'.repeat(7)}`
    expect(plainArguments(['inner', 'revoke', key, '--json'])).toEqual({ words: ['inner', 'revoke'], flags: { key, json: true } })
    expect(await byYargs(['inner', 'revoke', key])).toBeUndefined()
    for (const argv of [[key], [key, key], [key.slice(1), key], ['--json', key]].map(behind => ['inner', 'revoke', ...behind]))
      expect([argv, plainArguments(argv) === undefined]).toEqual([argv, argv.length !== 3])
    expect(plainArguments(['inner', 'ls', key])).toBeUndefined()
  })

  test.each([
    ['a mistake', ['outer-layer', '--no-such-option', '1']],
    ['a value that is missing', ['outer-layer', '--app-port']],
    ['help', ['outer-layer', '--help']],
    ['a word too many', ['outer-layer', 'now']],
    ['a word that stands for a flag', ['outer-layer', '--app-h2c', 'false']],
    ['a misspelt command', ['outer-lawyer']],
    ['the name of a member of all objects', ['constructor']],
  ])('is none with %s, and left to yargs', (_what, argv) => {
    expect(plainArguments(argv)).toBeUndefined()
  })
})
