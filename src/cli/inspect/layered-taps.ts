import type { Taps } from '../../tap/tap.ts'

/** The taps of an outer layer: the operator's for targets, those of owners for sockets; undefined: nobody looks. */
export function layeredTaps(operator: Taps | undefined, owners: Taps | undefined): Taps | undefined {
  if (operator === undefined && owners === undefined) return undefined
  return { open: start => (start.owner === undefined ? operator : owners)?.open(start) }
}
