import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, expect, test } from '@jest/globals'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { once, until } from '../support/wait.ts'

afterEach(cleanUp)

/** Sends one request on a connection of its own, which is closed after it. */
async function send(port: number, path: string, headers: Record<string, string>, body = ''): Promise<string> {
  const asked = httpRequest({
    port,
    host: '127.0.0.1',
    method: 'POST',
    path,
    headers: { ...headers, connection: 'close' },
    agent: false,
  }).end(body)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  answer.setEncoding('latin1').on('data', (piece: string) => (text += piece))
  await once(answer, 'close')
  return text
}

/** The last bytes of a file. */
function lastOf(path: string): string {
  const bytes = Buffer.alloc(16)
  const file = openSync(path, 'r')
  try {
    const length = readSync(file, bytes, 0, bytes.length, Math.max(0, fstatSync(file).size - bytes.length))
    return bytes.toString('latin1', 0, length)
  } finally {
    closeSync(file)
  }
}

test('planted secrets are in no answer of the API, in no file, and in no heap', async () => {
  const secrets = Array.from({ length: 12 }, () => `planted${randomBytes(12).toString('hex')}`)
  const [bearer, cookie, query, member, field, setCookie, packed, apiKey = '', inForm, inLine, inPage, inQuery] = secrets
  const origin = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, {
        connection: 'close',
        'set-cookie': `sid=${setCookie}; Path=/`,
        'content-type': 'application/json',
        'content-encoding': 'gzip',
      })
      response.end(gzipSync(JSON.stringify({ visible: 'yes', access_token: { value: packed } })))
    })
  })
  onCleanUp(() => origin.close())
  const folder = tempDir()
  const port = await listen(origin)
  const gateway = startProcess(
    ['http', String(port), '--local', '--quiet', '--app-port', '0', '--inspect', '0', '--inspect-store', join(folder, 'store')],
    { nodeArgs: ['--heapsnapshot-signal=SIGUSR2', `--diagnostic-dir=${folder}`], cwd: folder },
  )
  const [, app] = await gateway.waitForLine(/http:\/\/localhost:(\d+) →/)
  const [, page] = await gateway.waitForLine(/http:\/\/127\.0\.0\.1:(\d+) {3}shows/)
  const headers = { authorization: `Bearer ${bearer}`, cookie: `sid=${cookie}`, 'x-api-key': apiKey }
  const json = { ...headers, 'content-type': 'application/json' }
  await send(Number(app), `/a?token=${query}`, json, JSON.stringify({ shown: 'seen', password: member }))
  await send(Number(app), '/b', { ...headers, 'content-type': 'application/x-www-form-urlencoded' }, `a=1&client_secret=${field}`)
  // JSON that was written into something else.
  const form = `a=1&payload=${encodeURIComponent(JSON.stringify({ text: JSON.stringify({ password: inForm }) }))}`
  const written = `/c?data=${encodeURIComponent(JSON.stringify({ token: [inQuery] }))}`
  await send(Number(app), written, { ...headers, 'content-type': 'application/x-www-form-urlencoded' }, form)
  const line = `INFO sent ${JSON.stringify(JSON.stringify({ pin: inLine }))}`
  await send(Number(app), '/d', { ...headers, 'content-type': 'text/plain' }, line)
  const html = `<p data-props="${JSON.stringify({ visible: 1, secret: inPage }).replaceAll('"', '&quot;')}">`
  await send(Number(app), '/e', { ...headers, 'content-type': 'text/html' }, html)

  const api = `http://127.0.0.1:${page}/inspector`
  const text = async (path: string): Promise<string> => (await fetch(api + path, { headers: { connection: 'close' } })).text()
  const list = await until(async () => {
    const { items } = JSON.parse(await text('/requests')) as { items: { id: string; isOver: boolean }[] }
    return items.length === 5 && items.every(({ isOver }) => isOver) && items
  })
  const answers = [await text('/requests'), await text('/har'), await text('/state')]
  for (const { id } of list as { id: string }[]) {
    for (const path of ['', '/request-body', '/response-body', '/copy?as=curl', `/compare/${(list as { id: string }[])[0]!.id}`])
      answers.push(await text(`/requests/${id}${path}`))
  }
  const shown = answers.join('\n')
  for (const kept of [
    '"visible"',
    '%22password%5C%22%3A%5C%22***%5C%22',
    String.raw`{\"pin\":\"***\"}`,
    '&quot;secret&quot;:&quot;***&quot;',
  ])
    expect(shown).toContain(kept)
  for (const secret of secrets) expect(shown).not.toContain(secret)

  process.kill(gateway.pid, 'SIGUSR2')
  const file = await until(() => readdirSync(folder).find(name => name.endsWith('.heapsnapshot')), { what: 'a snapshot' })
  // Its last characters; whoever reads all of it each time takes from the process the time that it needs to write it.
  await until(() => lastOf(join(folder, file)).trimEnd().endsWith(']}'), { what: 'the end of the snapshot', deadlineMs: 300_000 })
  const snapshot = readFileSync(join(folder, file), 'latin1')
  expect(snapshot).toContain('application/x-www-form-urlencoded')
  expect(secrets.filter(secret => snapshot.includes(secret))).toEqual([])

  gateway.child.kill('SIGTERM')
  await gateway.exit
  for (const secret of secrets) expect(gateway.output).not.toContain(secret)
  const store = readdirSync(join(folder, 'store'))
  expect(store).toHaveLength(2)
  for (const file of store) for (const secret of secrets) expect(readFileSync(join(folder, 'store', file), 'latin1')).not.toContain(secret)
})
