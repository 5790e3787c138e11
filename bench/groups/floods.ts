/**
 * Small requests at a steady pace: alone, beside floods of what a stranger may try, and beside the same floods when they go to bare servers. On
 * two cores the generator of a flood takes the time of everything else, whatever it is aimed at: the difference to the bare servers is what the gateway adds.
 */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bench, Measurement } from '../bench.ts'
import { mintServerPair, startGateway, staticTarget } from '../contenders.ts'
import { freePorts, ready, type Client } from '../fleet.ts'
import type { Flood, FloodResult } from '../floods.ts'
import type { Target } from '../load.ts'
import type { PacedResult } from '../paced-load.ts'
import type { Group } from '../report.ts'
import { childrenOf, connectOrigin, endPace, startService, tokenOf } from '../service.ts'
import { cpuSeconds } from '../proc.ts'
import { median, medianRatio } from '../stats.ts'

const PER_SECOND = 200
const SECONDS = 3
const QUICK_SECONDS = 1
const MAX_ROUNDS = 3
const MANY = 1_000
const MAX_RATIO = 1.5

interface Way {
  readonly label: string
  /** The data plane, and the service beside it where the flood comes that far. */
  readonly pids: readonly [number, ...number[]]
  readonly flood: Flood
  /** Where the same flood meets a bare server. */
  readonly sinkPort: number
  readonly target: Target
  readonly isTls: boolean
}

/** What one phase with a flood came to, one without any before it, and those with the same flood against a bare server around it. */
interface Sample {
  readonly alone: PacedResult
  readonly controls: readonly [PacedResult, PacedResult]
  readonly beside: PacedResult
  readonly flooded: FloodResult
  /** Seconds of CPU of each process, beside the flood; less those without it. */
  readonly cpu: readonly number[]
}

const startWays = async (bench: Bench): Promise<readonly Way[]> => {
  const { fleet, origins } = bench
  const [sshPort = 0, sinkHttp = 0, sinkTls = 0, sinkSsh = 0] = await freePorts(4)
  const yaml = `limits: { requestsPerSecond: 1000000, http: 1000 }\nssh: { port: ${sshPort}, host: 127.0.0.1 }\n`
  const service = await startService(fleet, { yaml })
  const { target } = await connectOrigin(bench, service)
  const tls = await mintServerPair(fleet)
  const encrypted = await startGateway(fleet, origins, { tls })
  const sink = fleet.serveScript('flood-sink.ts', sinkHttp, sinkTls, sinkSsh, tls.certificate, tls.key)
  for (const listening of [sinkHttp, sinkTls, sinkSsh]) await ready(sink, 'the bare servers', () => accepts(listening))
  const port = service.appPort
  const [servicePid] = childrenOf(service.outer)
  const plain = { target, isTls: false, pids: [service.outer.pid, servicePid ?? 0] as const, sinkPort: sinkHttp }
  return [
    { label: 'logins of one address', flood: { kind: 'logins', port, perSecond: 200, addresses: 1 }, ...plain },
    { label: `logins of ${MANY} addresses`, flood: { kind: 'logins', port, perSecond: 200, addresses: MANY }, ...plain },
    {
      label: 'creations of one account',
      flood: { kind: 'sockets', port, perSecond: 200, addresses: 1, token: tokenOf(service.credentials) },
      ...plain,
    },
    {
      label: `handshakes of SSH, ${MANY} addresses`,
      flood: { kind: 'ssh', port: sshPort, perSecond: 100, addresses: MANY },
      ...plain,
      sinkPort: sinkSsh,
    },
    {
      label: `handshakes of TLS, ${MANY} addresses`,
      flood: { kind: 'tls', port: encrypted.port, perSecond: 100, addresses: MANY },
      target: staticTarget({ staticPort: encrypted.port }, '/1k'),
      isTls: true,
      pids: [encrypted.outer.pid],
      sinkPort: sinkTls,
    },
  ]
}

/** Does anything take a connection there? */
const accepts = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })

const pace = async (client: Client, { target, isTls }: Way, ms: number): Promise<PacedResult> => {
  await client.ask({ kind: 'pace', target, perSecond: PER_SECOND, isTls })
  await delay(ms)
  return endPace(client)
}

const besideFlood = async (
  bench: Bench,
  flooder: Client,
  way: Way,
  port: number,
  ms: number,
): Promise<readonly [PacedResult, FloodResult]> => {
  await flooder.ask({ kind: 'flood', flood: { ...way.flood, port } })
  const paced = await pace(bench.client, way, ms)
  const reply = await flooder.ask({ kind: 'flood-end' })
  if (!('flooded' in reply)) throw new Error('the client answered another question')
  return [paced, reply.flooded]
}

