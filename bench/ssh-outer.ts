/**
 * An outer layer with a directory, as one has it that runs the service: `node --import tsx bench/ssh-outer.ts PORT CERTIFICATE TUNNELS MODULES`. It
 * writes the port at which the service process links. The outer layer is a built one, of the folder MODULES (built-modules.ts), as in the row that it is compared with.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Gateway from '../src/index.ts'
import type * as Logs from '../src/telemetry/log.ts'

const [port = '', certificate = '', tunnels = '', modules = ''] = process.argv.slice(2)
const built = (file: string): Promise<unknown> => import(pathToFileURL(join(modules, file)).href)
const { createLog } = (await built('log.js')) as typeof Logs
const { createOuterLayer, LiveDirectory, registeredKey } = (await built('gateway.js')) as typeof Gateway
const ACCOUNT = '00000000-0000-4000-8000-000000000000'
const LIMIT = 1_000_000

const serviceKey = registeredKey(readFileSync(certificate, 'utf8'))
const directory = new LiveDirectory({ zone: 'bench', ports: { from: 1, to: 65_535 }, serviceKey })
// As the program writes it, the access log among it, to a file.
const log = createLog({ level: 'info', format: 'json', destination: process.stdout })
const outer = createOuterLayer({ appPort: Number(port), appHost: '127.0.0.1', socketPort: 0, socketHost: '127.0.0.1', directory }, { log })
await outer.start()
await directory.apply({
  type: 'change',
  seq: 1,
  removedSockets: [],
  removedKeys: [],
  keys: [],
  endedTunnels: [],
  sockets: Array.from({ length: Number(tunnels) }, (_, tunnel) => {
    const id = `00000000-0000-4000-8000-${String(tunnel).padStart(12, '0')}`
    return {
      id,
      accountId: ACCOUNT,
      type: 'http',
      dnsName: `t${tunnel}.bench`,
      customDomains: [],
      port: null,
      tunnelIds: [id],
      password: null,
      visitors: null,
      balance: 'least',
      limits: { requestsPerSecond: LIMIT, concurrency: LIMIT, maxConnections: LIMIT },
    } as const
  }),
})
process.stdout.write(`service port ${outer.servicePort}\n`)
process.on('disconnect', () => process.exit())
