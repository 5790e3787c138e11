import { parseHost } from '../address/host.ts'
import type { CertificateRule } from './access.ts'
import type { TargetTable, Target } from './table.ts'
import type { Tunnels } from './tunnel.ts'

const NONE = Symbol('no rule')

/** The rules of targets, found once for each. */
export class CertificateRules {
  readonly #rules = new WeakMap<Target, CertificateRule | typeof NONE>()
  /** By name of the gateway, of the tunnels of a table. */
  readonly #hosts = new WeakMap<Tunnels, ReadonlyMap<string, CertificateRule>>()

  /** @param table  those in force */
  constructor(private readonly table: () => TargetTable) {}

  /**
   * The rule by which a host, one of its routes, or a tunnel that is opened by its name asks for certificates of visitors: the first one, since a
   * handshake knows no paths. The host of a socket that only some may have asks for those that people get when they log in.
   * @param serverName  as TLS has it; whatever is none has no rule
   */
  find(serverName: string): Pick<CertificateRule, 'ca' | 'crl'> | undefined {
    const table = this.table()
    let host: string
    let target: Target | undefined
    try {
      host = parseHost(serverName).host
      target = table.match(host)
    } catch {
      return undefined // no host name, so nobody's
    }
    return (target && this.#ofTarget(target)) ?? this.#ofTunnels(table.tunnels).get(host) ?? ofSocket(table, host)
  }

  #ofTarget(target: Target): CertificateRule | undefined {
    const known = this.#rules.get(target) ?? certificateRuleOf(target) ?? NONE
    this.#rules.set(target, known)
    return known === NONE ? undefined : known
  }

  #ofTunnels(tunnels: Tunnels): ReadonlyMap<string, CertificateRule> {
    const known = this.#hosts.get(tunnels)
    if (known !== undefined) return known
    const rules = [...tunnels.values()].map(({ access }) => access?.certificates).filter(rule => rule !== undefined)
    const hosts = new Map(rules.flatMap(rule => (rule.hosts ?? []).map(host => [host, rule] as const)))
    this.#hosts.set(tunnels, hosts)
    return hosts
  }
}

function ofSocket(table: TargetTable, host: string): Pick<CertificateRule, 'ca' | 'crl'> | undefined {
  const ca = table.tunnelOfHost?.(host)?.authorities
  return ca === undefined ? undefined : { ca, crl: undefined }
}

/** The rule of a target, or of the first of its routes that has one. */
export const certificateRuleOf = (target: Target): CertificateRule | undefined =>
  [target, ...(target.routes?.all ?? [])].map(({ treatment }) => treatment?.access?.certificates).find(rule => rule !== undefined)
