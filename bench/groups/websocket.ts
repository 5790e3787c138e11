/** Messages of 1 KiB over 64 WebSockets: one at a time there and back, and as many as pass. */
import { Samples, withCpu, type Bench, type Measurement } from '../bench.ts'
import { nodeTarget } from '../contenders.ts'
import type { Column } from '../report.ts'

const MESSAGE_BYTES = 1_024
const CONNECTIONS = 64
const SECONDS = 2

const COLUMNS: readonly Column[] = [
  { key: 'rate', title: 'messages/s', digits: 0 },
  { key: 'rateRatio', title: '× one hop', digits: 2 },
  { key: 'cpuUs', title: 'CPU µs/message', digits: 1 },
  { key: 'cpuRatio', title: '× one hop', digits: 2 },
  { key: 'p50Us', title: 'p50 µs', digits: 0 },
  { key: 'p99Us', title: 'p99 µs', digits: 0 },
]

const measurement = (name: string, inFlight: number, what: string): Measurement => ({
  name,
  measure: async (bench: Bench) => {
    // The nginx of the other rows is not set up to pass upgrades.
    const contenders = bench.contenders.filter(contender => contender.name !== 'nginx')
    const run = async (contender: (typeof contenders)[number], seconds: number) => {
      const options = { connections: CONNECTIONS, bytes: MESSAGE_BYTES, inFlight, seconds }
      const reply = await bench.client.ask({ kind: 'messages', target: nodeTarget(contender, '/echo'), options })
      if (!('messages' in reply)) throw new Error('the client answered another question')
      return reply.messages
    }
    const seconds = bench.isQuick ? 1 : SECONDS
    for (const contender of contenders) await run(contender, seconds)
    const samples = await Samples.collect(bench, contenders, async contender => {
      const { result, cpuSeconds } = await withCpu(contender.pids, () => run(contender, seconds))
      const { messages, p50Us, p99Us } = result
      const cpuUs = contender.pids.length === 0 ? NaN : (cpuSeconds / messages) * 1e6
      return { rate: messages / result.seconds, cpuUs, p50Us, p99Us }
    })
    const rows = contenders.map(({ name: label }) => ({
      label,
      values: { ...samples.medians(label), rateRatio: samples.ratio(label, 'rate'), cpuRatio: samples.ratio(label, 'cpuUs') },
    }))
    return { name, title: `WebSocket messages of 1 KiB, 64 connections, ${what}`, columns: COLUMNS, rows, requirements: [] }
  },
})

export const webSocket: readonly Measurement[] = [
  measurement('websocket-echo', 1, 'one at a time on each, there and back'),
  measurement('websocket-flood', 16, '16 under way on each'),
]
