import { PrivateFile } from './private-file.ts'

/** The token that a login has given for tunnels of one gateway. */
export interface TunnelLogin {
  readonly token: string
  /** HOST:PORT of the tunnels that it opens. */
  readonly tunnels: readonly string[]
  readonly expiresMs: number
}

/** The file of logins for tunnels, by gateway: readable for its owner alone. */
export class TunnelLogins {
  readonly #file: PrivateFile

  constructor(readonly path: string) {
    this.#file = new PrivateFile(path)
  }

  /** A login that is good for all these tunnels, for a while yet. @throws GatewayError FILE_UNREADABLE */
  async find(gateway: string, tunnels: readonly string[], untilMs: number): Promise<TunnelLogin | undefined> {
    return (await this.#all()).get(gateway)?.find(login => login.expiresMs > untilMs && tunnels.every(name => login.tunnels.includes(name)))
  }

  /** Keeps a login, and forgets those that are over or that it takes the place of. @param now  ms since 1970 */
  async keep(gateway: string, login: TunnelLogin, now: number): Promise<void> {
    const all = await this.#all()
    const others = (all.get(gateway) ?? []).filter(({ tunnels }) => !tunnels.every(name => login.tunnels.includes(name)))
    all.set(gateway, [login, ...others])
    const left = [...all].map(([name, logins]) => [name, logins.filter(({ expiresMs }) => expiresMs > now)] as const)
    await this.#file.write({ version: 1, gateways: Object.fromEntries(left.filter(([, logins]) => logins.length > 0)) })
  }

  async #all(): Promise<Map<string, readonly TunnelLogin[]>> {
    const { gateways } = ((await this.#file.read()) ?? {}) as { readonly gateways?: unknown }
    if (typeof gateways !== 'object' || gateways === null) return new Map()
    return new Map(Object.entries(gateways).map(([name, logins]) => [name, Array.isArray(logins) ? logins.filter(isLogin) : []]))
  }
}

function isLogin(value: unknown): value is TunnelLogin {
  if (typeof value !== 'object' || value === null) return false
  const { token, tunnels, expiresMs } = value as Partial<Record<keyof TunnelLogin, unknown>>
  return (
    typeof token === 'string' && typeof expiresMs === 'number' && Array.isArray(tunnels) && tunnels.every(name => typeof name === 'string')
  )
}
