/** Applications that refuse the Host that they get: the log says what to do, once for each target. */
import { createServer } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { hostRefusalIn } from '../../src/http/host-refusal.ts'
import { startLayers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { rawRequest } from '../support/raw-client.ts'

describe('answers that refuse the Host', () => {
  test('are told once, with the way out for either Host', async () => {
    const port = await listen(
      createServer((request, response) => {
        const [, status = '200', body = ''] = (request.url ?? '').split('/')
        response.writeHead(Number(status)).end(decodeURIComponent(body))
      }),
    )
    const layers = await startLayers({
      targets: `targets:
  vite.test: { protocol: http, hostname: 127.0.0.1, port: ${port}, preserveHost: true }
  django.test: { protocol: http, hostname: 127.0.0.1, port: ${port} }
`,
    })
    const ask = async (host: string, status: number, body: string): Promise<void> => {
      const { text } = await rawRequest(
        layers.port,
        `GET /${status}/${encodeURIComponent(body)} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      )
      expect(text).toContain(`HTTP/1.1 ${status} `)
      expect(text).toContain(body)
    }
    const hints = (): string[] => layers.outerLogs.filter(({ msg }) => msg.includes('docs/applications.md')).map(({ msg }) => msg)

    await ask('vite.test', 200, 'Blocked request. This host is not allowed.')
    await ask('vite.test', 404, 'Blocked request. This host is not allowed.')
    await ask('vite.test', 403, 'go away')
    expect(hints()).toEqual([])
    for (let i = 0; i < 3; i++) await ask('vite.test', 403, 'Blocked request. This host ("vite.test") is not allowed.')
    await ask('django.test', 403, '<h1>Forbidden</h1><p>CSRF verification failed. Request aborted.</p>')
    expect(hints()).toEqual([
      'vite.test answers 403, "blocked request. this host": its application refuses the Host that it gets, the public host; allow that name in the application, or remove preserveHost (docs/applications.md)',
      `django.test answers 403, "csrf verification failed": its application compares Origin with Host, which is 127.0.0.1:${port}; set preserveHost: true, or name the public address as a trusted origin there (docs/applications.md)`,
    ])
  })

  test.each([
    ['Host check error', 'host'],
    ['Transmission received your request, but the hostname was unrecognized.', 'host'],
    ['<Error><Code>SignatureDoesNotMatch</Code></Error>', 'signature'],
    ['400: Bad Request', 'proxy'],
  ])('%s is about %s', (body, refusal) => {
    expect(hostRefusalIn(Buffer.from(body))?.refusal).toBe(refusal)
  })

  test('other texts, and what comes late, are nothing', () => {
    expect(hostRefusalIn(Buffer.from('no such user'))).toBeUndefined()
    expect(hostRefusalIn(Buffer.from(`${' '.repeat(9_000)}Host check error`))).toBeUndefined()
  })
})
