/** The oracle of every fault: once nothing is under way any more, nothing is left behind. */
import type { Layers } from './layers.ts'
import { DEADLINE_MS, until } from './wait.ts'

/** What is under way, in words; empty when nothing is. */
const leftovers = ({ outer, inners }: Layers): string[] => {
  const left: string[] = []
  for (const { identifier, session } of outer.registry.connections) {
    if (session.streamCount > 0) left.push(`${session.streamCount} streams to ${identifier}`)
    if (session.outstandingBytes !== 0) left.push(`${session.outstandingBytes} bytes to ${identifier}`)
  }
  for (const inner of inners) {
    if (inner.streamCount > 0) left.push(`${inner.streamCount} streams in an inner layer`)
    if (inner.outstandingBytes !== 0) left.push(`${inner.outstandingBytes} bytes in an inner layer`)
  }
  return left
}

/** Waits until no stream is open and no byte is held on either side. @throws Error that says what is left */
export const quiet = async (layers: Layers, deadlineMs = DEADLINE_MS): Promise<void> => {
  try {
    await until(() => leftovers(layers).length === 0, { deadlineMs })
  } catch {
    throw new Error(`left behind: ${leftovers(layers).join(', ')}`)
  }
}
