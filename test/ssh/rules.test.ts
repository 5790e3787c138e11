/** The door over the rules of the service, before a real outer layer: what OpenSSH asks for is a socket of its account. */
import { expect } from '@jest/globals'
import { createServer } from 'node:http'
import { writeFileSync } from 'node:fs'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { GatewayError } from '../../src/errors.ts'
import { registeredKey } from '../../src/index.ts'
import type { DataPlane } from '../../src/service/contract.ts'
import { createSshDoor, type SshDoor } from '../../src/ssh/door.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { captureLog, startLayers, testKeyPair, type Layers } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { startService, TestClock, type TestService } from '../support/service.ts'
import { makeKey, startSsh } from '../support/ssh-door.ts'
import { databases } from '../support/stores.ts'
import { until } from '../support/wait.ts'

const PROGRAMS = ['ssh', 'ssh-keygen']

const start = async (): Promise<{ given: TestService; layers: Layers; door: SshDoor }> => {
  const directory = new LiveDirectory({
    zone: 'edge.example.com',
    ports: { from: 40_000, to: 59_999 },
    serviceKey: registeredKey((await testKeyPair()).certificatePem),
  })
  const layers = await startLayers({ targets: 'targets: {}', inners: 0, outer: { directory } })
  const dataPlane: DataPlane = {
    apply: async change => {
      const [failure] = await directory.apply(change)
      if (failure !== undefined) throw new GatewayError('LISTEN_FAILED', failure.message)
    },
  }
  const [database] = await databases()
  // The door asks the clock of this machine whether a certificate is valid.
  const given = await startService(await database!.empty(), { dataPlane, clock: new TestClock(Date.now()) })
  await directory.apply(await given.service.snapshot())
  const { log } = captureLog()
  const door = createSshDoor({
    access: given.service.ssh,
    tunnels: given.service.tunnels,
    linkTo: { url: `ws://127.0.0.1:${layers.outer.servicePort}`, privateKey: layers.privateKey },
    listen: { host: '127.0.0.1', port: 0 },
    greeting: { welcome: 'Welcome to edge.example.com!', host: 'ssh.example.com' },
    log,
  })
  await door.start()
  onCleanUp(() => door.close())
  return { given, layers, door }
}

const origin = (name: string): Promise<number> => listen(createServer((_, res) => res.end(name)))

const get = async (layers: Layers, host: string): Promise<string> => {
  const { status, body, code } = await exchange(layers.port, { host })
  return status === 200 ? body.toString() : `${status} ${code ?? ''}`
}

testWith(PROGRAMS, 'ssh -R 80: is a socket of the account of the key, which goes a minute after the connection', async () => {
  const { given, layers, door } = await start()
  const { service, clock } = given
  const [ada, key] = [await given.actor(), await makeKey()]
  await service.accounts.addKey(ada, key.line)
  const ssh = startSsh({ door, user: 'anybody' }, key, ['-R', `80:127.0.0.1:${await origin('a')}`])
  await ssh.waitForLine(/Logs\r\n={55}\r\n/)
  const [socket] = (await service.sockets.list(ada, {})).items
  expect(ssh.stdout).toContain(`https://${socket!.dnsName}\r\n`)
  expect(socket).toMatchObject({ isEphemeral: true, tunnels: [{ isConnected: true, connectedFrom: '127.0.0.1' }] })
  expect(await get(layers, socket!.dnsName)).toBe('a')
  clock.advance(600_000)
  expect(await get(layers, socket!.dnsName)).toBe('a')
  await ssh.stop('SIGTERM')
  await until(async () => (await service.sockets.get(ada, socket!.id)).tunnels[0]?.isConnected === false, { what: 'the tunnel to be gone' })
  await until(async () => (await given.store.db.selectFrom('sockets').select('idle_since').executeTakeFirst())?.idle_since !== null)
  clock.advance(60_000)
  await until(async () => (await get(layers, socket!.dnsName)) === '404 NO_SOCKET', { what: 'the socket to be gone' })
})

testWith(PROGRAMS, 'ssh -R 443: before a service of plain HTTP says what to ask for, and no name that only the gateway knows', async () => {
  const { given, layers, door } = await start()
  const [ada, key] = [await given.actor(), await makeKey()]
  await given.service.accounts.addKey(ada, key.line)
  const ssh = startSsh({ door, user: 'anybody' }, key, ['-R', `443:127.0.0.1:${await origin('plain')}`])
  await ssh.waitForLine(/Logs\r\n={55}\r\n/)
  const [socket] = (await given.service.sockets.list(ada, {})).items
  expect(await get(layers, socket!.dnsName)).toBe('502 ORIGIN_TLS')
  await ssh.waitForLine(/ORIGIN_TLS: your service does not speak TLS .* ask for port 80 instead of 443/)
  expect(ssh.stdout).not.toContain('socket.invalid')
})

testWith(PROGRAMS, 'a certificate of the service serves a tunnel by its relay port; without it, the same key is nobody', async () => {
  const { given, layers, door } = await start()
  const { service } = given
  const [ada, key] = [await given.actor(), await makeKey('ecdsa')]
  const { socket, tunnel } = await service.sockets.connect(ada, { name: 'x' })
  const user = ada.accountId.replaceAll('-', '')
  const args = ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', `${tunnel.relayPort}:127.0.0.1:${await origin('b')}`]
  const refused = await startSsh({ door, user }, key, args).exit
  expect(refused.code).toBe(255)
  writeFileSync(`${key.path}-cert.pub`, `${await service.tunnels.certificate(ada, socket.id, tunnel.id, key.line)}\n`)
  startSsh({ door, user }, key, args)
  await until(async () => (await get(layers, socket.dnsName)) === 'b', { what: 'the tunnel to serve' })
  await service.accounts.suspend(await given.actor('admin'), ada.accountId)
  expect(await get(layers, socket.dnsName)).toBe('404 NO_SOCKET')
})
