import { expect, test } from '@jest/globals'
import { parseProxyHeader } from '../../src/net/read-proxy-header.ts'
import { changeOf, socketOf, startSocketLayers } from '../support/directory.ts'
import { freePort } from '../support/ports.ts'
import { echoServer, tcpConnect } from '../support/tcp.ts'

test('a socket of type tcp tells its origin who comes, by the PROXY protocol, from the next connection on that follows a change', async () => {
  const { directory, connect } = await startSocketLayers()
  const [port, origin] = [await freePort(), await echoServer()]
  let seq = 0
  const put = (proxyProtocol?: 1 | 2): Promise<unknown> =>
    directory.apply(changeOf({ seq: ++seq, sockets: [socketOf(1, { type: 'tcp', port, ...(proxyProtocol && { proxyProtocol }) })] }))
  const visit = async (): Promise<{ readonly header: Buffer; readonly from: number }> => {
    const client = await tcpConnect(port)
    const from = client.socket.localPort!
    client.socket.write('payload')
    await client.when(() => client.text.endsWith('payload'), 'what was sent')
    client.socket.destroy()
    return { header: client.bytes.subarray(0, -'payload'.length), from }
  }
  await put(1)
  await connect(1, origin.port)
  const first = await visit()
  expect(first.header.toString()).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${first.from} ${port}\r\n`)
  await put(2)
  const second = await visit()
  expect(parseProxyHeader(second.header)).toMatchObject({
    length: second.header.length,
    source: { address: '127.0.0.1', port: second.from },
  })
  await put()
  expect((await visit()).header.toString()).toBe('')
})
