import { createServer } from 'node:http'
import { afterEach, expect, test } from '@jest/globals'
import type { RequestSummary } from '../../src/inspector/record.ts'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { begin, run, type Running } from './context.ts'

afterEach(cleanUp)

/** `http` with an inspector, over an origin that says what it got. */
async function startHttp(): Promise<{ readonly app: string; readonly inspector: string }> {
  const origin = createServer((request, response) => {
    let body = ''
    request.on('data', (piece: Buffer) => (body += piece.toString()))
    request.on('end', () =>
      response
        .writeHead(request.url!.startsWith('/bad') ? 500 : 200, { 'content-type': 'text/plain' })
        .end(`got ${request.method!} ${request.url!} ${body}`),
    )
  })
  onCleanUp(() => {
    origin.closeAllConnections()
    origin.close()
  })
  const http: Running = begin(['http', String(await listen(origin)), '--local', '--quiet', '--app-port', '0', '--inspect', '0'])
  onCleanUp(() => http.stop())
  const [, app, port] = await until(() => /^(http:\/\/localhost:\d+) →[^]*127\.0\.0\.1:(\d+) {3}shows/m.exec(http.stdout()))
  return { app: app!, inspector: port! }
}

test('requests are listed, shown, copied and sent again in a terminal', async () => {
  const { app, inspector } = await startHttp()
  const at = ['--inspector', inspector]
  await (await fetch(`${app}/one`, { method: 'POST', body: 'hello' })).text()
  await (await fetch(`${app}/bad?token=hidden`)).text()
  const list = async (...args: string[]): Promise<RequestSummary[]> => {
    const { stdout } = await run(['requests', '--json', ...args, ...at])
    return stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as RequestSummary)
  }
  const [one, bad] = (await until(async () => {
    const all = await list()
    return all.length === 2 && all.every(({ isOver }) => isOver) && all
  })) as [RequestSummary, RequestSummary]
  expect([one.path, bad.path]).toEqual(['/one', '/bad?token=***'])
  expect((await list('--filter', 'status:5xx')).map(({ id }) => id)).toEqual([bad.id])
  expect((await run(['requests', ...at])).stdout).toMatch(/ 200 .*POST localhost:\d+\/one /)

  const { stdout } = await run(['requests', 'show', one.id, ...at])
  for (const text of ['POST http://localhost:', 'hello', 'HTTP 200 OK', 'got POST /one hello', 'time: ']) expect(stdout).toContain(text)
  expect((await run(['requests', 'show', one.id, '--as', 'curl', ...at])).stdout).toMatch(/^curl /)
  expect((await run(['requests', 'show', one.id, '--body', 'response', ...at])).stdout).toBe('got POST /one hello')

  const file = tempFile('body.txt', 'other')
  const replay = await run([
    'requests',
    'replay',
    one.id,
    '--path',
    '/two',
    '--field',
    'X-A: 1',
    '--body-file',
    file,
    '--times',
    '2',
    '--json',
    ...at,
  ])
  expect(replay.status).toBe(0)
  const [first] = JSON.parse(replay.stdout) as { id: string; status: number }[]
  expect(first!.status).toBe(200)
  expect((await run(['requests', 'show', first!.id, '--body', 'response', ...at])).stdout).toBe('got POST /two other')
  const refused = await run(['requests', 'replay', bad.id, ...at])
  expect(refused).toMatchObject({ status: 1 })
  expect(refused.stderr).toContain('request query')
  expect((await run(['requests', 'show', 'nothing', ...at])).status).toBe(1)
  expect((await run(['requests', '--filter', 'status:x', ...at])).stderr).toContain('filter: status at column 1')

  const following = begin(['requests', '--follow', '--json', '--filter', 'path:/three', ...at])
  // The stream is open before the list is printed; what comes from now on is told.
  await until(async () => {
    await (await fetch(`${app}/three`)).text()
    return following.stdout().includes('/three')
  })
  await following.stop()
})

test('where there is no inspector, it says what to do', async () => {
  const server = createServer((_request, response) => response.writeHead(404).end())
  onCleanUp(() => server.close())
  const { status, stderr } = await run(['requests', '--inspector', String(await listen(server))])
  expect(status).toBe(1)
  expect(stderr).toContain('--inspect')
})
