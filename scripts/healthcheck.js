/**
 * The healthcheck of the image: status 0 when the process is an outer layer that answers GET /healthz on its socket port, or any other
 * command (an inner layer listens nowhere; while it runs, it is as healthy as can be seen from here).
 *
 * node healthcheck.js [PID]   default: process 1, the one that the container was started for
 */
import { readFileSync } from 'node:fs'
import { get } from 'node:https'

const pid = process.argv[2] ?? '1'
const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')

/** The socket port as that process understood it: flag > environment > default. The environment of the container is the same here. */
const portOf = words => {
  const index = words.findIndex(word => word === '--socket-port' || word.startsWith('--socket-port='))
  if (index === -1) return process.env.SG_SOCKET_PORT ?? '3001'
  return words[index].split('=')[1] ?? words[index + 1]
}

/** The status of the page, plain or, where the port speaks TLS (--socket-tls-certificate), by https: whoever it is certified for. */
const statusOf = async port => {
  try {
    return (await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1_000) })).status
  } catch (error) {
    if (error.cause?.code === 'ECONNREFUSED') throw error
    return new Promise((resolve, reject) => {
      const options = { rejectUnauthorized: false, timeout: 1_000 }
      get(`https://127.0.0.1:${port}/healthz`, options, response => resolve(response.resume().statusCode)).on('error', reject)
    })
  }
}

if (command.includes('outer-layer')) {
  try {
    const status = await statusOf(portOf(command))
    process.stdout.write(`${status}\n`)
    // 403 is what a port says that asks for client certificates (--socket-client-ca): alive, but not to us.
    process.exitCode = status === 200 || status === 403 ? 0 : 1
  } catch (error) {
    process.stdout.write(`${error.cause?.message ?? error.message}\n`)
    process.exitCode = 1
  }
}
