import type { Log } from '../../telemetry/log.ts'
import type { CliContext } from './context.ts'

/** Files that a process needs beside the connections that are counted: its log, its ports, the other layer, look-ups of names. */
const OTHERS = 64

/** Connections that a layer may come to have. */
export interface ConnectionNeeds {
  readonly count: number
  /** Why so many, for the log. */
  readonly because: string
}

/** Files and sockets that the process may have open, of the text of `/proc/self/limits`; undefined: no limit, or none that can be read. */
export function openFilesOf(limits: string): number | undefined {
  const [, soft] = /^Max open files +(\d+) /m.exec(limits) ?? []
  return soft === undefined ? undefined : Number(soft)
}

/** Says at the start what would show only under load: that the limit of the process is below what it was told to take. */
export function warnOfFileLimit(log: Log, needs: ConnectionNeeds, { processLimits }: CliContext): void {
  const openFiles = processLimits === undefined ? undefined : openFilesOf(processLimits)
  if (openFiles === undefined || needs.count + OTHERS <= openFiles) return
  log.warn(
    { openFiles, connections: needs.count },
    `this process may open ${openFiles} files and sockets, fewer than it may need: ${needs.because}; raise the limit (ulimit -n, LimitNOFILE=)`,
  )
}
