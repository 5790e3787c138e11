import { isIP, type LookupFunction } from 'node:net'
import { GatewayError } from '../errors.ts'
import type { AllowList } from './allow-list.ts'
import type { NameLookup } from './name-lookup.ts'

/** Step 10 of the path, for every way to reach an origin: the allow-list judges the name before the dial and the addresses when it is resolved. */
export class OriginPolicy {
  constructor(
    private readonly allowList: AllowList,
    private readonly names: NameLookup,
  ) {}

  /** Call before a dial. @throws GatewayError ORIGIN_FORBIDDEN */
  check({ hostname, port }: { readonly hostname: string; readonly port: number }): void {
    const verdict = this.allowList.check(hostname, port)
    const isAddress = isIP(hostname) !== 0
    if (verdict === 'no' || (isAddress && !this.allowList.checkAddress(hostname, hostname, port))) {
      throw new GatewayError('ORIGIN_FORBIDDEN', `${hostname}:${port} is not allowed by this inner layer (--allow)`)
    }
  }

  /** DNS, less the addresses that are not allowed: the name is what the outer layer says, the address is where the bytes go. */
  lookup(port: number): LookupFunction {
    return (hostname, options, callback) => {
      this.names.lookup(hostname, (error, addresses) => {
        if (error !== null) return callback(error, '', 0)
        const allowed = addresses.filter(({ address }) => this.allowList.checkAddress(hostname, address, port))
        const first = allowed[0]
        if (first === undefined) {
          const refusal = new GatewayError('ORIGIN_FORBIDDEN', `${hostname} resolves to no address that this inner layer allows`)
          return callback(refusal, '', 0)
        }
        if (options.all === true) callback(null, allowed)
        else callback(null, first.address, first.family)
      })
    }
  }
}
