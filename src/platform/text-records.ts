import { Resolver } from 'node:dns/promises'

const TIMEOUT_MS = 2_000
const TRIES = 2

/**
 * Asks the DNS for the TXT records of a name. A name that has none, and one whose servers do not answer, are the same: nothing is known of it.
 * @param servers  HOST or HOST:PORT; default: those of this machine
 */
export function createTextRecords(servers?: readonly string[]): (name: string) => Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
  if (servers !== undefined) resolver.setServers(servers)
  return async name => {
    try {
      return (await resolver.resolveTxt(name)).map(parts => parts.join(''))
    } catch {
      return []
    }
  }
}
