/**
 * What thousands of short connections leave behind: nothing. The processes are those of users, and what they hold is what the kernel says, so
 * that nothing of this process, or of a test that ran in it before, is counted.
 */
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { run, type Outcome } from '../cli/context.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { mintServer, writePair } from '../support/certificates.ts'
import { freePort } from '../support/ports.ts'
import { startProcess, type RunningProcess } from '../support/process.ts'
import { echoServer, TcpEnd, tcpConnect, type TcpServer } from '../support/tcp.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const AT_A_TIME = 200

/** Sockets that the process holds, as the kernel counts them. */
const socketsOf = ({ pid }: RunningProcess): number =>
  readdirSync(`/proc/${pid}/fd`).filter(fd => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:')
    } catch {
      return false // closed meanwhile
    }
  }).length

/** Opens `count` connections, at most 200 at a time, each of which gets its echo and then ends in one of four ways. @returns echoes */
const useAll = async (count: number, open: () => Promise<TcpEnd>): Promise<number> => {
  let next = 0
  let echoes = 0
  const use = async (number: number): Promise<void> => {
    const end = await open()
    const text = `connection ${number} `
    end.socket.write(text)
    await end.when(() => end.text === text || end.socket.destroyed, `the echo of connection ${number}`)
    if (end.text === text) echoes++
    // Cleanly, by a reset, by vanishing with bytes under way, and by vanishing without.
    if (number % 4 === 0) end.socket.end()
    else if (number % 4 === 1 && !(end.socket instanceof TLSSocket)) end.socket.resetAndDestroy()
    else {
      if (number % 4 === 2) end.socket.write('never read')
      end.socket.destroy()
    }
    await end.gone()
  }
  const worker = async (): Promise<void> => {
    while (next < count) await use(next++)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  return echoes
}

/** Uses a way in and waits until the processes hold no more sockets than before. A first connection opens what stays open. */
const expectNoLeak = async (
  processes: Readonly<Record<string, RunningProcess>>,
  origin: TcpServer,
  count: number,
  open: () => Promise<TcpEnd>,
): Promise<void> => {
  const held = (): Record<string, number> =>
    Object.fromEntries(Object.entries(processes).map(([name, process]) => [name, socketsOf(process)]))
  const first = await open()
  first.socket.write('first')
  await first.received('first')
  first.socket.end()
  await first.gone()
  await until(() => origin.ends[0]?.socket.destroyed)
  let before = held()
  // The last sockets of the first one may still be on their way out.
  await until(() => {
    const now = held()
    const isSame = JSON.stringify(now) === JSON.stringify(before)
    before = now
    return isSame
  })
  expect(await useAll(count, open)).toBe(count)
  await until(() => Object.entries(held()).every(([name, sockets]) => sockets <= before[name]!), {
    what: `sockets to be ${JSON.stringify(before)} as before`,
  }).catch((error: unknown) => {
    throw new Error(`left behind: ${JSON.stringify(held())}`, { cause: error })
  })
  expect(origin.ends.length).toBe(count + 1)
  await until(() => origin.ends.every(({ socket }) => socket.destroyed))
}

const directory = tempDir()
const file = (name: string): string => join(directory, name)
let thumbprint: string
beforeAll(async () => {
  const mint = (name: string): Promise<Outcome> => {
    const files = ['--private-key', file(`${name}.key`), '--certificate', file(`${name}.crt`)]
    return run(['certificates', '--type', 'ec', '--common-name', name, ...files])
  }
  await mint('inner')
  thumbprint = /thumbprint of the key: (\S+)/.exec((await mint('alice')).stdout)![1]!
})

interface Gateway {
  readonly outer: RunningProcess
  readonly inner: RunningProcess
  readonly socketPort: number
  readonly adminPort: number
}

const startGateway = async (targets: string, ...options: string[]): Promise<Gateway> => {
  const path = join(tempDir(), 'targets.yaml')
  writeFileSync(path, `targets: {}\n${targets}`)
  const ports = ['--app-port', '0', '--socket-port', '0', '--admin-port', '0', '--log-level', 'info']
  const outer = startProcess(['outer-layer', '--public-key', file('inner.crt'), '--targets', path, ...ports, ...options])
  const [, socketPort, adminPort] = await outer.waitForLine(/"socketPort":(\d+).*"adminPort":(\d+)/)
  const url = `ws://127.0.0.1:${socketPort!}`
  const inner = startProcess(['inner-layer', '--private-key', file('inner.key'), '--outer-layer', url, '--allow', '127.0.0.1:*'])
  await inner.waitForLine(/connected to/)
  return { outer, inner, socketPort: Number(socketPort), adminPort: Number(adminPort) }
}

/** Nothing of the kind is under way any more, as the outer layer itself counts. */
const expectNone = async (adminPort: number, kind: string): Promise<void> => {
  const counted = async (): Promise<number | undefined> =>
    parseMetrics((await ask(adminPort, '/metrics')).text).get(`socket_gateway_connections_open{kind="${kind}"}`)
  await until(async () => (await counted()) === 0, { what: `no connection of the kind ${kind}` })
}

describe('no socket is left behind by', () => {
  test('1,000 connections to a TCP port', async () => {
    const origin = await echoServer()
    const port = await freePort()
    const { outer, inner, adminPort } = await startGateway(`tcp: { ${port}: { hostname: 127.0.0.1, port: ${origin.port} } }\n`)
    await expectNoLeak({ outer, inner }, origin, 1_000, () => tcpConnect(port))
    await expectNone(adminPort, 'tcp')
  })

  test('200 connections to a TCP port that ends TLS', async () => {
    const origin = await echoServer()
    const port = await freePort()
    const pair = await mintServer(['localhost'])
    const { certificate, key } = writePair(pair)
    const { outer, inner, adminPort } = await startGateway(
      `tcp: { ${port}: { hostname: 127.0.0.1, port: ${origin.port}, tls: true } }\n`,
      ...['--tls-certificate', certificate, '--tls-key', key],
    )
    const open = async (): Promise<TcpEnd> => {
      const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca: pair.certificatePem })
      const end = new TcpEnd(socket)
      await until(() => socket.getProtocol() !== null, { what: 'a TLS handshake' })
      return end
    }
    await expectNoLeak({ outer, inner }, origin, 200, open)
    await expectNone(adminPort, 'tcp')
  })

  test('1,000 connections through forward', async () => {
    const origin = await echoServer()
    const gateway = await startGateway(`tunnels: { "127.0.0.1:${origin.port}": { publicKeys: ["${thumbprint}"], maxConnections: 1000 } }\n`)
    const { outer, inner, socketPort, adminPort } = gateway
    const url = `ws://127.0.0.1:${socketPort}/tunnel/127.0.0.1:${origin.port}`
    const forwarder = startProcess(['forward', '--max-connections', '1000', '--private-key', file('alice.key'), '127.0.0.1:0', url])
    const [, port] = await forwarder.waitForLine(/forwarding 127\.0\.0\.1:(\d+)/)
    await expectNoLeak({ outer, inner, forwarder }, origin, 1_000, () => tcpConnect(Number(port)))
    await expectNone(adminPort, 'tunnel')
  })
})
