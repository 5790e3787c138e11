/**
 * The healthcheck of the image: status 0 when the process is an outer layer that answers GET /healthz on its socket port, or any other
 * command (an inner layer listens nowhere; while it runs, it is as healthy as can be seen from here).
 *
 * node healthcheck.js [PID]   default: process 1, the one that the container was started for
 */
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { resolve } from 'node:path'

const pid = process.argv[2] ?? '1'
const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')

/** Its last value on the command line. */
const flagOf = name => {
  const index = command.findLastIndex(word => word === `--${name}` || word.startsWith(`--${name}=`))
  if (index === -1) return undefined
  const [, value = command[index + 1]] = /^[^=]*=(.*)$/s.exec(command[index]) ?? []
  return value
}

/** In the environment of the container, which is the same here; an empty variable counts as not set. */
const variableOf = name => process.env[`SG_${name.toUpperCase().replaceAll('-', '_')}`] || undefined

/** The file of --config, as that process reads it: relative to its folder. */
const readConfig = async () => {
  const file = flagOf('config') ?? variableOf('config')
  if (file === undefined) return {}
  const { load } = await import('js-yaml')
  return load(readFileSync(resolve(`/proc/${pid}/cwd`, file), 'utf8')) ?? {}
}

/** Where its socket port is, as that process understood it: flag > environment > file > default. */
const placeOf = async () => {
  const config = await readConfig()
  const valueOf = name => flagOf(name) ?? variableOf(name) ?? config[name]
  const host = valueOf('socket-host') ?? '127.0.0.1'
  const isAny = host === '0.0.0.0' || host === '::' || host === '[::]'
  return `${isAny ? '127.0.0.1' : host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${valueOf('socket-port') ?? 3001}`
}

const isOuterLayer = command.includes('outer-layer') || (command.includes('server') && !command.includes('sokken'))

/** The status of the page, plain or, where the port speaks TLS (--socket-tls-certificate), by https: whoever it is certified for. */
const statusOf = async place => {
  try {
    return (await fetch(`http://${place}/healthz`, { signal: AbortSignal.timeout(1_000) })).status
  } catch (error) {
    if (error.cause?.code === 'ECONNREFUSED') throw error
    return new Promise((resolve, reject) => {
      const options = { rejectUnauthorized: false, timeout: 1_000 }
      get(`https://${place}/healthz`, options, response => resolve(response.resume().statusCode)).on('error', reject)
    })
  }
}

if (isOuterLayer) {
  try {
    const status = await statusOf(await placeOf())
    process.stdout.write(`${status}\n`)
    // 403 is what a port says that asks for client certificates (--socket-client-ca): alive, but not to us.
    process.exitCode = status === 200 || status === 403 ? 0 : 1
  } catch (error) {
    process.stdout.write(`${error.cause?.message ?? error.message}\n`)
    process.exitCode = 1
  }
}
