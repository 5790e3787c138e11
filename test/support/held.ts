/** Memory that another process really holds: what the collector has not got round to is nobody's. */
import { fileURLToPath } from 'node:url'
import type { RunningProcess } from './process.ts'
import { until } from './wait.ts'

/** Options of node for a process that can be asked. */
export const HELD_PROBE: readonly string[] = ['--expose-gc', '--require', fileURLToPath(new URL('held-probe.cjs', import.meta.url))]

const LINE = /^held (\d+)$/gm

/**
 * MiB of all objects and buffers, Node's own (those of HTTP/2) among them, after a full collection: expensive, so nothing to poll fast.
 * @param running  started with HELD_PROBE; undefined once it has ended
 */
export const heldMiB = async (running: RunningProcess): Promise<number | undefined> => {
  const answers = (): RegExpMatchArray[] => [...running.stderr.matchAll(LINE)]
  const before = answers().length
  running.child.kill('SIGUSR2')
  await until(() => running.exited !== undefined || answers().length > before, { what: `process ${running.pid} to say what it holds` })
  const line = answers()[before]
  return line === undefined ? undefined : Number(line[1]) / 2 ** 20
}
