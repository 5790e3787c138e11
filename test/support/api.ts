/** An API on a free port, over the rules on SQLite, with three accounts: ada and bob are users, root is an admin. */
import { randomBytes } from 'node:crypto'
import { createServer, request } from 'node:http'
import { createApi } from '../../src/api/api.ts'
import type { ApiOptions } from '../../src/api/api-options.ts'
import type { ServiceConfig } from '../../src/service/config.ts'
import type { Service } from '../../src/service/contract.ts'
import type { AccountLimits } from '../../src/service/model.ts'
import type { ServiceOptions } from '../../src/service/rules/create-service.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { listen } from './ports.ts'
import { startService, TestClock, type TestService } from './service.ts'
import { databases } from './stores.ts'

type Person = 'ada' | 'bob' | 'root'

/** The password of each of them. */
export const PASSWORD = 'right password'

export interface RunningApi {
  readonly url: string
  /** The rules behind it. */
  readonly given: TestService
  readonly tokens: Readonly<Record<Person, string>>
  readonly ids: Readonly<Record<Person, string>>
  /** Calls of the rules: such as `sockets.create`, and the arguments. */
  readonly seen: (readonly [string, ...unknown[]])[]
  /** Thrown by the next call of the rules that is no look at a token. */
  fail: Error | undefined
  /** Sends a request of the new dialect. */
  v1(method: string, path: string, options?: RequestOptions): Promise<ApiAnswer>
  /** Sends a request of the old dialect. */
  old(method: string, path: string, options?: RequestOptions): Promise<ApiAnswer>
}

interface RequestOptions {
  /** One of the three, or a token; default: ada; null: none. */
  readonly token?: string | null
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is. */
  readonly raw?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Undefined for what is no JSON. */
  readonly json: unknown
}

const MANY: AccountLimits = { creationsPerHour: 10_000, http: 10_000, tcp: 100, tunnels: 100 }

/** The things around the API that a test wants otherwise. */
export interface Around extends Pick<Partial<ServiceOptions>, 'dataPlane'> {
  /** Of ada; default: so many that no test reaches them. */
  readonly limits?: AccountLimits
  readonly config?: Partial<ServiceConfig>
}

/** Starts one; it ends with the test file. */
export async function startApi(options: Partial<ApiOptions> = {}, { limits = MANY, ...around }: Around = {}): Promise<RunningApi> {
  const [database] = await databases()
  const clock = new TestClock()
  clock.advance(Date.now() - clock.now()) // programs under test ask the real one whether a login is over
  const given = await startService(await database!.empty(), { ...around, clock })
  const { service } = given
  const { accounts, sessions } = service
  const admin = await given.actor('admin')
  const enter = async (name: Person): Promise<readonly [string, string]> => {
    const email = `${name}@example.com`
    await accounts.signUp({ name: name[0]!.toUpperCase() + name.slice(1), email, password: PASSWORD }, name)
    const { id } = await accounts.confirm(await given.tokenFor(email))
    return [id, (await sessions.login({ email, password: PASSWORD }, name)).token]
  }
  const [ada, bob, root] = [await enter('ada'), await enter('bob'), await enter('root')]
  await accounts.setLimits(admin, ada[0], limits)
  await accounts.setRole(admin, root[0], 'admin')
  const api: RunningApi = {
    url: '',
    given,
    tokens: { ada: ada[1], bob: bob[1], root: root[1] },
    ids: { ada: ada[0], bob: bob[0], root: root[0] },
    seen: [],
    fail: undefined,
    v1: (method, path, { token = 'ada', ...rest } = {}) =>
      send(`${api.url}/api/v1${path}`, method, token === null ? {} : { Authorization: `Bearer ${tokenOf(token)}` }, rest),
    old: (method, path, { token = 'ada', ...rest } = {}) =>
      send(`${api.url}${path}`, method, token === null ? {} : { 'x-access-token': tokenOf(token) }, rest),
  }
  const tokenOf = (name: string): string => api.tokens[name as Person] ?? name
  const server = createServer(createApi({ log: silentLog, isBehindGateway: true, ...options, service: watched(service, api) }))
  return Object.assign(api, { url: `http://127.0.0.1:${await listen(server)}` })
}

/** The service, each call of which is seen, and may be made to fail. */
function watched(service: Service, api: Pick<RunningApi, 'seen' | 'fail'>): Service {
  const group = (name: string, rules: object): object =>
    new Proxy(rules, {
      get: (_rules, method: string) => {
        const call = (rules as Record<string, unknown>)[method]
        if (typeof call !== 'function') return call
        return async (...args: unknown[]) => {
          if (method !== 'authenticate') {
            const { fail } = api
            api.fail = undefined
            if (fail !== undefined) throw fail
          }
          api.seen.push([`${name}.${method}`, ...args])
          return Reflect.apply(call, rules, args) as unknown
        }
      },
    })
  return new Proxy(service, {
    get: (_service, name: string) => {
      const rules = (service as unknown as Record<string, unknown>)[name]
      return typeof rules === 'object' && rules !== null ? group(name, rules) : rules
    },
  })
}

async function send(url: string, method: string, token: Record<string, string>, options: RequestOptions): Promise<ApiAnswer> {
  const { body, raw, headers } = options
  const content = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const fields = {
    ...(content !== undefined && { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(content)) }),
    ...token,
    ...headers,
  }
  const answer = await exchange(url, method, fields, content)
  let json: unknown
  try {
    json = JSON.parse(answer.text)
  } catch {
    // undefined
  }
  return { ...answer, json }
}

/** One request; fetch refuses a body with GET, which the old client sends. */
const exchange = (
  url: string,
  method: string,
  headers: Record<string, string>,
  content: string | undefined,
): Promise<Omit<ApiAnswer, 'json'>> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: new Headers(response.headers as Record<string, string>), text }),
      )
    })
    sent.on('error', reject)
    sent.end(content)
  })

/** A line of authorized_keys with a fresh key, without comment. */
export function newKeyLine(): string {
  const field = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  return `ssh-ed25519 ${Buffer.concat([field(Buffer.from('ssh-ed25519')), field(randomBytes(32))]).toString('base64')}`
}
