/** deploy/compose: its command lines are those of the program, and who can read what. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { load } from 'js-yaml'
import { parseTargets } from '../../src/config/targets.ts'
import { parsedArguments } from './arguments.ts'
import { schemaFaults } from './json-schema.ts'

const HERE = 'deploy/compose'

interface Service {
  /** Settings that it has of another one; a key of YAML 1.1, which Compose reads. */
  readonly '<<'?: Service
  readonly image: string
  readonly user?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>
  readonly volumes?: readonly string[]
  readonly networks?: readonly string[]
  readonly ports?: readonly string[]
  readonly stop_grace_period?: string
  readonly read_only?: boolean
}

const file = load(readFileSync(join(HERE, 'compose.yaml'), 'utf8')) as {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
  readonly volumes: Readonly<Record<string, unknown>>
}
const services = Object.entries(file.services).map(([name, service]) => [name, { ...service['<<'], ...service }] as const)
const serviceOf = (name: string): Service => services.find(([each]) => each === name)![1]
const sourcesOf = ({ volumes = [] }: Service): string[] => volumes.map(volume => volume.split(':')[0]!)
const readersOf = (volume: string): string[] => services.filter(([, service]) => sourcesOf(service).includes(volume)).map(([name]) => name)

/** The file as Compose sees it: with what is behind `<<` put in. */
const merged = { ...file, services: Object.fromEntries(services.map(([name, { '<<': _other, ...service }]) => [name, service])) }

/** Of github.com/compose-spec/compose-go 2.16.2 (Apache-2.0), by which Compose 5 reads its files; without the descriptions. */
const SCHEMA = JSON.parse(readFileSync('test/deploy/compose-spec.json', 'utf8')) as Readonly<Record<string, unknown>>

describe('deploy/compose', () => {
  test('it is a Compose file by the schema of the specification', () => {
    expect(schemaFaults(merged, SCHEMA, 'compose.yaml')).toEqual([])
  })

  test.each([
    ['read_onlyx', true, 'compose.yaml.services.redis.read_onlyx: is not expected'],
    ['restart', 5, 'compose.yaml.services.redis.restart: is number, not string'],
    ['healthcheck', { retries: [] }, 'compose.yaml.services.redis.healthcheck.retries: is array, not number,string'],
    ['networks', ['state', 'state'], 'compose.yaml.services.redis.networks: fits another number of shapes than one'],
    ['depends_on', { keys: { condition: 'soon' } }, 'compose.yaml.services.redis.depends_on: fits another number of shapes than one'],
  ])('%s: %j would be seen', (key, value, fault) => {
    const wrong = { ...merged, services: { ...merged.services, redis: { ...merged.services['redis'], [key]: value } } }
    expect(schemaFaults(wrong, SCHEMA, 'compose.yaml')).toEqual([fault])
  })

  test.each(['node-1', 'node-2', 'inner-layer'])('%s has options of the program, and time to drain', name => {
    const { command = [], environment = {}, stop_grace_period: grace, read_only: isReadOnly } = serviceOf(name)
    const { 'drain-timeout': timeoutMs = 0, 'drain-delay': delayMs = 0 } = parsedArguments(command, environment)
    expect(Number.parseInt(grace ?? '', 10) * 1_000).toBeGreaterThan(timeoutMs + delayMs)
    expect(isReadOnly).toBe(true)
  })

  test('the nodes differ by their names alone', () => {
    const [one, two] = [serviceOf('node-1'), serviceOf('node-2')]
    expect(one.command).toEqual(two.command)
    expect(Object.values(one.environment!).map(value => value.replace('node-1', 'node-2'))).toEqual(Object.values(two.environment!))
  })

  test('volumes, networks and services that are named are there, and so are files', () => {
    for (const [name, { networks = [], depends_on: before = [], ...service }] of services) {
      for (const source of sourcesOf(service)) {
        const isThere = source.startsWith('.') ? existsSync(join(HERE, source)) : Object.hasOwn(file.volumes, source)
        expect([name, source, isThere]).toEqual([name, source, true])
      }
      expect([name, networks.filter(network => !Object.hasOwn(file.networks, network))]).toEqual([name, []])
      const others = Array.isArray(before) ? (before as string[]) : Object.keys(before)
      expect([name, others.filter(other => !Object.hasOwn(file.services, other))]).toEqual([name, []])
    }
  })

  test('each secret is mounted by those alone who need it, and ports are open on this machine alone', () => {
    expect(readersOf('inner-key')).toEqual(['keys', 'inner-layer'])
    expect(readersOf('node-keys')).toEqual(['keys', 'node-1', 'node-2'])
    expect(readersOf('database-password')).toEqual(['keys', 'service', 'postgres'])
    expect(readersOf('operators')).toEqual(['keys', 'node-1', 'node-2', 'inner-layer', 'prometheus'])
    for (const [name, { ports = [] }] of services) expect([name, ports.filter(port => !port.startsWith('127.0.0.1:'))]).toEqual([name, []])
    // Nobody from outside reaches the databases, and the API that is private has the inner layer alone.
    for (const network of ['state', 'private', 'watch']) expect([network, file.networks[network]]).toEqual([network, { internal: true }])
    for (const name of ['redis', 'postgres']) expect(serviceOf(name).networks).toEqual(['state'])
    expect(services.filter(([, { networks = [] }]) => networks.includes('private')).map(([name]) => name)).toEqual(['inner-layer', 'web'])
  })

  test('Prometheus asks all layers, by the file of the password that they have', () => {
    const { scrape_configs: configs } = load(readFileSync(join(HERE, 'prometheus.yaml'), 'utf8')) as {
      readonly scrape_configs: readonly {
        readonly basic_auth: { readonly password_file: string }
        readonly static_configs: readonly { readonly targets: readonly string[] }[]
      }[]
    }
    const layers = services.filter(([, { command = [] }]) => command[0]?.endsWith('-layer') === true)
    expect(configs[0]!.static_configs[0]!.targets).toEqual(layers.map(([name]) => `${name}:3002`))
    for (const [, { command = [] }] of layers) expect(command).toContain(`--admin-password-file=${configs[0]!.basic_auth.password_file}`)
  })

  test('its targets are a targets file, whose origin the inner layer may reach', () => {
    const [target] = parseTargets(readFileSync(join(HERE, 'targets.yaml'), 'utf8'), 'targets.yaml').targets
    expect(serviceOf('inner-layer').command).toContain(`--allow=${target!.hostname}:${target!.port}`)
    expect(serviceOf('inner-layer').command).toContain(`--identifier=${target!.identifiers![0]}`)
  })
})
