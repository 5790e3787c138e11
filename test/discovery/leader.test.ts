import { expect, test } from '@jest/globals'
import { KubeClient } from '../../src/discovery/kubernetes/kube-client.ts'
import { Leader } from '../../src/discovery/kubernetes/leader.ts'
import { until } from '../support/wait.ts'
import { startKubeApi } from './kube-api.ts'

test('a holder of the Lease whose work fails begins it anew, and the process goes on', async () => {
  const api = await startKubeApi()
  const client = new KubeClient({ server: new URL(api.url), tokenFile: undefined, ca: undefined })
  const stop = new AbortController()
  const troubles: unknown[] = []
  let begun = 0
  const leader = new Leader({
    client,
    namespace: 'default',
    name: 'lease',
    identity: 'one',
    now: Date.now,
    clock: () => performance.now(),
    leaseMs: 1_000,
  })
  const lead = async (signal: AbortSignal): Promise<void> => {
    if (++begun === 1) throw new Error('no file')
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
  }
  const running = leader.run(lead, stop.signal, error => troubles.push(error))
  await until(() => begun === 2)
  stop.abort()
  await running
  client.close()
  expect(troubles).toEqual([new Error('no file')])
})
