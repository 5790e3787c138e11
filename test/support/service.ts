/** The rules of the service over a real store, with a data plane, letters and a clock that the test has in hand. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { AccountQuota, DirectoryChange, DirectoryKey, DirectorySocket } from '../../src/directory/directory.ts'
import { GatewayError } from '../../src/errors.ts'
import { DEFAULT_LIMITS, type ServiceConfig } from '../../src/service/config.ts'
import type { DataPlane, Letter, Service } from '../../src/service/contract.ts'
import type { ServiceClock } from '../../src/service/core/clock.ts'
import type { AccountLimits, Actor, Role } from '../../src/service/model.ts'
import { sshString } from '../../src/service/ssh-keys/wire.ts'
import { createService, type ServiceOptions } from '../../src/service/rules/create-service.ts'
import type { Argon2 } from '../../src/service/proofs/passwords.ts'
import type { Store, StoreOptions } from '../../src/store/store.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { onCleanUp } from './cleanup.ts'
import { addAccount, openTestStore } from './stores.ts'
import { DEADLINE_MS, until } from './wait.ts'

export const ADDRESS = '192.0.2.7'

/** A clock that stands still until it is moved. Timers run when their time has come, one after the other. */
export class TestClock implements ServiceClock {
  #now: number
  readonly #timers = new Set<{ readonly ms: number; readonly run: () => void; due: number }>()

  constructor(now = Date.parse('2026-11-28T12:00:00Z')) {
    this.#now = now
  }

  readonly now = (): number => this.#now

  every(ms: number, run: () => void): () => void {
    const timer = { ms, run, due: this.#now + ms }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  advance(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers) {
      if (timer.due > this.#now) continue
      timer.due = this.#now + timer.ms
      timer.run()
    }
  }
}

/** A data plane that keeps what it is told, and opens no ports. */
export class TestDataPlane implements DataPlane {
  readonly sockets = new Map<string, DirectorySocket>()
  readonly keys = new Map<string, DirectoryKey>()
  readonly quotas = new Map<string, AccountQuota>()
  readonly ended: string[] = []
  readonly changes: DirectoryChange[] = []
  /** Ports that cannot be opened. */
  readonly taken = new Set<number>()
  /** Names that are served by somebody else. */
  readonly refused = new Set<string>()
  /** While it is set, changes wait for it. */
  held: Promise<void> | undefined

