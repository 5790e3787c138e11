/** The order of logins of one tunnel, by SSH and by our own link. */
import { expect } from '@jest/globals'
import { createServer } from 'node:http'
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { changeOf, dialerTo, grantedKey } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { captureLog } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { makeKey, startDoor, startSsh } from '../support/ssh-door.ts'
import { until } from '../support/wait.ts'

const PROGRAMS = ['ssh', 'ssh-keygen']

testWith(
  PROGRAMS,
  'a login from before, which dials again after a restart of the outer layer, does not take the tunnel from a newer one',
  async () => {
    const [door, key] = await Promise.all([startDoor({ logins: 100 }), makeKey()])
    door.authorize(key.line)
    const origin = (name: string): Promise<number> => listen(createServer((_req, res) => res.end(name)))
    const answer = async (): Promise<string> => String((await exchange(door.layers.port, { host: door.http[0]!.socket.dnsName })).body)
    const [bySsh, old] = await Promise.all([origin('ssh'), origin('old')])
    const ssh = startSsh(door, key, ['-R', `http-0:80:127.0.0.1:${bySsh}`])
    await ssh.waitForLine(/Logs/)
    const tunnelId = door.http[0]!.tunnel.id
    const connect = async (login: number, downs: string[]): Promise<void> => {
      const { privateKey, granted } = grantedKey({ tunnelId, login })
      await door.directory.apply(changeOf({ keys: [granted] }))
      const dialer = dialerTo(old)
      const inner = createInnerLayer(
        {
          privateKey,
          identifier: tunnelId,
          allowList: new AllowList(['*.socket.invalid:*']),
          dialer,
          tcpDialer: dialer,
          outerLayers: [`ws://127.0.0.1:${door.layers.socketPort}`],
          connections: 1,
          drainTimeoutMs: 1_000,
          onDown: ({ code }) => void downs.push(code),
        },
        { log: captureLog().log },
      )
      onCleanUp(() => inner.destroy())
      await inner.start()
    }
    const [before, after]: [string[], string[]] = [[], []]
    await connect(50, before)
    await until(() => before.includes('TAKEN_OVER'))
    expect(await answer()).toBe('ssh')
    await connect(200, after)
    await until(async () => (await answer()) === 'old')
    expect(after).toEqual([])
  },
)
