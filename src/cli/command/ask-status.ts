import type { LayerStatus } from '../../admin/status.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { faultText, saysNoTls } from '../../tls/fault-text.ts'

const TIMEOUT_MS = 5_000

const failed = (message: string, cause?: unknown): GatewayError => new GatewayError('ADMIN_FAILED', message, { cause })

/**
 * Sends a request to the admin port of a layer.
 * @param admin  URL of the port, for messages
 * @returns the answer, of whatever status, but for a password that is not right
 * @throws GatewayError ADMIN_FAILED when there is no answer
 */
export async function askAdmin(
  url: URL,
  admin: string,
  password: string | undefined,
  signal: AbortSignal,
  method: 'GET' | 'POST' = 'GET',
): Promise<Response> {
  const authorization = password === undefined ? undefined : `Basic ${Buffer.from(`operator:${password}`).toString('base64')}`
  const response = await fetch(url, {
    method,
    ...(method === 'POST' && { body: '{}' }),
    headers: {
      accept: 'application/json',
      ...(method === 'POST' && { 'content-type': 'application/json' }),
      ...(authorization !== undefined && { authorization }),
    },
    redirect: 'manual',
    signal,
  }).catch((thrown: unknown) => {
    throw failed(failureOf(url, admin, causeOf(thrown)), thrown)
  })
  if (response.status === 401)
    throw failed(
      `${admin} ${password === undefined ? 'asks for a password: add --password-file FILE' : 'refuses this password; is it the one of the layer?'}`,
    )
  if (response.status === 429)
    throw failed(`${admin} has seen too many wrong passwords from here; try again in ${response.headers.get('retry-after') ?? 'some'} s`)
  return response
}

/**
 * Asks the admin port of a layer what it does.
 * @param admin  URL that ends in a slash
 * @throws GatewayError ADMIN_FAILED when there is no answer, or none of a layer
 */
export async function askStatus(
  admin: string,
  password: string | undefined,
): Promise<{ readonly status: LayerStatus; readonly text: string }> {
  const response = await askAdmin(new URL('status', admin), admin, password, AbortSignal.timeout(TIMEOUT_MS))
  const text = await response.text().catch((thrown: unknown) => {
    throw failed(`${admin} did not answer to its end: ${causeOf(thrown)}`, thrown)
  })
  const status = response.ok ? parse(text) : undefined
  if (status === undefined)
    throw failed(
      `${admin} is not the admin port of a layer: it answered ${response.status}; expected port 3002 of an outer layer, or what --admin-port says`,
    )
  return { status, text: text.trimEnd() }
}

function failureOf({ protocol }: URL, admin: string, cause: string): string {
  if (protocol === 'https:' && saysNoTls(cause))
    return `what answers at ${admin} speaks no TLS (${cause}); an admin port speaks plain HTTP: write http:// instead of https://`
  return `nothing answers at ${admin}: ${cause}; is the layer running, and is this its admin port (--admin-port)? Name it with --admin`
}

function causeOf(thrown: unknown): string {
  const { name, cause } = thrown as { readonly name?: unknown; readonly cause?: unknown }
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`
  if (cause instanceof AggregateError && cause.errors.length > 0) return messageOf(cause.errors[0])
  return faultText(cause ?? thrown)
}

/** The text as a status: a layer of the same release is believed, anything else has to look like one. */
function parse(text: string): LayerStatus | undefined {
  try {
    const value = JSON.parse(text) as LayerStatus
    const isOuter = value.layer === 'outer' && Array.isArray(value.targets) && Array.isArray(value.innerLayers)
    const isInner = value.layer === 'inner' && Array.isArray(value.connections)
    return isOuter || isInner ? value : undefined
  } catch {
    return undefined
  }
}
