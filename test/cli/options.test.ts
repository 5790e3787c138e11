import { describe, expect, test } from '@jest/globals'
import { forwardOptions } from '../../src/cli/options/forward.ts'
import { innerLayerOptions, outerLayerOptions } from '../../src/cli/options/layers.ts'
import { readConfigFile, type ConfigFile } from '../../src/cli/command/config-file.ts'
import { duration, flag, listOf, optional, PORT, required, requiredUnless, TEXT, withDefault } from '../../src/cli/command/option.ts'
import { doubtfulValues, resolveOptions, variableOf } from '../../src/cli/command/resolve.ts'
import { tempFile } from '../support/temp.ts'

const options = {
  'app-port': withDefault(PORT, 3000, { describe: 'Port' }),
  name: optional(TEXT, { describe: 'Name', aliases: ['inner-layer-identifier'] }),
  allow: listOf(TEXT, { describe: 'Allow', fallback: ['all'] }),
  wait: withDefault(duration(1), 5, { describe: 'Wait' }),
  fast: flag('Fast'),
}

const configOf = (text: string): Promise<ConfigFile> => readConfigFile(tempFile('gateway.yaml', text), options)
const NO_FILE: ConfigFile = new Map()

describe('an option', () => {
  test('is taken from the flag, else the environment, else the file, else its default', async () => {
    const config = await configOf('app-port: 4\nallow: [f]\nfast: true\nname: file')
    const env = { SG_APP_PORT: '3', SG_ALLOW: 'e1,e2' }
    const flags = { 'app-port': '2' }
    expect(resolveOptions(options, { flags, env, config })).toEqual({
      'app-port': 2,
      name: 'file',
      allow: ['e1', 'e2'],
      wait: 5,
      fast: true,
    })
    expect(resolveOptions(options, { flags: {}, env, config })['app-port']).toBe(3)
    expect(resolveOptions(options, { flags: {}, env: {}, config })).toMatchObject({ 'app-port': 4, allow: ['f'] })
    expect(resolveOptions(options, { flags: {}, env: {}, config: NO_FILE })).toEqual({
      'app-port': 3000,
      name: undefined,
      allow: ['all'],
      wait: 5,
      fast: false,
    })
  })

  test('that is off on the command line stays off, whatever the environment says', () => {
    expect(resolveOptions(options, { flags: { fast: false }, env: { SG_FAST: 'true' }, config: NO_FILE }).fast).toBe(false)
  })

  test('has its variable under every one of its names', () => {
    expect(variableOf('inner-layer-identifier')).toBe('SG_INNER_LAYER_IDENTIFIER')
    expect(resolveOptions(options, { flags: {}, env: { SG_INNER_LAYER_IDENTIFIER: 'x' }, config: NO_FILE }).name).toBe('x')
  })

  test('with a variable of its own does not take that of another command, and need not be given where another one is', () => {
    const table = {
      password: optional(TEXT, { describe: 'Password', variable: 'SG_VISITOR_PASSWORD' }),
      targets: requiredUnless('service', TEXT, { describe: 'Targets' }),
      service: optional(TEXT, { describe: 'Service' }),
    }
    const of = (env: Record<string, string>, flags = {}) => resolveOptions(table, { flags, env, config: NO_FILE })
    expect(of({ SG_PASSWORD: 'x', SG_SERVICE: 's' })).toEqual({ password: undefined, targets: undefined, service: 's' })
    expect(of({ SG_VISITOR_PASSWORD: 'x', SG_SERVICE: 's' }).password).toBe('x')
    expect(() => of({}, { password: 'x' })).toThrow('--targets is missing')
  })

  test.each(['1', 'true', 'YES', 'on'])('that is a flag is on when its variable is %s', value => {
    expect(resolveOptions(options, { flags: {}, env: { SG_FAST: value }, config: NO_FILE }).fast).toBe(true)
  })

  test('with an impossible value is refused with the place it came from', async () => {
    const from = (flags: object, env: Record<string, string>, config: ConfigFile) => () =>
      resolveOptions(options, { flags: { ...flags }, env, config })
    expect(from({ 'app-port': '-1' }, {}, NO_FILE)).toThrow('--app-port "-1": expected a port from 0 to 65535')
    expect(from({}, { SG_FAST: 'maybe' }, NO_FILE)).toThrow('SG_FAST "maybe": expected true or false')
    const bad = from({}, {}, await configOf('\napp-port: 99999'))
    expect(bad).toThrow(/gateway\.yaml:2:1: app-port: expected a port from 0 to 65535/)
    expect(bad).toThrow(expect.objectContaining({ code: 'USAGE' }))
    expect(from({ wait: '0' }, {}, await configOf('app-port: 99999'))).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })

  test('that is required and given nowhere is refused with every way to give it', () => {
    const table = { targets: required(TEXT, { describe: 'Targets' }) }
    expect(() => resolveOptions(table, { flags: {}, env: {}, config: NO_FILE })).toThrow(
      '--targets is missing; give it as flag, as SG_TARGETS, or as targets in the file of --config',
    )
  })
})

