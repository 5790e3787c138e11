import { chmodSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { ConfigError, formatFault } from '../../src/config/document/fault.ts'
import { parseServiceConfig } from '../../src/config/service/service-config.ts'
import { createSecretsKey, readSecretsKey } from '../../src/config/service/secrets-key.ts'
import { ServiceFile } from '../../src/config/service/service-file.ts'
import { storeOptionsOf } from '../../src/config/service/store-options.ts'
import type { ServiceConfig } from '../../src/service/config.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const parse = (text: string): ServiceConfig => parseServiceConfig(text, '/etc/gw/service.yaml')

const faultsOf = (text: string): readonly string[] => {
  try {
    parse(text)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.faults.map(fault => formatFault(fault).replace('/etc/gw/service.yaml:', ''))
  }
}

describe('the file of the service', () => {
  test('needs nothing but a zone', () => {
    expect(parse('zone: Edge.Example.com\n')).toEqual({
      zone: 'edge.example.com',
      store: { kind: 'sqlite', file: '/etc/gw/state/service.db' },
      secretsFile: '/etc/gw/state/service.key',
      stateDirectory: '/etc/gw/state',
      hosts: {
        api: 'api.edge.example.com',
        auth: 'auth.edge.example.com',
        portal: 'portal.edge.example.com',
        download: 'download.edge.example.com',
        link: [],
        ssh: undefined,
      },
      ssh: undefined,
      clientVersion: 'v1.0-9-g0efd9e3',
      downloads: undefined,
      ports: { from: 40_000, to: 59_999 },
      signUp: 'closed',
      mail: { kind: 'outbox', directory: '/etc/gw/state/outbox', from: 'gateway@edge.example.com' },
      identityProviders: new Map(),
      portalProviders: [],
      limits: {
        http: 10,
        tcp: 5,
        tunnels: 8,
        logWatchers: 3,
        creationsPerHour: 20,
        requestsPerSecond: 100,
        concurrency: 200,
        maxConnections: 100,
        bytesPerDay: 0,
        interstitial: false,
        vanity: false,
        customDomains: false,
      },
      refusedNames: [],
      domainCheck: 'dns',
      abuse: undefined,
    })
  })

  test('takes every key', () => {
    const config = parse(`
zone: edge.example.com
store: postgres://gateway@db.lan:5432/gateway
storePasswordFile: /run/secrets/store
secrets: keys/service.key
hosts: {api: api.example.com, auth: auth.example.com, link: wss://link.example.com, ssh: ssh.example.com, download: download.example.com}
ssh: {port: 2222, host: 10.0.0.1}
clientVersion: v1.0-20-gabc
downloads: clients
ports: 50000-50009
signUp: {domains: [Example.com]}
mail: {smtp: "smtp://gw@mail.lan:587", from: gateway@example.com, passwordFile: mail.password}
identityProviders: {google: {issuer: "https://accounts.google.com", clientId: abc, clientSecretFile: google.secret}}
limits: {http: 3, vanity: true}
names: {refused: [bank], domains: trusted}
`)
    expect(config).toMatchObject({
      store: { kind: 'postgres', url: 'postgres://gateway@db.lan:5432/gateway', passwordFile: '/run/secrets/store' },
      secretsFile: '/etc/gw/keys/service.key',
      hosts: { api: 'api.example.com', link: ['wss://link.example.com'], ssh: { host: 'ssh.example.com', port: 22 } },
      ssh: { port: 2222, host: '10.0.0.1' },
      downloads: '/etc/gw/clients',
      ports: { from: 50_000, to: 50_009 },
      signUp: { domains: ['example.com'] },
      mail: { kind: 'smtp', from: 'gateway@example.com', passwordFile: '/etc/gw/mail.password' },
      limits: { http: 3, tcp: 5, vanity: true },
      refusedNames: ['bank'],
      domainCheck: 'trusted',
    })
    expect(config.identityProviders.get('google')?.clientSecretFile).toBe('/etc/gw/google.secret')
  })

  test.each([
    ['{}', '1:1: zone: expected a host name such as edge.example.com, but the key is missing'],
    ['zone: "a b"', '1:1: zone: expected a host name such as edge.example.com, got "a b"'],
    ['zone: 192.0.2.1', '1:1: zone: expected a host name such as edge.example.com, got "192.0.2.1"'],
    ['zone: a.b\nzones: x', '2:1: zones: unknown key, did you mean "zone"?'],
    ['zone: a.b\nports: 80-90', '2:1: ports: expected a range of ports such as 40000-59999, all above 1023, got "80-90"'],
    ['zone: a.b\nstore: mysql://x/y', '2:1: store: expected sqlite:FILE, or the URL of a database such as postgres://name@db.lan/gateway'],
    ['zone: a.b\nsignUp: maybe', '2:1: signUp: expected closed, open, or {domains: [example.com]}, got "maybe"'],
    ['zone: a.b\nabuse: "javascript:x"', '2:1: abuse: expected an e-mail address or a https:// URL, got "javascript:x"'],
    ['zone: a.b\nlimits: {http: -1}', '2:10: limits.http: expected an integer from 0 to 1000000, got -1'],
    ['zone: a.b\nhosts: {link: https://x.y}', '2:9: hosts.link: expected the URL of a socket port such as wss://link.example.com'],
    ['zone: a.b\nmail: {smtp: "smtp://x"}', '2:1: mail.from: expected a mail address such as gateway@example.com, but the key is missing'],
    ['zone: a.b\nstorePasswordFile: x', '2:1: storePasswordFile: only a store of postgres://… has a password'],
    ['zone: a.b\nnames: {refused: [Bank]}', '2:19: names.refused[0]: expected a word of lower-case letters, digits and dashes, got "Bank"'],
  ])('%j is refused where it is wrong', (text, fault) => {
    expect(faultsOf(text)).toEqual([expect.stringContaining(fault)])
  })

  test('the SSH door has a name below the zone, unless it is given one, and localhost its own', () => {
    expect(parse('zone: a.b\nssh: {port: 2222}').hosts.ssh).toEqual({ host: 'ssh.a.b', port: 2222 })
    expect(parse('zone: a.b\nssh: {port: 2222}\nhosts: {ssh: x.y}').hosts.ssh).toEqual({ host: 'x.y', port: 22 })
    expect(parse('zone: localhost\nssh: {port: 2222}').hosts.ssh).toEqual({ host: 'localhost', port: 2222 })
    expect(parse('zone: a.b').hosts.ssh).toBeUndefined()
  })

  test('an open sign-up without mail is a fault, unless the outbox is meant', () => {
    expect(faultsOf('zone: a.b\nsignUp: open')).toEqual([expect.stringContaining('2:1: signUp: accounts are confirmed by mail')])
    expect(parse('zone: a.b\nsignUp: open\nmail: outbox').mail).toMatchObject({ kind: 'outbox' })
  })

  test('a password in the file is not shown in a fault', () => {
    const bad = [
      'mail: {smtp: "smtp://gw:geheim@mail.lan", form: x}',
      'mail: {smtp: "http://gw:geheim@m", from: a@b.c}',
      'store: mysql://gw:geheim@db/x',
    ]
    for (const line of bad) {
      const faults = faultsOf(`zone: a.b\n${line}`)
      expect(faults).not.toEqual([])
      expect(faults.join()).not.toContain('geheim')
    }
  })
})

describe('a file that is followed', () => {
  const start = async (text: string) => {
    const file = tempFile('service.yaml', text)
    const told: string[] = []
    const service = new ServiceFile(file, {
      onChange: (config, fixed) => told.push(`${config.limits.http} ${config.zone} ${fixed.join()}`),
      onFault: error => told.push(error.message.replace(`${file}:`, '')),
    })
    await service.start()
    onCleanUp(() => service.close())
    return { file, service, told }
  }

  test('puts a good change in force, and says which keys need a restart', async () => {
    const { file, service, told } = await start('zone: a.b\n')
    writeFileSync(file, 'zone: c.d\nlimits: {http: 7}\n')
    await until(() => told.length > 0, { what: 'the change' })
    expect(told).toEqual(['7 a.b zone,hosts'])
    expect(service.config.limits.http).toBe(7)
  })

  test('says that the first provider needs a restart, and nothing of later ones', async () => {
    const { file, service, told } = await start('zone: a.b\n')
    const withProviders = (...names: string[]): void =>
      writeFileSync(file, `zone: a.b\nidentityProviders: {${names.map(name => `${name}: {kind: accounts}`).join()}}\n`)
    withProviders('own')
    await until(() => service.config.identityProviders.size === 1, { what: 'the first' })
    withProviders('own', 'other')
    await until(() => service.config.identityProviders.size === 2, { what: 'the second' })
    expect(told).toEqual(['10 a.b identityProviders', '10 a.b '])
  })

  test('tells a bad change once, with its line, and stays with the last good one', async () => {
    const { file, service, told } = await start('zone: a.b\n')
    writeFileSync(file, 'zone: a.b\nsignUp: yes please\n')
    await until(() => told.length > 0, { what: 'the fault' })
    expect(told).toEqual([expect.stringMatching(/^2:1: signUp: expected closed/)])
    expect(service.config.signUp).toBe('closed')
    writeFileSync(file, 'zone: a.b\nlimits: {http: 8}\n')
    await until(() => service.config.limits.http === 8, { what: 'the good one' })
  })

  test('a file that is not there is an error with the next command', async () => {
    const file = join(dirname(tempDir()), 'nowhere.yaml')
    const service = new ServiceFile(file, { onChange: () => undefined, onFault: () => undefined })
    await expect(service.start()).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringContaining('socket-gateway service init --zone'),
    })
  })
})

