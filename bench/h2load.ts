/** Load by h2load of nghttp2, which speaks both versions of HTTP over TLS. */

/** How much load. */
export interface H2LoadOptions {
  readonly port: number
  readonly path: string
  readonly version: '1.1' | '2'
  readonly connections: number
  /** Requests under way on each connection. */
  readonly streams: number
  readonly seconds: number
}

/** What came of it. */
export interface H2LoadResult {
  readonly requests: number
  readonly perSecond: number
  readonly meanUs: number
}

/** Arguments of h2load, which names the host by itself. One thread: more would take the CPU from what is measured. */
export const h2loadArguments = ({ port, path, version, connections, streams, seconds }: H2LoadOptions): string[] => [
  '-t1',
  `-c${connections}`,
  `-m${streams}`,
  `-D${seconds}`,
  ...(version === '1.1' ? ['--h1'] : []),
  `https://127.0.0.1:${port}${path}`,
]

const UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000 }

/** Reads the output of h2load. @throws Error when requests have failed, or when it is not such an output */
export function parseH2load(output: string): H2LoadResult {
  const [, perSecond] = /^finished in [\d.]+\w+, ([\d.]+) req\/s/m.exec(output) ?? []
  const [, done, succeeded, failed] = /^requests: .*?(\d+) done, (\d+) succeeded, (\d+) failed/m.exec(output) ?? []
  const [, bad] = /^status codes: \d+ 2xx, (\d+ 3xx, \d+ 4xx, \d+ 5xx)/m.exec(output) ?? []
  if (perSecond === undefined || done === undefined) throw new Error(`not the output of h2load: ${output}`)
  if (failed !== '0' || bad !== '0 3xx, 0 4xx, 0 5xx') throw new Error(`h2load: ${succeeded} of ${done} succeeded; ${bad}`)
  // min, max, mean
  const [, mean, unit] = /^time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)\s/m.exec(output) ?? []
  return { requests: Number(done), perSecond: Number(perSecond), meanUs: Number(mean) * (UNITS[unit ?? ''] ?? NaN) }
}
