/** From nothing to the first handshake that a client believes: start of the program, account, order, proof, certificate in force. */
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import { programPath } from '../../test/support/needs.ts'
import type { Bench, Figures, Measurement } from '../bench.ts'
import { keyPairOf } from '../contenders.ts'
import { freePorts, ready } from '../fleet.ts'
import type { Group } from '../report.ts'
import { median } from '../stats.ts'

const KINDS = ['http-01', 'tls-alpn-01'] as const
const NAME = 'a.example.com'
const MAX_MS = 3_000
const MAX_WAIT_MS = 60_000
const LOOK_MS = 5
const MIN_ROUNDS = 3

interface Pebble {
  readonly directory: string
  readonly caFile: string
  readonly root: string
  readonly httpPort: number
  readonly tlsPort: number
}

const read = (url: string, ca: string): Promise<string> =>
  new Promise((resolve, reject) => {
    get(url, { ca, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })

/** Starts the authority, for which every name is this machine. @throws Error where it is absent */
const startPebble = async ({ fleet }: Bench): Promise<Pebble> => {
  const [pebble, names] = [programPath('pebble'), programPath('pebble-challtestsrv')]
  if (pebble === undefined || names === undefined) throw new Error('pebble is absent: apt-get install pebble')
  const [port = 0, management = 0, dns = 0, dnsManagement = 0, httpPort = 0, tlsPort = 0] = await freePorts(6)
  const file = (name: string): string => join(fleet.directory, `pebble-${name}`)
  const pair = ['--private-key', file('server.key'), '--certificate', file('server.crt')]
  const mint = [process.execPath, fleet.program(), 'certificates', '--server', 'localhost']
  await fleet.run([...mint, ...pair])
  const config = fleet.file(
    'pebble.json',
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: file('server.crt'),
        privateKey: file('server.key'),
        httpPort,
        tlsPort,
        ocspResponderURL: '',
        externalAccountBindingRequired: false,
      },
    }),
  )
  const off = ['-defaultIPv6', '', '-http01', '', '-https01', '', '-tlsalpn01', '']
  fleet.serve([names, ...off, '-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${dnsManagement}`])
  const service = fleet.serve([
    'env',
    'PEBBLE_VA_NOSLEEP=1',
    'PEBBLE_WFE_NONCEREJECT=0',
    pebble,
    '-config',
    config,
    '-dnsserver',
    `127.0.0.1:${dns}`,
  ])
  const ca = readFileSync(file('server.crt'), 'utf8')
  const rootUrl = `https://localhost:${management}/roots/0`
  await ready(service, 'pebble', async () => (await read(rootUrl, ca)).includes('BEGIN'))
  return { directory: `https://localhost:${port}/dir`, caFile: file('server.crt'), root: await read(rootUrl, ca), httpPort, tlsPort }
}

/** One handshake of a client that trusts the authority alone. */
const believes = (port: number, ca: string): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port, servername: NAME, ca }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

/** Milliseconds in the log of a process, from the first line that has `from` to the first that has `to`. */
const between = (lines: readonly string[], from: string, to: string): number => {
  const at = (text: string): number =>
    Date.parse((JSON.parse(lines.find(line => line.includes(text)) ?? '{}') as { time?: string }).time ?? '')
  return at(to) - at(from)
}

const measureOnce = async ({ fleet }: Bench, pebble: Pebble, { kind, round }: { kind: string; round: number }): Promise<Figures> => {
  const { certificate } = await keyPairOf(fleet)
  const [socketPort = 0, origin = 0] = await freePorts(2)
  const begunMs = performance.now()
  const outer = fleet.serve([
    ...[process.execPath, fleet.program(), 'outer-layer', '--public-key', certificate, '--target', `${NAME}=http://127.0.0.1:${origin}`],
    ...['--app-host', '127.0.0.1', '--app-port', String(pebble.tlsPort), '--socket-port', String(socketPort), '--admin-port', 'none'],
    ...(kind === 'http-01' ? ['--app-http-port', String(pebble.httpPort)] : []),
    ...['--acme', 'bench@example.com', '--acme-directory', pebble.directory, '--acme-directory-ca', pebble.caFile],
    ...['--acme-path', join(fleet.directory, `acme-${kind}-${round}`), '--log-format', 'json'],
  ])
  while (!(await believes(pebble.tlsPort, pebble.root))) {
    if (performance.now() - begunMs > MAX_WAIT_MS)
      throw new Error(`no handshake after ${MAX_WAIT_MS} ms: ${readFileSync(outer.logFile, 'utf8')}`)
    await delay(LOOK_MS)
  }
  const ms = performance.now() - begunMs
  const lines = readFileSync(outer.logFile, 'utf8').split('\n')
  outer.stop()
  return { ms, orderMs: between(lines, 'ordering the certificate', 'has come from') }
}

/** Certificates that are ordered by ACME. */
export const certificates: Measurement = {
  name: 'certificates',
  measure: async (bench): Promise<Group> => {
    const pebble = await startPebble(bench)
    const count = bench.isQuick ? 1 : Math.max(MIN_ROUNDS, bench.runs)
    const figures = new Map<string, Figures[]>(KINDS.map(kind => [kind, []]))
    for (let round = 1; round <= count; round++) {
      for (const kind of KINDS) figures.get(kind)!.push(await measureOnce(bench, pebble, { kind, round }))
      bench.say(`  round ${round} of ${count}`)
    }
    const of = (kind: string, key: string): number => median((figures.get(kind) ?? []).map(each => each[key] ?? NaN))
    return {
      name: 'certificates',
      title: 'From the start of an outer layer without any certificate to the first handshake that is believed (Pebble)',
      columns: [
        { key: 'ms', title: 'ms', digits: 0 },
        { key: 'orderMs', title: 'of it the order', digits: 0 },
      ],
      rows: KINDS.map(kind => ({ label: kind, values: { ms: of(kind, 'ms'), orderMs: of(kind, 'orderMs') } })),
      requirements: KINDS.map(kind => ({
        what: `a certificate from nothing, by ${kind}`,
        unit: 'ms',
        limit: { atMost: MAX_MS },
        measured: of(kind, 'ms'),
      })),
    }
  },
}
