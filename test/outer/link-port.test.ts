/** A throw while a connection of the socket port switches protocols ends that connection and nothing else. */
import { expect, test } from '@jest/globals'
import { LinkPort, type LinkPortOptions } from '../../src/outer/inner-layers/link-port.ts'
import { Registry } from '../../src/outer/inner-layers/registry.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { captureLog } from '../support/layers.ts'
import { RawConnection } from '../support/raw-client.ts'
import { until } from '../support/wait.ts'

test('a throw in an upgrade ends its connection, and is logged', async () => {
  const { log, records } = captureLog()
  const others: LinkPortOptions['others'] = {
    takes: () => {
      throw new Error('forced')
    },
    answer: () => undefined,
    upgrade: () => undefined,
  }
  const options = { port: 0, others, isTrusted: () => false, clock: () => 0, registry: new Registry() }
  const port = new LinkPort(options as unknown as LinkPortOptions, log)
  const number = await port.start()
  onCleanUp(() => port.close())
  const client = await RawConnection.open(number)
  client.write('GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await until(() => client.peerClose !== 'no')
  expect(records.map(({ msg }) => msg)).toContain('internal fault while a connection of the socket port switched protocols')
})
