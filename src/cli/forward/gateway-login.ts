import { isThisMachine } from '../../address/this-machine.ts'
import { loginByDevice, type DeviceFlowOptions } from '../../client/device-flow.ts'
import type { TunnelLogin, TunnelLogins } from '../../client/tunnel-logins.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'
import { TunnelRefused } from '../../tunnel/dial.ts'

/** A login that has less left than this is over soon, milliseconds. */
const SOON_MS = 5_000
/** Shortest time between two questions to a person, milliseconds. */
const PAUSE_MS = 60_000

/** The parts of a login at one gateway. */
export interface GatewayLoginParts {
  /** As `wss://gw.example.com`. */
  readonly gateway: string
  /** HOST:PORT of the tunnels that are wanted. */
  readonly tunnels: readonly string[]
  readonly logins: TunnelLogins
  /** Asks whether a tunnel would open. @throws TunnelRefused with what the gateway says to that */
  readonly ask: (authorization: string | undefined) => Promise<void>
  readonly way: Pick<DeviceFlowOptions, 'env' | 'ca' | 'caOption'>
  /** Shows a text to whoever has started the program. */
  readonly show: (text: string) => void
  readonly log: Log
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** The login of whoever runs this program, at one gateway: kept in a file, and asked for anew when it is over. */
export class GatewayLogin {
  #login: TunnelLogin | undefined
  #asking: Promise<void> | undefined
  #askedMs = -Infinity
  readonly #closing = new AbortController()

  constructor(private readonly parts: GatewayLoginParts) {}

  /** Value of Authorization; undefined while nobody is logged in. */
  get authorization(): string | undefined {
    const login = this.#login
    if (login === undefined || login.expiresMs > this.parts.now()) return login && `Bearer ${login.token}`
    this.renew()
    return undefined
  }

  /** Takes the login that is kept, or asks for one and waits. @throws GatewayError UNAUTHENTICATED, FILE_UNREADABLE */
  async open(): Promise<void> {
    const { gateway, tunnels, logins, now } = this.parts
    const kept = await logins.find(gateway, tunnels, now() + SOON_MS)
    const isGood = kept !== undefined && !isUnauthorized(await this.#refusalOf(`Bearer ${kept.token}`))
    if (isGood) this.#login = kept
    else await this.#ask()
  }

  /** Asks for nothing any more. */
  close(): void {
    this.#closing.abort()
  }

  /** Begins to ask for another login, unless somebody is being asked; connections fail until then. */
  renew(): void {
    const { log, now } = this.parts
    if (this.#closing.signal.aborted || this.#asking !== undefined || now() - this.#askedMs < PAUSE_MS) return
    this.#askedMs = now()
    this.#asking = this.#ask()
      .catch((thrown: unknown) => {
        if (!this.#closing.signal.aborted) log.warn({}, `nobody is logged in: ${messageOf(thrown)}; the next connection asks again`)
      })
      .finally(() => (this.#asking = undefined))
  }

  async #ask(): Promise<void> {
    const { gateway, tunnels, logins, way, show, log, now } = this.parts
    const url = await this.#loginUrl()
    const { token, expiresMs } = await loginByDevice({
      ...way,
      ...{ url, gateway, tunnels, now, signal: this.#closing.signal },
      invite: ({ url: page, code, completeUrl }) => {
        show(`To open ${tunnels.join(', ')}, log in at\n\n    ${page}\n\nwith the code ${code}, or open ${completeUrl}\n`)
        log.warn({ url: completeUrl, userCode: code }, `waiting for a login at ${page} with the code ${code}`)
      },
    })
    this.#login = { token, tunnels, expiresMs }
    await logins.keep(gateway, this.#login, now())
    log.info({ until: new Date(expiresMs).toISOString() }, `logged in at ${gateway} until ${new Date(expiresMs).toISOString()}`)
  }

  /** Where the gateway says that a login begins. */
  async #loginUrl(): Promise<URL> {
    const { gateway } = this.parts
    const refused = await this.#refusalOf(undefined)
    const text = refused?.loginUrl
    if (text === undefined)
      throw new GatewayError(
        'UNAUTHENTICATED',
        `${gateway} has no login for its tunnels: it needs "access: { login: … }" at the tunnel, and --visitors${refused === undefined ? '' : ` (${refused.message})`}`,
      )
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || !(url.protocol === 'https:' || (url.protocol === 'http:' && isThisMachine(url.hostname))))
      throw new GatewayError('UNAUTHENTICATED', `${gateway} names a login that is not encrypted: ${text}`)
    return url
  }

  /** The answer of the gateway where it is a refusal. */
  async #refusalOf(authorization: string | undefined): Promise<TunnelRefused | undefined> {
    try {
      await this.parts.ask(authorization)
      return undefined
    } catch (error) {
      if (error instanceof TunnelRefused) return error
      throw error
    }
  }
}

const isUnauthorized = (refused: TunnelRefused | undefined): boolean => refused?.status === 401
