import { parseHost } from '../address/host.ts'
import type { CertificateRule } from './access.ts'
import type { TargetTable, Target } from './table.ts'

const NONE = Symbol('no rule')

/** The rules of targets, found once for each. */
export class CertificateRules {
  readonly #rules = new WeakMap<Target, CertificateRule | typeof NONE>()

  /** @param table  those in force */
  constructor(private readonly table: () => TargetTable) {}

  /**
   * The rule by which a host, or one of its routes, asks for certificates of visitors: the first one, since a handshake knows no paths.
   * @param serverName  as TLS has it; whatever is none has no rule
   */
  find(serverName: string): CertificateRule | undefined {
    let target: Target | undefined
    try {
      target = this.table().match(parseHost(serverName).host)
    } catch {
      return undefined // no host name, so nobody's
    }
    if (target === undefined) return undefined
    const known = this.#rules.get(target) ?? ruleOf(target) ?? NONE
    this.#rules.set(target, known)
    return known === NONE ? undefined : known
  }
}

const ruleOf = (target: Target): CertificateRule | undefined =>
  [target, ...(target.routes?.all ?? [])].map(({ treatment }) => treatment?.access?.certificates).find(rule => rule !== undefined)
