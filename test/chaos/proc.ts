import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/**
 * Sockets and files that a process has open. What event loops of threads hold is left out: the thread that looks at a process which has stood still
 * stays (docs/operations.md).
 */
export const openOf = (pid: number): number =>
  readdirSync(`/proc/${pid}/fd`).filter(fd => {
    try {
      return !/^(?:anon_inode|pipe):/.test(readlinkSync(`/proc/${pid}/fd/${fd}`))
    } catch {
      return false // closed meanwhile
    }
  }).length

/** The most memory of a process since its start that was resident, MiB. */
export const peakOf = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024

/** Sockets and files in words: how many of each kind, and the ends of TCP connections (`LOCAL>REMOTE STATE`). */
export const openInWords = (pid: number): string => {
  const kinds = new Map<string, number>()
  const inodes = new Set<string>()
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const link = readlinkSync(`/proc/${pid}/fd/${fd}`)
      const [, inode] = /^socket:\[(\d+)\]$/.exec(link) ?? []
      if (inode !== undefined) inodes.add(inode)
      else kinds.set(link.replace(/\[\d+\]/, ''), (kinds.get(link.replace(/\[\d+\]/, '')) ?? 0) + 1)
    } catch {
      // closed meanwhile
    }
  }
  const port = (text: string): number => parseInt(text.split(':')[1]!, 16)
  const rows = ['tcp', 'tcp6'].flatMap(file => readFileSync(`/proc/${pid}/net/${file}`, 'utf8').split('\n'))
  const sockets = rows.map(row => row.trim().split(/\s+/)).filter(row => inodes.has(row[9] ?? ''))
  const ends = sockets.map(([, local = '', remote = '', state]) => `${port(local)}>${port(remote)} ${state}`)
  const unix = readFileSync(`/proc/${pid}/net/unix`, 'utf8')
    .split('\n')
    .filter(row => inodes.has(row.trim().split(/\s+/)[6] ?? '')).length
  // A TCP connection that was reset, and that the process has not closed, is in no list of the kernel.
  const unlisted = inodes.size - sockets.length - unix
  const files = [...kinds].map(([kind, count]) => `${kind} ×${count}`).join(', ')
  return `${files}, ${inodes.size} sockets: ${ends.join(', ')}, ${unix} local, ${unlisted} of no state`
}
