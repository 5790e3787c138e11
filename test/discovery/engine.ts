/** A container engine on a unix socket, as far as its containers are read. */
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'

export interface FakeContainer {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly ports?: readonly number[]
  readonly networks?: Readonly<Record<string, string>>
}

/** An engine whose containers the test has in hand. `set` tells those who follow it, `away` cuts them off. */
export const startEngine = async () => {
  let containers: readonly FakeContainer[] = []
  const followers = new Set<ServerResponse>()
  let lists = 0
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/events') === true) {
      response.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
      followers.add(response)
      response.on('close', () => followers.delete(response))
      return
    }
    if (request.url !== '/containers/json') return void response.writeHead(404).end()
    lists++
    response.end(
      JSON.stringify(
        containers.map(({ name, labels, ports = [80], networks = { bridge: '127.0.0.1' } }) => ({
          Id: Buffer.from(name).toString('hex').padEnd(64, '0'),
          Names: [`/${name}`],
          Labels: labels,
          Ports: ports.map(PrivatePort => ({ PrivatePort, Type: 'tcp' })),
          NetworkSettings: {
            Networks: Object.fromEntries(Object.entries(networks).map(([network, IPAddress]) => [network, { IPAddress }])),
          },
        })),
      ),
    )
  })
  const socketPath = join(tempDir(), 'engine.sock')
  const listen = (): Promise<void> => new Promise(resolve => server.listen(socketPath, resolve))
  await listen()
  onCleanUp(() => server.close())
  onCleanUp(() => server.closeAllConnections())
  return {
    url: `unix://${socketPath}`,
    lists: () => lists,
    followers: () => followers.size,
    set: (...all: readonly FakeContainer[]): void => {
      containers = all
      for (const follower of followers) follower.write('{"Type":"container","Action":"start"}\n')
    },
    away: async (): Promise<void> => {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
    back: listen,
  }
}
