/**
 * A client that behaves as MySocket's of 2021 does, which is made with Go's package for SSH: its algorithms, its order of requests, its
 * ideas of addresses and of ends. It is ssh2's client, told to.
 */
import { connect, isIP } from 'node:net'
import ssh2, { type ClientChannel } from 'ssh2'
import { onCleanUp } from './cleanup.ts'
import { within } from './wait.ts'

/** What it does with each connection. */
export interface GoClientOptions {
  readonly port: number
  readonly user: string
  /** Private key, as ssh2 reads it. */
  readonly key: string
  /** Local port that it forwards to. */
  readonly local: number
  /** Bind address and port that it asks for. */
  readonly bindAddress?: string
  readonly bindPort: number
  /** As it calls itself. Default Go. */
  readonly ident?: string
  /** The session comes first, as with the client in Python. */
  readonly opensSessionFirst?: boolean
}

/** The client, logged in, with its forward and its session. */
export interface GoClient {
  readonly client: ssh2.Client
  /** What the session has shown. */
  readonly shown: () => string
  /** Forwarded connections that it has refused. */
  readonly refused: readonly string[]
  /** Origins that the server has named. */
  readonly origins: readonly string[]
  /** Channels that it has opened and not closed. */
  readonly open: ReadonlySet<ClientChannel>
}

const ALGORITHMS = {
  kex: ['curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521', 'diffie-hellman-group14-sha1'],
  serverHostKey: ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa', 'ssh-dss', 'ssh-ed25519'],
  cipher: ['aes128-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha1'],
  compress: ['none'],
}

/** Connects, logs in, asks for the forward, then for a session, as the real one does. @throws Error when one of it is refused */
export const startGoClient = async (options: GoClientOptions): Promise<GoClient> => {
  const { bindAddress = '127.0.0.1', bindPort, ident = 'Go', opensSessionFirst = false } = options
  const client = new ssh2.Client()
  onCleanUp(() => client.destroy())
  const refused: string[] = []
  const origins: string[] = []
  const open = new Set<ClientChannel>()
  let shown = ''
  client.on('error', () => undefined)
  client.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) => {
    origins.push(`${srcIP}:${srcPort}`)
    // x/crypto: the address has to be the one that was asked for, to the letter, and the origin one of IP and TCP.
    if (destIP !== bindAddress || destPort !== bindPort || isIP(srcIP) === 0 || srcPort < 1 || srcPort > 65_535) {
      refused.push(`${destIP}:${destPort} from ${srcIP}:${srcPort}`)
      return reject()
    }
    const channel = accept()
    open.add(channel)
    channel.on('error', () => undefined)
    channel.on('close', () => open.delete(channel))
    const local = connect(options.local, '127.0.0.1')
    // When the local service is down, it says so on its terminal, and leaves the channel as it is.
    local.on('error', () => channel.resume())
    local.once('connect', () => {
      // io.Copy both ways; whichever ends first closes the channel, whatever the other one still has.
      const over = (): void => {
        channel.close()
        local.destroy()
      }
      channel.on('data', (bytes: Buffer) => void local.write(bytes))
      channel.on('end', over)
      local.on('data', (bytes: Buffer) => void channel.write(bytes))
      local.on('end', () => {
        // What it has read is written by then.
        if (channel.writableLength === 0) over()
        else channel.once('drain', over)
      })
    })
  })
  const ready = new Promise<void>((resolve, reject) => void client.once('ready', resolve).once('error', reject))
  client.connect({
    host: '127.0.0.1',
    port: options.port,
    username: options.user,
    ident,
    algorithms: ALGORITHMS as never,
    keepaliveInterval: 0,
    authHandler: ['none', 'publickey'],
    privateKey: options.key,
  })
  await within(ready, 'a login')
  const forward = async (): Promise<void> => {
    const forwarded = new Promise<number>((resolve, reject) =>
      client.forwardIn(bindAddress, bindPort, (error, port) => (error === undefined ? resolve(port) : reject(error))),
    )
    await within(forwarded, 'a forward')
  }
  if (!opensSessionFirst) await forward()
  const session = new Promise<ClientChannel>((resolve, reject) =>
    client.shell({ term: 'xterm-256color', rows: 80, cols: 40, height: 320, width: 640 }, (error, channel) =>
      error === undefined ? resolve(channel) : reject(error),
    ),
  )
  const channel = await within(session, 'a session')
  channel.on('data', (bytes: Buffer) => (shown += bytes.toString()))
  if (opensSessionFirst) await forward()
  else channel.end() // its standard input is empty
  return { client, shown: () => shown, refused, origins, open }
}
