import { createHash } from 'node:crypto'
import { addressKey } from '../../address/address-key.ts'
import type { AcceptedRequest } from '../../http/admission.ts'
import { cookieOf } from '../../http/cookies.ts'
import { weightOf } from '../../route/split.ts'
import type { Balance, Retries, ServedBy, Target } from '../../route/target.ts'
import { absenceOf, onlyEnrolled } from './absence.ts'
import type { OriginHealth } from './origin-health.ts'
import type { OriginPlace, OriginRefusals } from './origin-refusals.ts'
import type { InnerConnection, Registry, Preference } from './registry.ts'

/** Retries that a target has in hand at the beginning, and at most. */
const MAX_TOKENS = 10

/** The facts on which a choice depends: for a request its target and its fields, for a connection the inner layers that may serve it. */
export type Wanted =
  | {
      readonly target: Target
      readonly request: Pick<AcceptedRequest, 'fields' | 'names'>
      readonly client: { readonly address: string }
    }
  | { readonly target: ServedBy & OriginPlace; readonly request?: undefined }

/** A choice. */
export interface Choice {
  readonly connection: InnerConnection | 'none' | 'full'
  /** The value that the client's cookie has to have from now on; undefined: it is right, or there is none. */
  readonly stickTo: string | undefined
}

/** Which inner layer gets a request, as its target says; and whether it may have another one. */
export class Balancer {
  readonly #ids = new WeakMap<InnerConnection, string>()
  readonly #turns = new WeakMap<Balance, { turn: number }>()
  readonly #tokens = new WeakMap<Retries, { left: number }>()

  constructor(
    readonly registry: Registry,
    readonly health: OriginHealth,
    readonly refusals: OriginRefusals,
  ) {}

  /** @param tried  connections that have failed this request already */
  pick(wanted: Wanted, tried: readonly InnerConnection[] | undefined): Choice {
    const { refusals } = this
    if (wanted.request === undefined) {
      const avoids = refusals.isEmpty ? undefined : (connection: InnerConnection) => refusals.has(wanted.target, connection)
      const wish = avoids && { turn: undefined, avoids, score: undefined }
      return { connection: this.registry.pick(wanted.target, tried, wish), stickTo: undefined }
    }
    const { target, request } = wanted
    const { balance, retries } = target
    if (retries !== undefined && tried === undefined) this.#earn(retries)
    const isUnopposed = this.health.isEmpty && refusals.isEmpty
    if (balance === undefined && isUnopposed) return { connection: this.registry.pick(target, tried), stickTo: undefined }
    const value = balance?.kind === 'address' ? addressKey(wanted.client.address) : valueOf(request, balance)
    const wish: Preference = {
      turn: balance?.kind === 'round-robin' ? this.#turnOf(balance) : undefined,
      avoids: isUnopposed ? undefined : connection => this.health.isAvoided(target, connection) || refusals.has(target, connection),
      score: value === undefined ? undefined : this.#scoreOf(balance!, value),
    }
    const connection = this.registry.pick(target, tried, wish)
    if (balance?.kind !== 'cookie' || typeof connection === 'string') return { connection, stickTo: undefined }
    const due = stickyValue(balance, this.#idOf(connection))
    return { connection, stickTo: due === value ? undefined : due }
  }

  /** Why no inner layer can be picked for `name`, in words. */
  absence(name: string, { identifiers, pool }: ServedBy): string {
    // Which tunnels others have is nobody's business.
    if (pool === 'tunnel') return absenceOf(name, identifiers, [])
    const connected = this.registry.identifiers
    if (identifiers === undefined && connected.length > 0 && !this.registry.serves({ identifiers })) return onlyEnrolled(name, connected)
    return absenceOf(name, identifiers, connected)
  }

  /** May one more of the requests of a target be repeated? Takes it from the budget. */
  mayRetry(retries: Retries): boolean {
    const tokens = this.#tokensOf(retries)
    if (tokens.left < 1) return false
    tokens.left--
    return true
  }

  #earn(retries: Retries): void {
    const tokens = this.#tokensOf(retries)
    tokens.left = Math.min(MAX_TOKENS, tokens.left + retries.budgetPercent / 100)
  }

  #tokensOf(retries: Retries): { left: number } {
    const known = this.#tokens.get(retries)
    if (known !== undefined) return known
    const tokens = { left: MAX_TOKENS }
    this.#tokens.set(retries, tokens)
    return tokens
  }

  #turnOf(balance: Balance): number {
    const turn = this.#turns.get(balance) ?? { turn: 0 }
    this.#turns.set(balance, turn)
    return turn.turn++
  }

  #scoreOf(balance: Balance, wanted: string): (connection: InnerConnection) => number {
    if (balance.kind === 'cookie') return connection => (stickyValue(balance, this.#idOf(connection)) === wanted ? 1 : 0)
    return connection => weightOf(wanted, this.#idOf(connection))
  }

  /** The same for all connections of a process and in every outer layer, and nothing that a client could read something from. */
  #idOf(connection: InnerConnection): string {
    const known = this.#ids.get(connection)
    if (known !== undefined) return known
    const id = createHash('sha256').update(`sticky ${connection.instance}`).digest('base64url').slice(0, 16)
    this.#ids.set(connection, id)
    return id
  }
}

/** The value of the cookie for an inner layer, and the part of a split that goes with it. */
export const stickyValue = ({ part }: Extract<Balance, { kind: 'cookie' }>, id: string): string =>
  part === undefined ? id : `${id}.${part}`

/** The cookie or the field that decides. */
export function valueOf(request: Pick<AcceptedRequest, 'fields' | 'names'>, balance: Balance | undefined): string | undefined {
  if (balance?.kind === 'cookie') return cookieOf(request, balance.name)
  const at = balance?.kind === 'header' ? request.names.indexOf(balance.name) : -1
  return at < 0 ? undefined : request.fields[2 * at + 1]
}
