import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { DnsRecords } from './acme-options.ts'
import type { Solve } from './authority.ts'
import type { PendingChallenges } from './pending-challenges.ts'

/** Time in which a record is removed, milliseconds: by then the order is over, whatever became of it. */
const REMOVE_MS = 60_000

/**
 * Puts answers where they are looked for: at the ports of the gateway, or in the DNS.
 * @param dns  `waitMs`: the time after which a record is at all servers of its zone
 */
export const solverOf =
  (challenges: PendingChallenges, dns: { readonly records: DnsRecords; readonly waitMs: number } | undefined): Solve =>
  async (challenge, signal) => {
    if (challenge.kind !== 'dns-01' || dns === undefined) return challenges.add(challenge)
    // RFC 8555 §8.4
    const name = `_acme-challenge.${challenge.name}`
    const text = createHash('sha256').update(challenge.keyAuthorization).digest('base64url')
    const remove = (): Promise<void> => dns.records.remove(name, text, AbortSignal.timeout(REMOVE_MS))
    try {
      await dns.records.add(name, text, signal)
      await delay(dns.waitMs, undefined, { signal })
    } catch (error) {
      // It may be there all the same.
      await remove().catch(() => undefined)
      throw error
    }
    return () => remove()
  }