describe('a configuration file', () => {
  test('may be empty, and may hold a list, one text or a number', async () => {
    expect((await configOf('')).size).toBe(0)
    expect((await configOf('# nothing\n')).size).toBe(0)
    expect((await configOf('allow: a')).get('allow')?.texts).toEqual(['a'])
    expect((await configOf('allow: [a, 2]')).get('allow')?.texts).toEqual(['a', '2'])
    expect((await configOf('{"app-port": 80}')).get('app-port')?.texts).toEqual(['80'])
  })

  test('knows the other names of an option', async () => {
    expect((await configOf('inner-layer-identifier: x')).get('name')?.texts).toEqual(['x'])
    await expect(configOf('name: x\ninner-layer-identifier: x')).rejects.toThrow(/:2:1: inner-layer-identifier: the same option as "name"/)
  })

  test('has every fault reported with its line', async () => {
    const text = 'app-prot: 1\napp-port: [1]\nfast: "yes"\nallow: {a: b}\nconfig: x\nname:\n'
    const error = await configOf(text).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'USAGE' })
    expect((error as Error).message.split('\n').map(line => line.replace(/^.*gateway\.yaml:/, ''))).toEqual([
      '1:1: app-prot: unknown option, did you mean "app-port"?',
      '2:1: app-port: expected a text or a number',
      '3:1: fast: expected true or false',
      '4:1: allow: expected a text or a list of texts',
      '5:1: config: unknown option',
      '6:1: name: expected a text or a number',
    ])
  })

  test('that is no map, has a key twice, is no YAML or is not there is refused', async () => {
    await expect(configOf('- a')).rejects.toThrow(/expected a map of option names/)
    await expect(configOf('name: a\nname: b')).rejects.toMatchObject({ code: 'USAGE' })
    await expect(configOf('name: [')).rejects.toMatchObject({ code: 'USAGE' })
    await expect(readConfigFile('/nowhere.yaml', options)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
  })
})

describe('sizes and durations', () => {
  test('are read by one grammar in every option that takes one', () => {
    const all = { ...outerLayerOptions, ...innerLayerOptions, ...forwardOptions }
    const read = (name: keyof typeof all, text: string): unknown => all[name].parse([text])
    for (const name of ['max-body', 'max-header-size', 'log-max-size'] as const) {
      expect([name, read(name, '10kB')]).toEqual([name, 10_000])
      expect([name, read(name, '10K')]).toEqual([name, 10_240])
      expect([name, read(name, '10KiB')]).toEqual([name, 10_240])
    }
    const times = ['timeout', 'validity', 'header-timeout', 'connect-timeout', 'idle-timeout', 'write-timeout', 'websocket-idle'] as const
    for (const name of [...times, 'hold', 'drain-timeout', 'log-max-age', 'ping-interval'] as const) {
      expect([name, read(name, '30s')]).toEqual([name, 30_000])
      expect([name, read(name, '1m')]).toEqual([name, 60_000])
      expect([name, read(name, '30000')]).toEqual([name, 30_000])
    }
    expect(read('hsts', '365d')).toBe(31_536_000)
    expect(read('hsts', '3600')).toBe(3_600)
    expect(read('log-max-age', '100d')).toBe(8_640_000_000)
  })

  test('a small number without a unit keeps its meaning and is doubted, wherever it stands', async () => {
    const doubts = (flags: Record<string, string>, env = {}, config: ConfigFile = NO_FILE): readonly string[] =>
      doubtfulValues(options, { flags, env, config })
    expect(resolveOptions(options, { flags: { wait: '5' }, env: {}, config: NO_FILE }).wait).toBe(5)
    expect(doubts({ wait: '5' })).toEqual([expect.stringMatching(/^--wait "5": 5 milliseconds; did you mean 5s\?/)])
    expect(doubts({}, { SG_WAIT: '30' })).toEqual([expect.stringMatching(/^SG_WAIT "30": 30 milliseconds; did you mean 30s\?/)])
    expect(doubts({}, {}, await configOf('wait: 30'))).toEqual([expect.stringMatching(/gateway\.yaml:1:1: .*did you mean 30s\?/)])
    for (const wait of ['5s', '5ms', '1000', 'x']) expect(doubts({ wait })).toEqual([])
  })
})
