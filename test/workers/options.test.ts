import { describe, expect, test } from '@jest/globals'
import { run } from '../cli/context.ts'

const MUST = ['--public-key', 'inner.crt', '--targets', 'targets.yaml']

describe('options of workers', () => {
  test.each([[['--cluster', 'redis://localhost', '--node-key', 'node.key'], '--cluster']])(
    '--workers does not go together with %j',
    async (options, name) => {
      const { status, stderr } = await run(['outer-layer', ...MUST, '--workers', '2', ...options])
      expect(status).toBe(2)
      expect(stderr).toContain(`--workers 2 does not go together with ${name}: `)
    },
  )

  test('how many there are is a number, or auto', async () => {
    for (const text of ['0', '257', 'all', '-1']) {
      const { status, stderr } = await run(['outer-layer', ...MUST, `--workers=${text}`])
      expect(status).toBe(2)
      expect(stderr).toContain('expected a number from 1 to 256, or auto')
    }
  })

  test('a worker is not started by hand', async () => {
    const { status, stderr } = await run(['outer-layer-worker', ...MUST])
    expect(status).toBe(2)
    expect(stderr).toContain('is started by "outer-layer --workers N", not by hand')
  })

  test('a key for nodes without a cluster is a mistake', async () => {
    const { status, stderr } = await run(['outer-layer', ...MUST, '--node-key', 'node.key'])
    expect(status).toBe(2)
    expect(stderr).toContain('--node-key is for --cluster, which is not given')
  })

  test.each([
    ['outer-layer', ['--node-url', 'ws://127.0.0.1:3005'], '--node-url is for --cluster, which is not given'],
    ['outer-layer', ['--advertise', 'wss://a:3001', '--node-key', 'k'], '--node-key, --advertise are for --cluster, which is not given'],
    ['outer-layer', ['--acme-directory', 'https://127.0.0.1/'], '--acme-directory is for --acme, which is not given'],
    ['outer-layer', ['--acme-name', 'a.example', '--acme-dns-server', 'ns'], '--acme-name, --acme-dns-server are for --acme'],
    ['inner-layer', ['--acme-dns-hook', 'hook'], '--acme-dns-hook is for --acme, which is not given'],
  ])('of %s, what only another option has use for is refused: %j', async (layer, options, text) => {
    const must = layer === 'outer-layer' ? MUST : ['--private-key', 'inner.key', '--outer-layer', 'ws://localhost:3001']
    const { status, stderr } = await run([layer, ...must, ...options])
    expect(status).toBe(2)
    expect(stderr).toContain(text)
  })
})
