import type { Findings, RefusedService } from './found.ts'

const isBelow = (host: string, pattern: string): boolean =>
  pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1 : host === pattern

/** May the host be had? @param allowed  hosts, and `*.example.com` for all below; none: any */
export const isAllowedHost = (host: string, allowed: readonly string[]): boolean =>
  allowed.length === 0 || allowed.some(pattern => isBelow(host.toLowerCase(), pattern.toLowerCase()))

/** Refuses what asks for a public host that it may not have. @param allowed  hosts, and `*.example.com` for all below; none: any */
export function withAllowedHosts(findings: Findings, allowed: readonly string[]): Required<Findings> {
  const { found, refused, hosts = [] } = findings
  if (allowed.length === 0) return { found, refused, hosts }
  const isAllowed = ({ host }: { readonly host: string | undefined }): boolean => host === undefined || isAllowedHost(host, allowed)
  const others = [...found, ...hosts]
    .filter(each => !isAllowed(each))
    .map(({ name, host }): RefusedService => {
      const reason = `may not have the host ${host}; --allow-host has ${allowed.join(', ')}`
      return { name, reason }
    })
  return { found: found.filter(isAllowed), hosts: hosts.filter(isAllowed), refused: [...refused, ...others] }
}
