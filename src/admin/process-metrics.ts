import type { Registry } from 'prom-client'
import { lazily } from '../lazily.ts'

type Register = (registry: Registry, options: object) => void

const ALL = [
  'processCpuTotal',
  'processStartTime',
  'osMemoryHeap',
  'processOpenFileDescriptors',
  'processMaxFileDescriptors',
  'heapSizeAndUsed',
  'version',
]

/**
 * Registers what prom-client tells of any process when it is asked: CPU, memory, open files. Not all that it could: its observer of garbage
 * collection and its histogram of the event loop work all the time, for 1.5 µs a request together, and cannot be switched off again.
 */
export function registerProcessMetrics(registry: Registry): void {
  for (const name of ALL) lazily<Register>(`prom-client/lib/metrics/${name}.js`)()(registry, {})
}
