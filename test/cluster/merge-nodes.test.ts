/** The status of several nodes as one. */
import { expect, test } from '@jest/globals'
import type { OuterStatus } from '../../src/admin/status.ts'
import { mergeNodes } from '../../src/cluster/views/merge-nodes.ts'
import { startLayers } from '../support/layers.ts'
import { ask } from '../support/admin.ts'

test('tunnels of a node that has more of them than it lists are all counted', async () => {
  const layers = await startLayers({ inners: 0, outer: { admin: { port: 0 } } })
  const status = JSON.parse((await ask(layers.outer.adminPort, '/status', { accept: 'application/json' })).text) as OuterStatus
  const nodeOf = (name: string, tunnels: number): Parameters<typeof mergeNodes>[0][number] => ({
    node: { id: name, name },
    status: { ...status, service: { sockets: 200, fault: null, tunnels, firstTunnels: [] } },
  })
  expect(mergeNodes([nodeOf('a', 1), nodeOf('b', 150)], []).service).toMatchObject({ sockets: 200, tunnels: 151 })
})
