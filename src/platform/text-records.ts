import { Resolver } from 'node:dns/promises'

const TIMEOUT_MS = 2_000
const TRIES = 2

/** Answers that say that there are none. */
const NONE: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA'])

/**
 * Asks the DNS for the TXT records of a name; undefined where nobody answers, or says that it does not know.
 * @param servers  HOST or HOST:PORT; default: those of this machine
 */
export function createTextRecords(servers?: readonly string[]): (name: string) => Promise<readonly string[] | undefined> {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
  if (servers !== undefined) resolver.setServers(servers)
  return async name => {
    try {
      return (await resolver.resolveTxt(name)).map(parts => parts.join(''))
    } catch (thrown) {
      return NONE.has((thrown as NodeJS.ErrnoException).code) ? [] : undefined
    }
  }
}
