import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext, type ConnectionOptions } from 'node:tls'
import { GatewayError, messageOf } from '../errors.ts'
import type { OriginTls } from '../payload/origin-profile.ts'

/** Options of a TLS connection to one kind of origin, and the name under which such connections may be shared. */
export interface TlsMaterial {
  /** Equal for equal options alone: connections with other authorities, names or certificates are other connections. */
  readonly key: string
  readonly options: Pick<ConnectionOptions, 'secureContext' | 'servername' | 'rejectUnauthorized'>
}

const USUAL: TlsMaterial = Object.freeze({ key: '', options: Object.freeze({}) })
const materials = new WeakMap<OriginTls, TlsMaterial>()

/**
 * The material for `tls`, made once: parsing certificates takes longer than a request.
 * @throws GatewayError ORIGIN_TLS when a certificate or key of the target cannot be used
 */
export function tlsMaterial(tls: OriginTls | undefined): TlsMaterial {
  if (tls === undefined) return USUAL
  let material = materials.get(tls)
  if (material === undefined) {
    material = createMaterial(tls)
    materials.set(tls, material)
  }
  return material
}

function createMaterial({ ca, servername, verify, certificate, key }: OriginTls): TlsMaterial {
  try {
    const secureContext = createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined ? {} : { cert: certificate }),
      ...(key === undefined ? {} : { key }),
    })
    const parts = [ca, servername, verify, certificate, key].map(part => part ?? null)
    return Object.freeze({
      key: createHash('sha256').update(JSON.stringify(parts)).digest('base64url'),
      options: Object.freeze({
        secureContext,
        ...(servername === undefined ? {} : { servername }),
        ...(verify === undefined ? {} : { rejectUnauthorized: verify }),
      }),
    })
  } catch (cause) {
    throw new GatewayError('ORIGIN_TLS', `the certificates or keys in "tls" of the target cannot be used: ${messageOf(cause)}`, { cause })
  }
}

/**
 * The material for a request.
 * @param host  of its head: the name in SNI, where `tls` says so and it is a name
 */
export function tlsMaterialFor(tls: OriginTls | undefined, host: string): TlsMaterial {
  const material = tlsMaterial(tls)
  if (tls?.servernameOfHost !== true) return material
  const name = host.startsWith('[') ? '' : host.replace(/:\d*$/, '')
  const { servername } = serverNameOf(name)
  if (servername === undefined || servername === '') return material
  return { key: `${material.key} ${servername}`, options: { ...material.options, servername } }
}

/** The name in SNI: an address has none (RFC 6066 §3). */
export const serverNameOf = (hostname: string): { readonly servername?: string } => (isIP(hostname) === 0 ? { servername: hostname } : {})
