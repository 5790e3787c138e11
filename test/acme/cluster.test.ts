/** Nodes of a cluster that order certificates: one orders, all have it, and an authority may ask any of them. */
import { createPrivateKey } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { Sealed } from '../../src/acme/redis/sealed.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { testWith } from '../support/needs.ts'
import { PEBBLE_PROGRAMS, startPebble } from '../support/pebble.ts'
import { freePort } from '../support/ports.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { tempFile } from '../support/temp.ts'
import { shownTo, startKeeping, type Keeping } from './keeping.ts'

const mintNodeKey = (): ReturnType<typeof mintKeyPair> => mintKeyPair({ type: 'ec', commonName: 'node', validityYears: 1 })
const target = (...names: string[]): string =>
  `targets:\n${names.map(name => `  "${name}": {protocol: http, hostname: 127.0.0.1, port: {port}}\n`).join('')}`
const ordered = ({ logs }: Keeping): readonly unknown[] => logs.filter(({ msg }) => msg.startsWith('ordering')).map(({ name }) => name)

testWith(
  [...PEBBLE_PROGRAMS, ...REDIS_PROGRAMS],
  'one node orders, all have it; and a node answers for the order of another one, by HTTP and by TLS',
  async () => {
    const [pebble, redis, pair] = await Promise.all([startPebble(), startRedis(), mintNodeKey()])
    const keyFile = tempFile('node.key', pair.privateKeyPem)
    chmodSync(keyFile, 0o600)
    const values = { cluster: `redis://127.0.0.1:${redis}`, 'node-key': keyFile }
    // The first one has the ports at which the authority asks.
    const first = await startKeeping(pebble, { targets: target('a.example.com'), values })
    await first.issued('a.example.com')
    const elsewhere = async (): Promise<typeof pebble> => ({ ...pebble, httpPort: await freePort(), tlsPort: await freePort() })
    const byHttp = await elsewhere()
    const second = await startKeeping(byHttp, { targets: target('a.example.com', 'b.example.com'), values })
    await second.issued('a.example.com')
    await second.issued('b.example.com')
    expect([ordered(first), ordered(second)]).toEqual([['a.example.com'], ['b.example.com']])
    const root = await pebble.root()
    expect(await shownTo(byHttp.tlsPort, 'a.example.com', root)).toBe(await shownTo(pebble.tlsPort, 'a.example.com', root))
    const byTls = await elsewhere()
    const third = await startKeeping(byTls, { targets: target('c.example.com'), values, hasHttp: false })
    await third.issued('c.example.com')
  },
)

test('what nodes share can be read, made and moved by nobody without their key', async () => {
  const [mine, other] = (await Promise.all([mintNodeKey(), mintNodeKey()])).map(pair => new Sealed(createPrivateKey(pair.privateKeyPem)))
  const sealed = mine!.seal('answer text a', 'the answer')
  expect(sealed).not.toContain(Buffer.from('the answer').toString('base64').slice(0, 8))
  expect(mine!.open('answer text a', sealed)).toBe('the answer')
  expect(mine!.open('answer text b', sealed)).toBeUndefined()
  expect(other!.open('answer text a', sealed)).toBeUndefined()
  expect(mine!.open('answer text a', `${sealed.slice(0, -4)}AAAA`)).toBeUndefined()
  expect(mine!.open('answer text a', '')).toBeUndefined()
})
