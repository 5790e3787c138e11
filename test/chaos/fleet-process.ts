/** Started by `fleet.ts`: many inner layers in one process, which tell how many of them are connected. */
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import type { MintedPair } from '../../src/identity/certificate.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { captureLog, privateKeyOf } from '../support/layers.ts'

/** What the parent wants of it. */
export interface Order {
  readonly count: number
  readonly pair: MintedPair
  readonly url: string
  readonly ca: string
}

/** What it tells, ten times a second. */
export interface Told {
  /** Connected now. */
  readonly up: number
  /** Links that have come up since the start. */
  readonly made: number
}

const run = async ({ count, pair, url, ca }: Order): Promise<void> => {
  const { log } = captureLog('error')
  let [up, made] = [0, 0]
  setInterval(() => process.send!({ up, made } satisfies Told), 100)
  const layers = Array.from({ length: count }, (_, i) =>
    createInnerLayer(
      {
        privateKey: privateKeyOf(pair),
        outerLayers: [url],
        outerLayerCa: ca,
        identifier: `storm-${i}`,
        connections: 1,
        allowList: new AllowList([]),
        drainTimeoutMs: 1_000,
        onUp: () => (up++, made++),
        onDown: ({ wasUp }) => void (up -= wasUp ? 1 : 0),
      },
      { log },
    ),
  )
  await Promise.all(layers.map(layer => layer.start()))
}

process.once('message', (order: Order) => void run(order))
process.once('disconnect', () => process.exit())
