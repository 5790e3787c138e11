import { hostRefusalIn, mayRefuseHost, type HostRefusal } from '../../http/host-refusal.ts'
import { authorityOf, type Target } from '../../route/table.ts'
import type { Log } from '../../telemetry/log.ts'

/** Says in the log, once for each target, when an application refuses the Host that it gets. Other answers cost a look at their status. */
export class HostHints {
  readonly #told = new WeakSet<Target>()

  constructor(private readonly log: Log) {}

  /** Returns the function that is to see the first bytes of the body of an answer; undefined: there is nothing to be seen. */
  watch(target: Target, status: number): ((chunk: Buffer) => void) | undefined {
    // Of a socket, its owner is not the one who reads the log.
    if (!mayRefuseHost(status) || target.owner !== undefined || this.#told.has(target)) return undefined
    return chunk => {
      const found = hostRefusalIn(chunk)
      if (found === undefined || this.#told.has(target)) return
      this.#told.add(target)
      const { text, refusal } = found
      this.log.warn(
        { target: target.name, status },
        `${target.name} answers ${status}, "${text}": ${adviceOn(refusal, target)} (docs/applications.md)`,
      )
    }
  }
}

function adviceOn(refusal: HostRefusal, target: Target): string {
  const isPreserved = target.treatment?.preserveHost === true
  const [sent, other] = isPreserved ? ['the public host', 'remove preserveHost'] : [authorityOf(target), 'set preserveHost: true']
  switch (refusal) {
    case 'host':
      return `its application refuses the Host that it gets, ${sent}; allow that name in the application, or ${other}`
    case 'origin':
      return isPreserved
        ? 'its application does not take Origin for its own; name the public address, with its scheme, as a trusted origin there'
        : `its application compares Origin with Host, which is ${sent}; ${other}, or name the public address as a trusted origin there`
    case 'signature':
      return isPreserved
        ? 'the signature does not hold; the path or a field that was signed is another one at the origin'
        : `what was signed is the public host, and Host is ${sent}; ${other}`
    case 'proxy':
      return 'its application may not know the inner layer as a proxy; name the address of the inner layer as a trusted proxy there'
  }
}
