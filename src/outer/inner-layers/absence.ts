/** Identifiers that one line of the log names. */
const MAX_NAMED = 5

const listOf = (identifiers: readonly string[], conjunction: string): string => {
  const named = identifiers.slice(0, MAX_NAMED)
  const rest = identifiers.length - named.length
  return rest > 0 ? `${named.join(', ')} and ${rest} more` : named.join(conjunction)
}

/**
 * Why no inner layer serves `name`, in words for the log; where others are connected, which ones, and what to do. A target that waits for
 * `lan-a` while `vm` is connected is the commonest mistake of the first hour.
 * @param wanted     identifiers of the target; undefined: any
 * @param connected  identifiers of all inner layers that are connected
 */
export function absenceOf(name: string, wanted: readonly string[] | undefined, connected: readonly string[]): string {
  if (connected.length === 0) return `no inner layer is connected for ${name}`
  if (wanted === undefined || wanted.some(identifier => connected.includes(identifier)))
    return `no other inner layer is connected for ${name}`
  const which = connected.length === 1 ? 'it' : 'one of them'
  return `${name} wants ${listOf(wanted, ' or ')}; connected: ${listOf(connected, ', ')} (start ${which} with --identifier ${wanted[0]})`
}

/** The same for a target that names nobody, while those alone are connected whose keys the service has enrolled. */
export const onlyEnrolled = (name: string, connected: readonly string[]): string =>
  `${name} names no inner layer, and those that are connected (${listOf(connected, ', ')}) were enrolled by the service and serve only what names them: give the target an identifier`
