/** Logins of a program that has no browser (RFC 8628), from its side. */
import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayError } from '../errors.ts'
import type { Answer } from './api-error.ts'
import { parseJson } from './api-error.ts'
import { Transport, type TransportOptions } from './transport.ts'

/** The invitation to log in. */
export interface DeviceInvitation {
  readonly url: string
  readonly code: string
  /** The URL with the code in it. */
  readonly completeUrl: string
}

/** The wishes of a program. */
export interface DeviceFlowOptions extends Omit<TransportOptions, 'server' | 'timeoutMs'> {
  /** Where it begins, as a gateway has said it. */
  readonly url: URL
  /** The gateway that the token will be sent to; shown to whoever logs in. */
  readonly gateway: string
  /** HOST:PORT of the tunnels. */
  readonly tunnels: readonly string[]
  readonly invite: (invitation: DeviceInvitation) => void
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly signal?: AbortSignal
}

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:device_code'
/** A gateway of ours keeps the question until there is an answer, seconds. */
const WAIT_S = 20
const TIMEOUT_MS = 40_000
const MIN_INTERVAL_MS = 1_000

/**
 * Asks for a login and waits until somebody has said yes.
 * @throws GatewayError UNAUTHENTICATED when nobody does, or says no; SERVICE_UNREACHABLE
 */
export async function loginByDevice(options: DeviceFlowOptions): Promise<{ readonly token: string; readonly expiresMs: number }> {
  const { url, gateway, tunnels, invite, now, signal } = options
  const transport = new Transport({ ...options, server: new URL(url.origin), timeoutMs: TIMEOUT_MS })
  const post = (path: string, form: Readonly<Record<string, string>>): Promise<Answer> =>
    transport.send({
      method: 'POST',
      path,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
      ...(signal !== undefined && { signal }),
    })
  const begun = await post(url.pathname, { client_id: 'socket-gateway', scope: tunnels.join(' '), resource: gateway })
  const { device_code: device, user_code: code, verification_uri: page, ...more } = textsIn(begun)
  if (begun.status !== 200 || device === undefined || code === undefined || page === undefined || !URL.canParse(page))
    throw new GatewayError('UNAUTHENTICATED', `${url.href} gives no login: ${begun.status} ${more['error'] ?? ''}`.trimEnd())
  invite({ url: page, code, completeUrl: more['verification_uri_complete'] ?? page })
  const endMs = now() + numberIn(begun, 'expires_in', 600) * 1000
  let intervalMs = Math.max(MIN_INTERVAL_MS, numberIn(begun, 'interval', 5) * 1000)
  while (now() < endMs) {
    const askedMs = now()
    const answer = await post('/device/token', { grant_type: GRANT_TYPE, device_code: device, wait: String(WAIT_S) }).catch(
      (error: unknown) => {
        // It may be starting anew, or the network may be away for a moment.
        if (signal?.aborted === true || !(error instanceof GatewayError) || error.code !== 'SERVICE_UNREACHABLE') throw error
        return undefined
      },
    )
    const { access_token: token, error } = answer === undefined ? {} : textsIn(answer)
    if (token !== undefined) return { token, expiresMs: now() + numberIn(answer!, 'expires_in', 3_600) * 1000 }
    if (error === 'access_denied') throw new GatewayError('UNAUTHENTICATED', 'whoever was asked to log in has refused this program')
    if (error === 'expired_token') break
    if (error === 'slow_down') intervalMs += 5_000
    // One that does not wait by itself.
    if (now() - askedMs < (WAIT_S * 1000) / 2) await sleep(intervalMs, undefined, { ...(signal !== undefined && { signal }) })
  }
  throw new GatewayError('UNAUTHENTICATED', 'nobody has logged in for this program in time; start it again')
}

function textsIn({ body }: Answer): Partial<Record<string, string>> {
  const value = parseJson(body)
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string' && isLine(entry[1])),
  )
}

/** Tells whether words of a stranger may be shown at a terminal. */
const isLine = (text: string): boolean => text.length <= 8_192 && /^[\x20-\x7e]*$/.test(text)

function numberIn({ body }: Answer, name: string, otherwise: number): number {
  const value = (parseJson(body) as Partial<Record<string, unknown>> | null | undefined)?.[name]
  return typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : otherwise
}
