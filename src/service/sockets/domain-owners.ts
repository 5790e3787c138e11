/** Host names outside of the zone: whoever serves one shows that it is theirs. */
import { invalid } from '../input/service-error.ts'
import type { SocketParts } from './socket-parts.ts'

/** The label below which a record says whose a name is. */
const LABEL = '_socket-gateway'

/** The record that shows a host name to be an account's: its name, and the text that has to be there. */
export const proofOf = (accountId: string, domain: string): { readonly name: string; readonly text: string } => ({
  name: `${LABEL}.${domain}`,
  text: `account=${accountId.replaceAll('-', '')}`,
})

/** Are host names held against the DNS, or does the operator answer for them? */
export const areDomainsChecked = ({ config, textRecords }: Pick<SocketParts, 'config' | 'textRecords'>): boolean =>
  textRecords !== undefined && config().domainCheck !== 'trusted'

/** Does the DNS say that the name is the account's? Undefined where it does not answer. */
export async function isOwner(
  { textRecords }: Pick<SocketParts, 'textRecords'>,
  accountId: string,
  domain: string,
): Promise<boolean | undefined> {
  const { name, text } = proofOf(accountId, domain)
  return (await textRecords?.(name))?.includes(text)
}

/**
 * Holds each of `domains` against the TXT record below it, which names the account, unless the operator answers for them.
 * @throws ServiceError INVALID with what has to be there
 */
export async function checkOwners(
  parts: Pick<SocketParts, 'config' | 'textRecords'>,
  accountId: string,
  domains: readonly string[],
): Promise<void> {
  if (!areDomainsChecked(parts)) return
  const faults = await Promise.all(
    domains.map(async (domain, at) => {
      const isTheirs = await isOwner(parts, accountId, domain)
      if (isTheirs === true) return []
      const { name, text } = proofOf(accountId, domain)
      const why = isTheirs === undefined ? 'the DNS does not answer at the moment' : `${domain} is not known to be yours`
      return [
        {
          path: `customDomains[${at}]`,
          message: `${why}; give ${name} the TXT record "${text}" in the DNS, and try again when it is found`,
        },
      ]
    }),
  )
  const [first, ...others] = faults.flat()
  if (first !== undefined) throw invalid(first, ...others)
}
