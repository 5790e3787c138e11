import { GatewayError, messageOf } from '../../../errors.ts'
import { isAllowedHost } from '../../allowed-hosts.ts'
import { pairOf, type Secret, type SecretPair } from './secrets.ts'

/** Where certificates are looked up. */
export interface CertificateBookOptions {
  /** Those of the type kubernetes.io/tls, by `namespace/name`. */
  readonly secrets: ReadonlyMap<string, Secret>
  /** Hosts that may be had, as `--allow-host` has them; none: any. */
  readonly allowed: readonly string[]
}

/**
 * The certificates that are served. Clients get one by the name that they ask for, so one name has those of one namespace alone: whoever comes
 * later does not have the connections of others answered with a certificate of their own.
 */
export class CertificateBook {
  readonly #held = new Map<string, SecretPair>()
  /** Name → namespace. */
  readonly #owners = new Map<string, string>()
  readonly #read = new Map<string, SecretPair | GatewayError>()

  constructor(private readonly options: CertificateBookOptions) {}

  /** Those that somebody has taken, by name. */
  get held(): readonly SecretPair[] {
    return [...this.#held.values()]
  }

  /** @throws GatewayError KEY_INVALID where there is none, or where it is for names that it may not have */
  find(namespace: string, name: string): SecretPair {
    const pair = this.#pairOf(`${namespace}/${name}`)
    const { allowed } = this.options
    for (const host of pair.names) {
      if (!isAllowedHost(host, allowed))
        throw new GatewayError('KEY_INVALID', `the Secret ${namespace}/${name} is for ${host}; --allow-host has ${allowed.join(', ')}`)
      if ((this.#owners.get(host) ?? namespace) !== namespace)
        throw new GatewayError(
          'KEY_INVALID',
          `the Secret ${namespace}/${name} is for ${host}, which one of another namespace is for already`,
        )
    }
    return pair
  }

  /** Has them served. */
  hold(pairs: readonly SecretPair[]): void {
    for (const pair of pairs) {
      this.#held.set(`${pair.namespace}/${pair.name}`, pair)
      for (const host of pair.names) this.#owners.set(host, pair.namespace)
    }
  }

  #pairOf(key: string): SecretPair {
    const known = this.#read.get(key) ?? this.#readPair(key)
    this.#read.set(key, known)
    if (known instanceof GatewayError) throw known
    return known
  }

  #readPair(key: string): SecretPair | GatewayError {
    const secret = this.options.secrets.get(key)
    if (secret === undefined) return new GatewayError('KEY_INVALID', `there is no Secret ${key} of the type kubernetes.io/tls`)
    try {
      return pairOf(secret)
    } catch (error) {
      return error instanceof GatewayError ? error : new GatewayError('KEY_INVALID', messageOf(error))
    }
  }
}
