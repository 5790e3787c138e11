import { createServer } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { freePort, listen } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { RawConnection } from '../support/raw-client.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { tcpSection, toOrigin } from '../support/tcp-layers.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { run } from './context.ts'

test('the program opens ports, follows the file, and says what is in its way', async () => {
  const directory = tempDir()
  const [key, certificate, targets] = ['inner.key', 'inner.crt', 'targets.yaml'].map(name => join(directory, name)) as [
    string,
    string,
    string,
  ]
  await run(['certificates', '--type', 'ec', '--private-key', key, '--certificate', certificate])
  const origin = await startTcpOrigin(echo)
  const [app, socket, first, second] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const outerLayer = ['outer-layer', '--public-key', certificate, '--targets', targets, '--admin-port', 'none', '--log-format', 'json']
  const listening = ['--app-port', String(app), '--socket-port', String(socket)]

  const taken = createServer()
  const busy = await listen(taken)
  writeFileSync(targets, tcpSection({ [first]: toOrigin(origin.port), [busy]: toOrigin(origin.port) }))
  const failed = await run([...outerLayer, ...listening])
  expect(failed).toMatchObject({ status: 1, stderr: expect.stringContaining(`cannot listen on *:${busy}: `) })
  taken.close()

  writeFileSync(targets, tcpSection({ [first]: toOrigin(origin.port, 'tls: true') }))
  const unready = await run([...outerLayer, ...listening])
  expect(unready).toMatchObject({ status: 1, stderr: expect.stringContaining('give one with --tls-certificate and --tls-key') })

  writeFileSync(targets, tcpSection({ [first]: toOrigin(origin.port) }))
  const outer = startProcess([...outerLayer, ...listening])
  await outer.waitForLine(/outer layer ready.*TCP on 1 port/)
  const inner = startProcess(['inner-layer', '--private-key', key, '--outer-layer', `ws://127.0.0.1:${socket}`, '--allow', '127.0.0.1:*'])
  await outer.waitForLine(/connected from/)
  const client = await RawConnection.open(first)
  expect(await client.write('through').read('through')).toBe('through')
  writeFileSync(targets, tcpSection({ [second]: toOrigin(origin.port) }))
  await outer.waitForLine(/TCP ports closed: \d+; 1 of their connections go on/)
  const other = await until(() => RawConnection.open(second))
  expect(await other.write('moved').read('moved')).toBe('moved')
  expect(await client.write('still').read('still')).toBe('still')
  client.end()
  other.end()
  await outer.waitForLine(/"bytesIn":12,"bytesOut":12,.*"msg":"connection"/)
  expect(await outer.stop()).toMatchObject({ code: 0 })
  expect(await inner.stop()).toMatchObject({ code: 0 })
})