  async apply(change: DirectoryChange): Promise<void> {
    if (this.held !== undefined) await this.held
    this.changes.push(change)
    for (const id of change.removedSockets) this.sockets.delete(id)
    for (const kid of change.removedKeys) this.keys.delete(kid)
    for (const socket of change.sockets) {
      if (socket.port !== null && this.taken.has(socket.port)) throw new GatewayError('LISTEN_FAILED', `port ${socket.port} is in use`)
      if (!this.refused.has(socket.dnsName)) this.sockets.set(socket.id, socket)
    }
    for (const key of change.keys) this.keys.set(key.kid, key)
    for (const quota of change.quotas ?? []) this.quotas.set(quota.accountId, quota)
    this.ended.push(...change.endedTunnels)
    if (change.sockets.some(({ dnsName }) => this.refused.has(dnsName))) throw new GatewayError('LISTEN_FAILED', 'a name of the operator')
  }
}

/** Fast, and as real as it has to be: what hashes cost is tested with the real ones. */
export const FAST_PASSWORDS: Argon2 = {
  hash: async password => `$argon2id$v=19$m=1,t=1,p=1$c2FsdA$${Buffer.from(password).toString('base64url')}`,
  verify: async (hash, password) => hash.endsWith(`$${Buffer.from(password).toString('base64url')}`),
}

export const TEST_CONFIG: ServiceConfig = {
  zone: 'edge.example.com',
  store: { kind: 'sqlite', file: 'service.db' },
  secretsFile: 'service.key',
  stateDirectory: '.',
  hosts: {
    api: 'api.example.com',
    auth: 'auth.example.com',
    portal: 'portal.example.com',
    link: ['wss://link.example.com'],
    ssh: { host: 'ssh.example.com', port: 22 },
    download: 'download.example.com',
  },
  ssh: undefined,
  clientVersion: 'v1',
  downloads: undefined,
  ports: { from: 40_000, to: 59_999 },
  signUp: 'open',
  mail: { kind: 'outbox', directory: 'outbox', from: 'gateway@example.com' },
  identityProviders: new Map(),
  portalProviders: [],
  limits: DEFAULT_LIMITS,
  refusedNames: ['paypal'],
  domainCheck: 'dns',
  abuse: undefined,
}

/** A service under test, and what is around it. */
export interface TestService {
  readonly service: Service
  readonly store: Store
  readonly clock: TestClock
  readonly plane: TestDataPlane
  readonly letters: Letter[]
  /** Of the key file. */
  readonly secretsKey: Buffer
  /** Changed by the test as an operator changes the file. */
  config: ServiceConfig
  /** Adds an account that is active; returns who it is after a login. */
  actor(role?: Role, limits?: AccountLimits): Promise<Actor>
  /** The token in the next letter to this address. */
  tokenFor(to: string): Promise<string>
}

/** Starts a service over a store; it is closed after the test file. */
export const startService = async (
  options: StoreOptions,
  { config = {}, ...more }: Partial<Omit<ServiceOptions, 'config'>> & { readonly config?: Partial<ServiceConfig> } = {},
): Promise<TestService> => {
  const clock = (more.clock as TestClock | undefined) ?? new TestClock()
  const store = await openTestStore({ ...options, now: clock.now })
  const plane = new TestDataPlane()
  const letters: Letter[] = []
  const secretsKey = more.secretsKey ?? randomBytes(32)
  const test: TestService = {
    service: undefined as unknown as Service,
    store,
    clock,
    plane,
    letters,
    secretsKey,
    config: { ...TEST_CONFIG, ...config },
    actor: async (role = 'user', limits = {}) => {
      const accountId = await addAccount(store.db, { role, limits: JSON.stringify(limits), created_at: clock.now() })
      return { accountId, role, scopes: undefined, kind: 'session', address: ADDRESS }
    },
    tokenFor: async to => {
      const letter = await until(() => letters.findLast(sent => sent.to === to), { what: `a letter to ${to}` })
      return /sgo_[\w-]{43}/.exec(letter.text)?.[0] ?? ''
    },
  }
  const service = await createService({
    mail: { send: async letter => void letters.push(letter) },
    dataPlane: plane,
    log: createLog({ level: 'error', format: 'json', destination: 2 }),
    argon2: FAST_PASSWORDS,
    inForceMs: DEADLINE_MS, // a busy machine is no reason to answer before
    ...more,
    store,
    config: () => test.config,
    secretsKey,
    clock,
  })
  Object.assign(test, { service })
  await service.start()
  onCleanUp(() => service.close())
  return test
}

/** The public half of a fresh key, as an inner layer sends it. */
export const newJwk = (): Readonly<Record<string, string>> =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }) as Record<string, string>

/** A fresh key as a line of authorized_keys, and as an SSH client offers it. */
export const newSshKey = () => {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(Buffer.from(x!, 'base64url'))])
  return { line: `ssh-ed25519 ${blob.toString('base64')} test`, offered: { algorithm: 'ssh-ed25519', blob } }
}

export const PASSWORD = 'correct horse'

let addresses = 0

/** An address that has not tried anything yet. */
export const nextAddress = (): string => `198.51.${100 + Math.floor(++addresses / 250)}.${1 + (addresses % 250)}`

/** What people do who want an account, each from an address of their own. */
export const peopleOf = (given: () => TestService) => {
  const signUp = (
    email: string,
    more: { readonly name?: string; readonly password?: string; readonly sshKey?: string } = {},
  ): Promise<void> => given().service.accounts.signUp({ name: 'Ada', email, password: PASSWORD, ...more }, nextAddress())
  const login = (email: string, password = PASSWORD, address = nextAddress()) =>
    given().service.sessions.login({ email, password }, address)
  const newAccount = async (email: string): Promise<Actor> => {
    await signUp(email)
    await given().service.accounts.confirm(await given().tokenFor(email))
    return given().service.sessions.authenticate((await login(email)).token, ADDRESS)
  }
  return { signUp, login, newAccount }
}
