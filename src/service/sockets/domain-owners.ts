/** Host names outside of the zone: whoever serves one shows that it is theirs. */
import { invalid } from '../input/service-error.ts'
import type { SocketParts } from './socket-parts.ts'

/** The label below which a record says whose a name is. */
const LABEL = '_socket-gateway'

/**
 * Holds each of `domains` against the TXT record below it, which names the account, unless the operator answers for them.
 * @throws ServiceError INVALID with what has to be there
 */
export async function checkOwners(
  { config, textRecords }: Pick<SocketParts, 'config' | 'textRecords'>,
  accountId: string,
  domains: readonly string[],
): Promise<void> {
  if (textRecords === undefined || config().domainCheck === 'trusted') return
  const wanted = `account=${accountId.replaceAll('-', '')}`
  const faults = await Promise.all(
    domains.map(async (domain, at) => {
      const name = `${LABEL}.${domain}`
      if ((await textRecords(name)).includes(wanted)) return []
      const message = `${domain} is not known to be yours; give ${name} the TXT record "${wanted}" in the DNS, and try again when it is found`
      return [{ path: `customDomains[${at}]`, message }]
    }),
  )
  const [first, ...others] = faults.flat()
  if (first !== undefined) throw invalid(first, ...others)
}
