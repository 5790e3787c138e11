/** What Linux tells about processes in /proc: the functions that parse are pure, `cpuSeconds` and `rssBytes` read. */
import { readFileSync } from 'node:fs'

/** USER_HZ: Linux has told times to programs in hundredths of a second on every architecture since 2.6. */
const TICKS_PER_SECOND = 100

/** Seconds in user and system mode, all threads, from the text of /proc/PID/stat. @throws Error when it is no such text */
export function parseCpuSeconds(stat: string): number {
  // The name of the program stands in parentheses and may itself hold spaces and parentheses; `utime` is field 14, `stime` 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  if (!Number.isFinite(ticks)) throw new Error(`not the text of /proc/PID/stat: ${stat.slice(0, 200)}`)
  return ticks / TICKS_PER_SECOND
}

/** Resident memory from the text of /proc/PID/status. @throws Error when it is not in there */
export function parseRssBytes(status: string): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  if (kibibytes === undefined) throw new Error('no VmRSS: the process has ended')
  return Number(kibibytes) * 1024
}

/** Calls of the system that read and wrote, from the text of /proc/PID/io. @throws Error when it is no such text */
export function parseCalls(io: string): { readonly reads: number; readonly writes: number } {
  const [reads, writes] = ['syscr', 'syscw'].map(name => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? NaN))
  if (reads === undefined || writes === undefined || Number.isNaN(reads + writes)) throw new Error('not the text of /proc/PID/io')
  return { reads, writes }
}

/** How long all cores together were busy and in all, in ticks, from the text of /proc/stat. */
export function parseCores(stat: string): { readonly busy: number; readonly all: number } {
  const line = /^cpu +(.*)$/m.exec(stat)?.[1]
  if (line === undefined) throw new Error('not the text of /proc/stat')
  // user nice system idle iowait irq softirq steal; guest is in user already.
  const ticks = line.split(' ').slice(0, 8).map(Number)
  const all = ticks.reduce((sum, value) => sum + value, 0)
  return { busy: all - (ticks[3] ?? 0) - (ticks[4] ?? 0), all }
}

/** Seconds of CPU that these processes have used together since each was started. */
export const cpuSeconds = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, 'utf8')), 0)

/** Resident memory of a process. */
export const rssBytes = (pid: number): number => parseRssBytes(readFileSync(`/proc/${pid}/status`, 'utf8'))

/** Calls of the system that a process has read and written with. */
export const callsOf = (pid: number): { readonly reads: number; readonly writes: number } =>
  parseCalls(readFileSync(`/proc/${pid}/io`, 'utf8'))
