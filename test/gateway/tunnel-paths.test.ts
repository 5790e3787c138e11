/** Paths of tunnels are theirs in every spelling and version of HTTP: no origin ever sees a token for a tunnel. */
import { connect } from 'node:http2'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { hashToken, mintToken } from '../../src/identity/token.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { once } from '../support/wait.ts'

let origin: RawOrigin
let layers: Layers
beforeAll(async () => {
  origin = await startRawOrigin()
  const target = '{protocol: http, hostname: 127.0.0.1, port: {port}}'
  const targets = `targets:\n  "*": ${target}\ntunnels:\n  "db.lan:5432": {tokens: ["${hashToken(mintToken())}"]}\n`
  layers = await startLayers({ origin: origin.port, targets, outer: { appH2c: true } })
})
beforeEach(() => origin.clear())

const PATHS = ['/tunnel/db.lan:5432', '//tunnel/db.lan:5432', '/%74unnel/db.lan:5432', '/a/../tunnel/db.lan:5432', '/./tunnel/']

test.each(PATHS)('over HTTP/1.1, %s goes to no origin', async path => {
  const { text } = await rawRequest(
    layers.port,
    `GET ${path} HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n`,
  )
  expect(text).toMatch(/^HTTP\/1\.1 4\d\d /)
  expect(origin.hits).toBe(0)
})

test('neither does one that is pipelined behind another request', async () => {
  const client = await RawConnection.open(layers.port)
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`
  client.write(get('/') + get('/tunnel/db.lan:5432'))
  await client.read('ok')
  expect(await client.read('UPGRADE_REQUIRED')).toContain('HTTP/1.1 426 ')
  expect(origin.requests.map(({ target }) => target)).toEqual(['/'])
})

test.each(PATHS)('over HTTP/2, %s goes to no origin', async path => {
  const session = connect(`http://127.0.0.1:${layers.port}`)
  try {
    const stream = session.request({ ':path': path, authorization: 'Bearer x' })
    const [fields] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect(fields[':status']).toBe(426)
    expect(origin.hits).toBe(0)
  } finally {
    session.destroy()
  }
})
