import type { Log } from '../telemetry/log.ts'
import { LinkPort, type LinkPortOptions, type OtherRequests } from './inner-layers/link-port.ts'
import type { DirectorySource } from './options/outer-options.ts'

const NO_OTHERS: OtherRequests = Object.freeze({ takes: () => false, answer: () => undefined, upgrade: () => undefined })

/**
 * The port for links of the service process: on this machine alone, so without TLS, and for its one key, which may call itself anything in
 * the pool of tunnels and nothing elsewhere.
 * @param options  those of the port of inner layers
 * @returns undefined when the service process has no key
 */
export function createServicePort({ serviceKey }: DirectorySource, options: LinkPortOptions, log: Log): LinkPort | undefined {
  if (serviceKey === undefined) return undefined
  const { kid } = serviceKey
  const keys = { get: (wanted: string) => (wanted === kid ? serviceKey : undefined), allows: (wanted: string) => wanted === kid }
  return new LinkPort(
    {
      ...options,
      port: 0,
      host: '127.0.0.1',
      tls: undefined,
      keys: () => keys,
      isOfService: true,
      linkNames: [],
      isTrusted: () => false,
      others: NO_OTHERS,
    },
    log,
  )
}
