/** Floods of what a stranger may try: attempts each second, each from another address of this machine where many are wanted. */
import { generateKeyPairSync } from 'node:crypto'
import { request } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls, createSecureContext } from 'node:tls'
import { Client as SshClient } from 'ssh2'
import { hostKeyText } from '../src/ssh/keys/host-key.ts'

const TICK_MS = 5
const TIMEOUT_MS = 10_000
/** More under way are not begun: the flood would measure itself. */
const AT_ONCE = 400

/** What is tried. */
export type FloodKind = 'logins' | 'tls' | 'ssh' | 'sockets'

/** A flood. */
export interface Flood {
  readonly kind: FloodKind
  readonly port: number
  readonly perSecond: number
  /** From how many addresses of 127.0.0.0/8. */
  readonly addresses: number
  /** For `sockets`. */
  readonly token?: string
}

/** What became of the attempts: status or fate, and how often. */
export interface FloodResult {
  readonly attempts: number
  readonly outcomes: Readonly<Record<string, number>>
}

const address = (number: number): string => `127.${1 + (number >> 8)}.${number & 255}.1`

/** One call of the API. @returns the status; of 429, whether it says when to come back */
const call = (flood: Flood, from: string, path: string, body: object, fields: Readonly<Record<string, string>> = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    const content = JSON.stringify(body)
    const headers = { Host: 'localhost', 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(content), ...fields }
    const options = {
      host: '127.0.0.1',
      port: flood.port,
      localAddress: from,
      method: 'POST',
      path,
      headers,
      agent: false as const,
      timeout: TIMEOUT_MS,
    }
    const sent = request(options, response => {
      response.resume().on('end', () => {
        const { statusCode = 0, headers: got } = response
        resolve(statusCode === 429 ? `429 ${got['retry-after'] === undefined ? 'without' : 'with'} Retry-After` : String(statusCode))
      })
      response.on('error', reject)
    })
    sent.on('timeout', () => void sent.destroy(new Error('no answer')))
    sent.on('error', reject)
    sent.end(content)
  })

// One for all: making one reads every authority that Node.js knows, which costs more than a handshake.
const secureContext = createSecureContext()

const tlsHandshake = ({ port }: Flood, from: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const sock = connectTcp({ host: '127.0.0.1', port, localAddress: from })
    sock.on('error', reject)
    const socket = connectTls({ socket: sock, secureContext, rejectUnauthorized: false, servername: 'localhost' }, () => {
      socket.destroy()
      resolve('done')
    })
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('no answer')))
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed')))
  })

const privateKey = hostKeyText(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)

/** The whole handshake, and a key that nobody has. */
const sshHandshake = ({ port }: Flood, from: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const client = new SshClient()
    client.on('error', error => resolve(/authentication/i.test(error.message) ? 'refused' : 'closed'))
    client.on('ready', () => reject(new Error('let in')))
    client.on('close', () => resolve('closed'))
    const sock = connectTcp({ host: '127.0.0.1', port, localAddress: from })
    sock.on('error', () => resolve('closed'))
    client.connect({ sock, username: 'flood', privateKey, readyTimeout: TIMEOUT_MS })
  })

const attempt = (flood: Flood, number: number): Promise<string> => {
  const from = address(number % flood.addresses)
  switch (flood.kind) {
    case 'logins':
      return call(flood, from, '/api/v1/sessions', { email: `nobody${number}@example.com`, password: 'wrong password' })
    case 'sockets':
      return call(flood, from, '/api/v1/sockets', { name: 'flood', type: 'http' }, { Authorization: `Bearer ${flood.token ?? ''}` })
    case 'tls':
      return tlsHandshake(flood, from)
    case 'ssh':
      return sshHandshake(flood, from)
  }
}

/** Goes on until it is ended. */
export class RunningFlood {
  readonly #outcomes = new Map<string, number>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  #begun = 0
  #attempts = 0

  constructor(private readonly flood: Flood) {
    const start = performance.now()
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - start) / 1_000) * flood.perSecond)
      for (; this.#begun < due; this.#begun++) if (this.#underWay.size < AT_ONCE) this.#try(this.#attempts++)
    }, TICK_MS)
  }

  async end(): Promise<FloodResult> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    return { attempts: this.#attempts, outcomes: Object.fromEntries(this.#outcomes) }
  }

  #try(number: number): void {
    const done = attempt(this.flood, number)
      .catch((error: unknown) => (error as Error).message)
      .then(outcome => void this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1))
    this.#underWay.add(done)
    void done.then(() => this.#underWay.delete(done))
  }
}