describe('the key of the secrets', () => {
  test('is 32 bytes that nobody else may read', async () => {
    const file = tempFile('service.key', createSecretsKey())
    await expect(readSecretsKey(file)).rejects.toMatchObject({ code: 'KEY_INVALID', message: expect.stringContaining('chmod 600') })
    chmodSync(file, 0o600)
    expect(await readSecretsKey(file)).toHaveLength(32)
    writeFileSync(file, `${createSecretsKey()}${createSecretsKey()}`)
    expect(await readSecretsKey(file)).toHaveLength(64)
    for (const content of ['', '\n', `${createSecretsKey()}x\n`, createSecretsKey().repeat(9)]) {
      writeFileSync(file, content)
      await expect(readSecretsKey(file)).rejects.toMatchObject({ code: 'KEY_INVALID' })
    }
    writeFileSync(file, 'geheim')
    const refusal: unknown = await readSecretsKey(file).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'KEY_INVALID', message: expect.not.stringContaining('geheim') })
  })

  test('that is not there says what makes one', async () => {
    await expect(readSecretsKey(join(tempDir(), 'none'))).rejects.toMatchObject({ message: expect.stringContaining('service init') })
  })
})

test('the password of the store comes from the environment, or else from a file', async () => {
  const file = tempFile('password', 'geheim\n')
  const config = parse(`zone: a.b\nstore: postgres://gw@db.lan/gw\nstorePasswordFile: ${file}\n`)
  expect(await storeOptionsOf(config, {})).toMatchObject({ url: 'postgres://gw@db.lan/gw', password: 'geheim' })
  expect(await storeOptionsOf(config, { SG_STORE_PASSWORD: 'anders' })).toMatchObject({ password: 'anders' })
  expect(await storeOptionsOf(parse('zone: a.b'), {})).toEqual({ url: 'sqlite:/etc/gw/state/service.db', directory: '/etc/gw/state' })
})
