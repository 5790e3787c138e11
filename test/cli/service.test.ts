/** Commands for whoever runs a service, on real files. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parseServiceConfig } from '../../src/config/service/service-config.ts'
import { readSecretsKey } from '../../src/config/service/secrets-key.ts'
import { tempDir } from '../support/temp.ts'
import { run } from './context.ts'

const modeOf = (file: string): number => statSync(file).mode & 0o777

describe('service init', () => {
  test('writes the file, a key and a database that nobody else may read, and a link for the first admin', async () => {
    const folder = tempDir()
    const file = join(folder, 'service.yaml')
    const { status, stdout, stderr } = await run(['service', 'init', '--zone', 'Edge.example.com', '--service', file])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(`next: socket-gateway outer-layer --service ${file} --app-port 443 --tls-certificate FILE --tls-key FILE`)
    expect(stdout).toMatch(/^ {2}https:\/\/api\.edge\.example\.com\/invitation#[\w-]{20,}$/m)
    const config = parseServiceConfig(readFileSync(file, 'utf8'), file)
    expect(config).toMatchObject({ zone: 'edge.example.com', signUp: 'closed', mail: { kind: 'outbox' }, ssh: undefined })
    expect(config.hosts.link).toEqual(['wss://link.edge.example.com:3001'])
    expect(await readSecretsKey(config.secretsFile)).toHaveLength(32)
    expect([modeOf(config.secretsFile), modeOf(join(folder, 'state')), modeOf(join(folder, 'state', 'service.db'))]).toEqual([
      0o600, 0o700, 0o600,
    ])
    expect(stdout).not.toContain(readFileSync(config.secretsFile, 'utf8').trim())
  })

  test('overwrites nothing, and another link is to be had', async () => {
    const folder = tempDir()
    const file = join(folder, 'service.yaml')
    const first = JSON.parse((await run(['service', 'init', '--zone', 'localhost', '--service', file, '--json'])).stdout) as {
      link: string
      admin: string
    }
    expect(first).toMatchObject({ admin: 'admin@localhost', link: expect.stringMatching(/^http:\/\/localhost:3000\/invitation#/) })
    const key = readFileSync(join(folder, 'state', 'service.key'))
    expect(await run(['service', 'init', '--zone', 'localhost', '--service', file])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('exists'),
    })
    expect(readFileSync(join(folder, 'state', 'service.key'))).toEqual(key)
    const again = await run(['service', 'admin-link', '--service', file])
    expect(again).toMatchObject({ status: 0, stdout: expect.stringMatching(/^http:\/\/localhost:3000\/invitation#/) })
    expect(again.stdout).not.toContain(first.link)
  })

  test.each([
    [['--zone', '192.0.2.1'], 'zone: expected a host name'],
    [['--zone', 'a b'], 'socket-gateway: --zone: expected a host name such as edge.example.com, got "a b"; nothing was written\n'],
    [['--zone', 'a.b', '--store', 'mysql://x'], 'store: expected sqlite:FILE'],
    [['--zone', 'a.b', '--admin', 'nobody'], 'address'],
  ])('%j leaves nothing behind', async (argv, message) => {
    const folder = tempDir()
    const outcome = await run(['service', 'init', ...argv, '--service', join(folder, 'service.yaml')])
    expect(outcome).toMatchObject({ status: 1, stderr: expect.stringContaining(message) })
    expect([existsSync(join(folder, 'service.yaml')), existsSync(join(folder, 'state', 'service.key'))]).toEqual([false, false])
  })
})

test('service backup copies the database, which service migrate finds up to date', async () => {
  const folder = tempDir()
  const [file, copy] = [join(folder, 'service.yaml'), join(folder, 'copy.db')]
  await run(['service', 'init', '--zone', 'localhost', '--service', file])
  expect(await run(['service', 'migrate', '--service', file])).toMatchObject({ status: 0, stdout: 'the database is up to date already\n' })
  expect(await run(['service', 'backup', copy, '--service', file])).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('service.key'),
  })
  expect(modeOf(copy)).toBe(0o600)
  expect(await run(['service', 'backup', copy, '--service', file])).toMatchObject({ status: 1 })
})

test('service rotate makes new keys, keeps those before for one time, and says so', async () => {
  const folder = tempDir()
  const file = join(folder, 'service.yaml')
  await run(['service', 'init', '--zone', 'localhost', '--service', file])
  const rotate = async (...more: string[]): Promise<unknown> =>
    JSON.parse((await run(['service', 'rotate', '--service', file, '--json', ...more])).stdout)
  expect(await rotate()).toEqual({ made: ['jwt-1', 'cookie-1', 'ssh-ca-1', 'visitor-ca-1'], keepsPrevious: true })
  expect(await rotate('--host-key', '--visitor-ssh-key', '--retire')).toEqual({
    made: ['jwt-2', 'cookie-2', 'ssh-ca-2', 'visitor-ca-2', 'ssh-host-1', 'visitor-ssh-ca-1'],
    keepsPrevious: false,
  })
  const { status, stdout } = await run(['service', 'rotate', '--service', file])
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout: 'made jwt-3, cookie-3, ssh-ca-3, visitor-ca-3; the keys before stay good until the next time\n',
  })
})

test('service rotate --key-file seals all secrets under a new key; the one before opens copies until it is retired', async () => {
  const folder = tempDir()
  const [file, keyFile] = [join(folder, 'service.yaml'), join(folder, 'state', 'service.key')]
  await run(['service', 'init', '--zone', 'localhost', '--service', file])
  await run(['service', 'rotate', '--service', file])
  const rotate = async (...more: string[]): Promise<{ readonly before: Buffer; readonly after: Buffer }> => {
    const before = await readSecretsKey(keyFile)
    expect(await run(['service', 'rotate', '--service', file, '--key-file', ...more])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(`made a new key in ${keyFile} and sealed all secrets anew; the key before `),
    })
    expect(modeOf(keyFile)).toBe(0o600)
    return { before, after: await readSecretsKey(keyFile) }
  }
  const first = await rotate()
  expect([first.before.length, first.after.length]).toEqual([32, 64])
  expect(first.after.subarray(32)).toEqual(first.before)
  // Not the key before that one: two are enough.
  const second = await rotate()
  expect(second.after.subarray(32)).toEqual(second.before.subarray(0, 32))
  const third = await rotate('--retire')
  expect(third.after).toHaveLength(32)
  expect(third.before.includes(third.after)).toBe(false)
  // The new one alone opens what is there, and what is there is of the first rotation still.
  expect((await run(['service', 'rotate', '--service', file])).stdout).toContain('made jwt-2')
  writeFileSync(keyFile, `${third.before.toString('base64url', 0, 32)}\n`)
  expect(await run(['service', 'rotate', '--service', file])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('cannot be opened'),
  })
})

test('without a file of the service, the command that writes one is named', async () => {
  expect(await run(['service', 'migrate', '--service', join(tempDir(), 'none.yaml')])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('socket-gateway service init --zone'),
  })
})
