/** Memory that is really held: what the collector has not got round to is nobody's. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of all buffers of this process, after a full collection. */
export const bufferBytes = (): number => {
  collect()
  return process.memoryUsage().arrayBuffers
}

/** Bytes of all objects of this process and of all its buffers, after a full collection. */
export const heldBytes = (): number => {
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
