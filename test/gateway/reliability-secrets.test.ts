/** What is secret stays out of every log, whatever goes wrong. */
import { expect, test } from '@jest/globals'
import { freePort } from '../support/ports.ts'
import { playInner } from '../support/evil-inner.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, testKeyPair } from '../support/layers.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const CANARY = 'CANARY-7d1f'
const secrets = [
  `Authorization: Bearer ${CANARY}`,
  `Cookie: session=${CANARY}`,
  `Proxy-Authorization: Basic ${CANARY}`,
  `X-Api-Key: ${CANARY}`,
  `X-Custom: ${CANARY}`,
]
const request = (line: string, ...more: readonly string[]): string =>
  [line, 'Host: a.test', ...secrets, ...more, 'Connection: close', '', ''].join('\r\n')
const query = `?token=${CANARY}&x=1`

test('no field, query, body, key or proof is logged, at the level debug, whatever goes wrong', async () => {
  const origin = await startRawOrigin(
    (_request, socket) =>
      void socket.write(`HTTP/1.1 200 OK\r\nSet-Cookie: a=${CANARY}\r\nLocation: /${query}\r\nContent-Length: 2\r\n\r\nok`),
  )
  const targets = [
    'targets:',
    `  a.test: {protocol: http, hostname: 127.0.0.1, port: ${origin.port}, policy: {"^/.*": ["GET", "POST", "OPTIONS"]}}`,
    `  refused.test: {protocol: http, hostname: 127.0.0.1, port: ${await freePort()}}`,
    '  dns.test: {protocol: http, hostname: nothing.invalid, port: 80}',
    '',
  ].join('\n')
  const layers = await startLayers({ targets, outer: { timeoutMs: 500 } })
  const send = (text: string): Promise<unknown> => rawRequest(layers.port, text, { until: 'idle', idleMs: 30 }).catch(() => undefined)
  await send(request(`GET /ok${query} HTTP/1.1`))
  await send(request(`GET http://user:${CANARY}@a.test/ok${query} HTTP/1.1`))
  await send(request(`DELETE /refused-by-policy${query} HTTP/1.1`))
  await send(request(`CONNECT /x${query} HTTP/1.1`))
  await send(request(`TRACE /x${query} HTTP/1.1`))
  await send(request(`GET /bad%zz${query} HTTP/1.1`))
  await send(request(`GET /x#${CANARY} HTTP/1.1`))
  await send(request(`GET /x${query}#${CANARY} HTTP/1.1`))
  await send(request(`GET /x${query} HTTP/1.1`, `Bad Name: ${CANARY}`))
  await send(request(`GET /x${query} HTTP/1.1`, `X-Bad: a\0${CANARY}`))
  await send(request(`POST /x${query} HTTP/1.1`, 'Content-Length: 5', 'Transfer-Encoding: chunked'))
  await send(request(`POST /x${query} HTTP/1.1`, 'Transfer-Encoding: chunked') + `zz\r\n${CANARY}`)
  await send(request(`POST /x${query} HTTP/1.1`, `Expect: ${CANARY}`))
  await send(request(`GET /x${query} HTTP/1.1`, 'Upgrade: websocket', 'Connection: upgrade'))
  await send(`GET /x${query} HTTP/1.1\r\nHost: refused.test\r\n${secrets.join('\r\n')}\r\n\r\n`)
  await send(`GET /x${query} HTTP/1.1\r\nHost: dns.test\r\n${secrets.join('\r\n')}\r\n\r\n`)
  for (const answer of [
    `HTTP/1.1 200 OK\r\nSet-Cookie: ${CANARY}\0\r\n\r\n`,
    `HTTP/1.1 200 ${CANARY}\x01\r\nContent-Length: 0\r\n\r\n`,
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz${CANARY}\r\n`,
    `${CANARY}\r\n\r\n`,
  ]) {
    origin.handle((_request, socket) => void socket.write(answer))
    await send(request(`GET /broken${query} HTTP/1.1`))
  }
  // Proofs: one that is accepted, and one that is refused.
  const proofs: string[] = []
  const keep = (honest: string): string => {
    proofs.push(honest)
    return honest
  }
  await playInner({ port: layers.socketPort, privateKey: layers.privateKey, proof: keep })
  await expect(playInner({ port: layers.socketPort, privateKey: layers.privateKey, proof: honest => `${keep(honest)}x` })).rejects.toThrow()
  await exchange(layers.socketPort, { path: `/readyz${query}`, headers: { authorization: CANARY } })
  await until(() => layers.accessLog.length >= 20)

  const logged = [...layers.accessLog, ...layers.outerLogs, ...layers.innerLogs].map(line => JSON.stringify(line))
  expect(logged.length).toBeGreaterThan(20)
  const { privateKeyPem } = await testKeyPair()
  const needles = [
    CANARY,
    ...proofs,
    ...proofs.map(proof => proof.split('.')[2]!),
    ...privateKeyPem.split('\n').filter(line => line.length > 20),
  ]
  expect(logged.filter(line => needles.some(needle => line.includes(needle)))).toEqual([])
})
