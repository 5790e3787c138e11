/** `docker`: containers of an engine whose labels ask for it become targets in a file. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parseTargets } from '../../src/config/targets.ts'
import { begin, type Running } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { startEngine } from './engine.ts'

const read = async (file: string): Promise<Record<string, unknown>> =>
  (JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as { targets?: Record<string, unknown> }).targets ?? {}

const start = async (...more: readonly string[]) => {
  const engine = await startEngine()
  const directory = tempDir()
  const file = join(directory, 'found.yaml')
  const running: Running = begin(['docker', '--engine', engine.url, '--targets', file, ...more])
  onCleanUp(() => void running.stop())
  const log = (): string => running.stdout() + running.stderr()
  const hosts = async (...expected: readonly string[]): Promise<void> => {
    await until(
      async () =>
        Object.keys(await read(file))
          .sort()
          .join() === [...expected].sort().join(),
      {
        what: `the hosts ${expected.join()}`,
      },
    )
  }
  return { engine, file, running, log, hosts, directory }
}

const web = (labels: Readonly<Record<string, string>>, name = 'web') => ({ name, labels })

describe('docker --targets', () => {
  test('writes containers with a host as targets, readable by their owner, and takes away those that have gone', async () => {
    const { engine, file, hosts, running, log } = await start('--identifier', 'lan-a')
    engine.set(
      web({ 'socket-gateway.host': 'web.example.com', 'socket-gateway.policy': "{ '^/v1/.*': [GET] }" }),
      { name: 'db', labels: { 'com.example.other': 'x' } },
      {
        name: 'api',
        labels: { 'socket-gateway.host': 'api.example.com', 'socket-gateway.protocol': 'https', 'socket-gateway.port': '8443' },
      },
    )
    await hosts('web.example.com', 'api.example.com')
    expect(await read(file)).toEqual({
      'api.example.com': { protocol: 'https', hostname: '127.0.0.1', port: 8443, identifier: ['lan-a'], found: 'docker api' },
      'web.example.com': {
        protocol: 'http',
        hostname: '127.0.0.1',
        port: 80,
        identifier: ['lan-a'],
        policy: { '^/v1/.*': ['GET'] },
        found: 'docker web',
      },
    })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(parseTargets(await readFile(file, 'utf8'), file).all).toHaveLength(2)
    engine.set(web({ 'socket-gateway.host': 'web.example.com' }))
    await hosts('web.example.com')
    expect(await read(file)).toEqual({
      'web.example.com': { protocol: 'http', hostname: '127.0.0.1', port: 80, identifier: ['lan-a'], found: 'docker web' },
    })
    expect(await running.stop()).toBe(0)
    expect(log()).toContain('"host":"api.example.com"')
    // What is in the file goes on being served.
    expect(Object.keys(await read(file))).toEqual(['web.example.com'])
  })

  test('leaves out what is wrong, says why once, and publishes the rest', async () => {
    const { engine, hosts, log } = await start('--allow-host', '*.example.com')
    const wrong = [
      web({ 'socket-gateway.host': 'a.example.com', 'socket-gateway.polcy': '{}' }, 'misspelt'),
      web({ 'socket-gateway.host': 'b.example.com', 'socket-gateway.policy': "{ '^/(': [GET] }" }, 'expression'),
      web({ 'socket-gateway.host': 'c.example.com', 'socket-gateway.port': '70000' }, 'port'),
      { name: 'ports', labels: { 'socket-gateway.host': 'd.example.com' }, ports: [80, 443] },
      { name: 'networks', labels: { 'socket-gateway.host': 'e.example.com' }, networks: { a: '10.0.0.1', b: '10.0.0.2' } },
      web({ 'socket-gateway.host': 'bank.com' }, 'foreign'),
      web({ 'socket-gateway.host': 'f.example.com', 'socket-gateway.protocol': 'tcp' }, 'tcp'),
      web({ 'socket-gateway.expose': 'true' }, 'hostless'),
      web({ 'socket-gateway.host': 'GOOD.example.com' }, 'twin'),
      web({ 'socket-gateway.host': 'g.example.com', 'socket-gateway.access': '{ login: { anybody: true } }' }, 'access'),
      web({ 'socket-gateway.host': 'h.example.com', 'socket-gateway.expose': 'false' }, 'silent'),
      web({ 'socket-gateway.host': `${'i'.repeat(300)}.example.com` }, 'long'),
      // Put together it would have half a gigabyte.
      web({ 'socket-gateway.host': 'j.example.com', 'socket-gateway.policy': `[&a ${'x'.repeat(500_000)}${', *a'.repeat(999)}]` }, 'bomb'),
      web(
        {
          'socket-gateway.host': 'k.example.com',
          'socket-gateway.access': '{ login: { domains: [a.com] }, login: { domains: [b.com] } }',
        },
        'twice',
      ),
      web({ 'socket-gateway.host': 'l.example.com', 'socket-gateway.access': '{ certificates: { ca: /etc/shadow } }' }, 'file'),
      web({ 'socket-gateway.host': 'x/.example.com' }, 'path'),
      web({ 'socket-gateway.host': '__proto__' }, 'proto'),
    ]
    engine.set(...wrong, web({ 'socket-gateway.host': 'good.example.com' }, 'good'))
    await hosts('good.example.com')
    for (const [name, why] of [
      ['misspelt', 'socket-gateway.polcy: is not known'],
      ['expression', 'policy'],
      ['port', 'expected 1 to 65535'],
      ['ports', 'exposes 2 ports (80, 443)'],
      ['networks', 'is in 2 networks (a, b)'],
      ['foreign', 'may not have the host bank.com; --allow-host has *.example.com'],
      ['tcp', 'has no public port in a targets file'],
      ['hostless', 'has no host, which a target needs'],
      ['twin', 'good.example.com is the host of docker good already'],
      ['access', 'access'],
      ['long', 'socket-gateway.host: has more than 255 characters'],
      ['bomb', 'socket-gateway.policy: has more than 16384 characters'],
      ['twice', 'duplicate key'],
      ['file', 'certificates name files of the gateway'],
      ['path', 'x/.example.com'],
      ['proto', 'may not have the host __proto__'],
    ]) {
      const lines = log()
        .split('\n')
        .filter(line => line.includes(`"docker ${name}"`))
      expect(lines).toHaveLength(1)
      expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'warn', reason: expect.stringContaining(why!) })
    }
    expect(log()).not.toContain('docker silent')
    const before = engine.lists()
    engine.set(...wrong)
    await until(() => engine.lists() > before)
    engine.set(web({ 'socket-gateway.host': 'last.example.com' }), ...wrong)
    await hosts('good.example.com', 'last.example.com')
    expect(log().match(/docker misspelt/g)).toHaveLength(1)
  })

  test('keeps what it has while the engine is away, and looks again', async () => {
    const { engine, hosts, log } = await start()
    engine.set(web({ 'socket-gateway.host': 'a.example.com' }))
    await hosts('a.example.com')
    await engine.away()
    await until(() => log().includes('what is published stays'), { what: 'the engine to be missed' })
    await hosts('a.example.com')
    engine.set(web({ 'socket-gateway.host': 'b.example.com' }))
    await engine.back()
    await hosts('b.example.com')
  })

  test('adds to a base that people keep, whose hosts nobody takes', async () => {
    const directory = tempDir()
    const base = join(directory, 'base.yaml')
    await writeFile(base, 'targets:\n  own.example.com: http://127.0.0.1:8080\n')
    const { engine, hosts, log } = await start('--base', base)
    engine.set(web({ 'socket-gateway.host': 'own.example.com' }, 'thief'), web({ 'socket-gateway.host': 'new.example.com' }))
    await hosts('own.example.com', 'new.example.com')
    expect(log()).toContain('own.example.com is the host of --base')
  })

  test.each([
    [['--engine', 'docker'], 'expected unix:///var/run/docker.sock or tcp://HOST:PORT'],
    [['--base', 'x.yaml'], '--base is for --targets, which is missing'],
    [['--base', 'x.yaml', '--targets', 'x.yaml'], 'are the same file'],
  ])('refuses %j in words', async (argv, words) => {
    const running = begin(['docker', ...argv])
    expect(await running.stop()).toBe(2)
    expect(running.stderr()).toContain(words)
  })
})
