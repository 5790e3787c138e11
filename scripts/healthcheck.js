/**
 * The healthcheck of the image: status 0 when the process is an outer layer that answers GET /healthz on its socket port, or any other
 * command (an inner layer listens nowhere; while it runs, it is as healthy as can be seen from here).
 *
 * node healthcheck.js [PID]   default: process 1, the one that the container was started for
 */
import { readFileSync } from 'node:fs'

const pid = process.argv[2] ?? '1'
const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')

/** The socket port as that process understood it: flag > environment > default. The environment of the container is the same here. */
const portOf = words => {
  const index = words.findIndex(word => word === '--socket-port' || word.startsWith('--socket-port='))
  if (index === -1) return process.env.SG_SOCKET_PORT ?? '3001'
  return words[index].split('=')[1] ?? words[index + 1]
}

if (command.includes('outer-layer')) {
  try {
    const response = await fetch(`http://127.0.0.1:${portOf(command)}/healthz`, { signal: AbortSignal.timeout(2_500) })
    process.stdout.write(`${response.status}\n`)
    process.exitCode = response.ok ? 0 : 1
  } catch (error) {
    process.stdout.write(`${error.cause?.message ?? error.message}\n`)
    process.exitCode = 1
  }
}
