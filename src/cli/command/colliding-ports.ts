import { GatewayError } from '../../errors.ts'

/** A port that a process is about to open. */
export interface WantedPort {
  /** The option that asks for it, such as `--app-port`. */
  readonly name: string
  /** 0: a free one, which collides with nothing. */
  readonly port: number
  /** Undefined: all addresses. */
  readonly host: string | undefined
}

const isSamePlace = (a: WantedPort, b: WantedPort): boolean =>
  a.port === b.port && (a.host === undefined || b.host === undefined || a.host === b.host)

/** @throws GatewayError USAGE for two parts of one process that want the same port, which the system would call "address already in use" */
export function checkPortsDiffer(wanted: readonly WantedPort[]): void {
  const ports = wanted.filter(({ port }) => port !== 0)
  for (const [index, port] of ports.entries()) {
    const other = ports.slice(0, index).find(each => isSamePlace(each, port))
    if (other !== undefined)
      throw new GatewayError('USAGE', `${other.name} and ${port.name} are both ${port.port}; give each a port of its own`)
  }
}
