/** `import 'socket-gateway'`: both layers from code, without a file or a command line. */
import { expect, test } from '@jest/globals'
import { serviceOptions } from '../../src/cli/command/command.ts'
import {
  AllowList,
  createInnerLayer,
  createOuterLayer,
  KeyRegistry,
  OUTER_LAYER_DEFAULTS,
  parseTargets,
  registeredKey,
  silentLog,
  type KeySource,
  type TableSource,
} from '../../src/index.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { privateKeyOf, testKeyPair } from '../support/layers.ts'
import { startRawOrigin, rawResponse } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

/** Something that changes, and whoever wants to know. */
class Made<T> {
  readonly #listeners = new Set<() => void>()

  constructor(public now: T) {}

  become(next: T): void {
    this.now = next
    for (const listener of this.#listeners) listener()
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }
}

test('an outer layer needs targets and keys, and nothing else; what changes in them is in force', async () => {
  const origin = await startRawOrigin()
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'from the origin')))
  const pair = await testKeyPair()
  const madeTable = new Made(parseTargets(`targets: { '*': { protocol: http, hostname: 127.0.0.1, port: ${origin.port} } }`, 'by hand'))
  const madeKeys = new Made(new KeyRegistry([registeredKey(pair.certificatePem)]))
  const targets: TableSource = {
    get table() {
      return madeTable.now
    },
    onChange: listener => madeTable.onChange(listener),
  }
  const keys: KeySource = {
    get registry() {
      return madeKeys.now
    },
    onChange: listener => madeKeys.onChange(listener),
  }
  const outer = createOuterLayer({ keys, targets, appPort: 0, socketPort: 0, drainTimeoutMs: 1_000 })
  await outer.start()
  onCleanUp(() => outer.close())
  const inner = createInnerLayer(
    {
      privateKey: privateKeyOf(pair),
      outerLayers: [`ws://127.0.0.1:${outer.ports.socket}`],
      identifier: 'here',
      connections: 1,
      allowList: new AllowList([`127.0.0.1:${origin.port}`]),
      drainTimeoutMs: 1_000,
    },
    { log: silentLog },
  )
  await inner.start()
  onCleanUp(() => inner.close())
  await until(() => outer.registry.size === 1, { deadlineMs: 60_000 })
  const answer = await exchange(outer.ports.app)
  expect([answer.status, answer.body.toString()]).toEqual([200, 'from the origin'])

  madeTable.become(parseTargets('targets: { a.test: { redirect: https://b.test } }', 'by hand'))
  expect((await exchange(outer.ports.app)).status).toBe(404)
  madeKeys.become(new KeyRegistry([]))
  await until(() => outer.registry.size === 0, { deadlineMs: 60_000, what: 'the session of a key that is gone to end' })

  await outer.close()
  expect([madeTable.listeners, madeKeys.listeners]).toEqual([0, 0])
})

test('sources that never change need no more than their content', () => {
  const table = parseTargets('targets: { a.test: { redirect: https://b.test } }', 'by hand')
  const outer = createOuterLayer({ keys: { registry: new KeyRegistry([]) }, targets: { table } })
  outer.destroy()
})

test('the command line has the same time to drain', () => {
  expect(serviceOptions['drain-timeout']).toMatchObject({ fallback: OUTER_LAYER_DEFAULTS.drainTimeoutMs })
})