const measureOnce = async (bench: Bench, flooder: Client, way: Way, ms: number): Promise<Sample> => {
  const cpu = (): number[] => way.pids.map(pid => cpuSeconds([pid]))
  const begun = cpu()
  const alone = await pace(bench.client, way, ms)
  const quiet = cpu()
  const [before] = await besideFlood(bench, flooder, way, way.sinkPort, ms)
  const flooding = cpu()
  const [beside, flooded] = await besideFlood(bench, flooder, way, way.flood.port, ms)
  const over = cpu()
  const [after] = await besideFlood(bench, flooder, way, way.sinkPort, ms)
  const cost = over.map((seconds, i) => seconds - flooding[i]! - (quiet[i]! - begun[i]!))
  return { alone, controls: [before, after], beside, flooded, cpu: cost }
}

export const floods: Measurement = {
  name: 'floods',
  measure: async (bench): Promise<Group> => {
    const { fleet, isQuick, runs } = bench
    const ways = await startWays(bench)
    const flooder = fleet.client()
    const ms = (isQuick ? QUICK_SECONDS : SECONDS) * 1_000
    for (const way of ways) await pace(bench.client, way, ms)
    const rounds: Sample[][] = []
    for (let round = 1; round <= Math.min(runs, MAX_ROUNDS); round++) {
      const samples: Sample[] = []
      for (const way of ways) samples.push(await measureOnce(bench, flooder, way, ms))
      rounds.push(samples)
      bench.say(`  round ${round}: ${JSON.stringify(samples.map(({ flooded }) => flooded.outcomes))}`)
    }
    const rows = ways.map(({ label }, way) => {
      const samples = rounds.map(round => round[way]!)
      const total = (pick: (sample: Sample) => number): number => samples.reduce((sum, sample) => sum + pick(sample), 0)
      const alone = samples.map(sample => sample.alone.p99Us)
      // The worse one of the two: what differs between them is noise.
      const control = samples.map(({ controls }) => Math.max(...controls.map(({ p99Us }) => p99Us)))
      const beside = samples.map(sample => sample.beside.p99Us)
      const attempts = total(({ flooded }) => flooded.attempts)
      const perAttempt = (process: number): number => (total(({ cpu }) => cpu[process] ?? NaN) / attempts) * 1e6
      return {
        label,
        values: {
          attempts,
          limited: total(({ flooded }) => flooded.outcomes['429 with Retry-After'] ?? 0),
          failed: total(
            ({ alone: { failed }, controls: [before, after], beside: during }) => failed + before.failed + during.failed + after.failed,
          ),
          p50: median(samples.map(sample => sample.beside.p50Us)) / 1e3,
          p50Alone: median(samples.map(sample => sample.alone.p50Us)) / 1e3,
          p99: median(beside) / 1e3,
          p99Control: median(control) / 1e3,
          p99Alone: median(alone) / 1e3,
          ratio: medianRatio(beside, control),
          ratioAlone: medianRatio(beside, alone),
          outer: perAttempt(0),
          service: perAttempt(1),
        },
      }
    })
    return {
      name: 'floods',
      title: `${PER_SECOND} requests/s beside a flood`,
      columns: [
        { key: 'attempts', title: 'attempts', digits: 0 },
        { key: 'limited', title: '429 with Retry-After', digits: 0 },
        { key: 'failed', title: 'requests that failed', digits: 0 },
        { key: 'p50', title: 'p50 ms', digits: 1 },
        { key: 'p50Alone', title: 'without', digits: 1 },
        { key: 'p99', title: 'p99 ms', digits: 1 },
        { key: 'p99Control', title: 'flood elsewhere', digits: 1 },
        { key: 'p99Alone', title: 'without', digits: 1 },
        { key: 'ratio', title: '× flood elsewhere', digits: 2 },
        { key: 'ratioAlone', title: '× without', digits: 2 },
        { key: 'outer', title: 'CPU µs of an attempt, data plane', digits: 0 },
        { key: 'service', title: 'service', digits: 0 },
      ],
      rows,
      requirements: rows.flatMap(({ label, values }) => [
        {
          what: `p99 of requests beside ${label} to that beside the same flood of a bare server`,
          unit: '×',
          limit: { atMost: MAX_RATIO },
          measured: values.ratio,
        },
        { what: `requests that fail beside ${label}`, unit: 'requests', limit: { atMost: 0 }, measured: values.failed },
      ]),
    }
  },
}
