/** Memory that is really held: what the collector has not got round to is nobody's. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of all objects of this process and of all its buffers, after a full collection: expensive, so nothing to poll. */
export const heldBytes = (): number => {
  collect()
  collect() // buffers are given back beside the program, and the next collection waits for the last of them
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
