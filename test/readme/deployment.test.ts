/** The nginx configuration and the configuration files of docs/deployment.md, run with other ports and paths. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { WebSocket, WebSocketServer } from 'ws'
import { onCleanUp } from '../support/cleanup.ts'
import { programPath, testWith } from '../support/needs.ts'
import { freePort, listen } from '../support/ports.ts'
import { runProcess, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { once, until, within } from '../support/wait.ts'
import { blocksOf, blockWith, readPage } from './markdown.ts'

const PAGE = readPage('docs/deployment.md')

/** Everything around the file of the page that nginx needs to run as anybody, without leaving a trace. */
const frameOf = (folder: string, site: string): string => `
daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
${site}
}
`

/** The site of the page; `links` stands before the locations of the server for inner layers. */
const siteWith = (folder: string, ports: Record<'clients' | 'links' | 'app' | 'socket', number>, links = ''): string => {
  let server = 0
  return blockWith(PAGE, 'nginx', 'upstream socket_gateway')
    .replace(/^ *listen \[::\]:443 ssl;\n/gm, '')
    .replace(/listen 443 ssl;/g, () => `listen 127.0.0.1:${[ports.clients, ports.links][server++]!} ssl;`)
    .replaceAll('/etc/nginx/tls/', `${folder}/`)
    .replace('127.0.0.1:3000', `127.0.0.1:${ports.app}`)
    .replace('127.0.0.1:3001', `127.0.0.1:${ports.socket}`)
    .replace('  location /socket.io/ {', `${links}$&`)
}

interface Deployment {
  readonly folder: string
  readonly ca: Buffer
  readonly clientsPort: number
  readonly linksPort: number
  readonly innerArgs: readonly string[]
}

/** nginx and the outer layer of the page; `links` is added to the server for inner layers. */
const deploy = async (originPort: number, { isMutual }: { readonly isMutual: boolean }): Promise<Deployment> => {
  const folder = tempDir()
  const lead = (text: string): string => text.replaceAll('/etc/socket-gateway/', `${folder}/`)
  const [clients, links, app, socket] = [await freePort(), await freePort(), await freePort(), await freePort()]

  await runTool('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=test'],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', `${folder}/gateway.key`, '-out', `${folder}/gateway.crt`],
  ])
  const minting = ['certificates', '--type', 'ec', '--common-name', 'lan-a']
  expect(await runProcess(minting, { cwd: folder })).toMatchObject({ code: 0 })
  mkdirSync(join(folder, 'keys'))
  renameSync(join(folder, 'innerLayer.crt'), join(folder, 'keys/lan-a.crt'))
  writeFileSync(
    join(folder, 'targets.yaml'),
    `targets: { localhost: { protocol: http, hostname: 127.0.0.1, port: ${originPort}, identifier: lan-a } }\n`,
  )

  const [outerFile, innerFile] = [join(folder, 'outer.yaml'), join(folder, 'inner.yaml')]
  writeFileSync(outerFile, lead(blockWith(PAGE, 'yaml', 'app-host: 127.0.0.1')).replace('link.example.com', `127.0.0.1:${links}`))
  writeFileSync(
    innerFile,
    lead(blockWith(PAGE, 'yaml', 'private-key: /etc'))
      .replace('link.example.com', `127.0.0.1:${links}`)
      .replace('my.private.api:443', `127.0.0.1:${originPort}`),
  )
  const outer = startProcess(['outer-layer', '--config', outerFile, '--app-port', `${app}`, '--socket-port', `${socket}`])
  await outer.waitForLine(/outer layer ready/)

  const mutual = lead(blockWith(PAGE, 'nginx', 'ssl_verify_client')).replace('clients.pem', 'keys/lan-a.crt')
  const site = siteWith(folder, { clients, links, app, socket }, isMutual ? mutual : '')
  writeFileSync(join(folder, 'nginx.conf'), frameOf(folder, site))
  const nginx = startProcess(['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], { program: programPath('nginx')! })
  const answers = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${clients}/`).then(
      response => response.status === 400, // plain HTTP at a TLS port
      () => false,
    )
  await until(async () => nginx.exited !== undefined || (await answers()), { what: 'nginx' }).catch((cause: unknown) => {
    throw new Error(nginx.output, { cause })
  })
  if (nginx.exited !== undefined) throw new Error(nginx.output)
  return {
    folder,
    ca: readFileSync(join(folder, 'gateway.crt')),
    clientsPort: clients,
    linksPort: links,
    innerArgs: ['inner-layer', '--config', innerFile, '--outer-layer-ca', join(folder, 'gateway.crt')],
  }
}

const runTool = async (program: string, args: readonly string[]): Promise<void> => {
  const running = startProcess(args, { program: programPath(program)! })
  expect(await running.exit).toEqual({ code: 0, signal: null })
}

interface Answer {
  readonly status: number
  readonly body: string
}

const ask = (
  { ca, clientsPort }: Deployment,
  path: string,
  { headers = {}, body }: { readonly headers?: Record<string, string>; readonly body?: Buffer } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: clientsPort, servername: 'localhost', ca, path, method: body === undefined ? 'GET' : 'POST' }
    request({ ...options, headers: { host: 'localhost', ...headers } }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode!, body: text })).on('error', reject)
    })
      .on('error', reject)
      .end(body)
  })

const startInner = async ({ innerArgs }: Deployment, ...more: string[]): Promise<RunningProcess> => {
  const inner = startProcess([...innerArgs, ...more])
  await inner.waitForLine(/connected to wss:/)
  return inner
}

describe('docs/deployment.md', () => {
  testWith(
    ['nginx', 'openssl'],
    'nginx takes requests, uploads, event streams and WebSockets to the gateway as they come, and wss links with them',
    async () => {
      let release = (): void => undefined
      const seen: { url: string; headers: IncomingHttpHeaders; bytes: number }[] = []
      const origin = createServer((req, res) => {
        const entry = { url: req.url!, headers: req.headers, bytes: 0 }
        seen.push(entry)
        req.on('data', (chunk: Buffer) => (entry.bytes += chunk.length))
        if (req.url !== '/events') return void req.on('end', () => res.end('hello\n'))
        res.writeHead(200, { 'Content-Type': 'text/event-stream' })
        res.write('data: 1\n\n')
        release = () => res.end('data: 2\n\n')
      })
      const deployment = await deploy(await listen(origin), { isMutual: false })
      const { ca, clientsPort, linksPort } = deployment
      await startInner(deployment)

      const spoofed = {
        'x-forwarded-for': '192.0.2.1',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-port': '1',
        forwarded: 'for=192.0.2.1',
      }
      expect(await ask(deployment, '/a%20b//c?d=%2f', { headers: spoofed })).toEqual({ status: 200, body: 'hello\n' })
      expect(seen[0]!.url).toBe('/a%20b//c?d=%2f')
      expect(seen[0]!.headers).toMatchObject({
        'x-forwarded-for': '127.0.0.1, 127.0.0.1',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'localhost',
        'x-forwarded-port': String(clientsPort),
        'x-real-ip': '127.0.0.1',
      })
      expect(JSON.stringify(seen[0]!.headers)).not.toMatch(/192\.0\.2\.1|evil/)

      expect(await ask(deployment, '/upload', { body: Buffer.alloc(3 * 1_048_576) })).toMatchObject({ status: 200 })
      expect(seen[1]!.bytes).toBe(3 * 1_048_576)

      const events = request({
        host: '127.0.0.1',
        port: clientsPort,
        servername: 'localhost',
        ca,
        path: '/events',
        headers: { host: 'localhost' },
      })
      events.end()
      const [response] = (await once(events, 'response')) as [IncomingMessage]
      const chunks: string[] = []
      response.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
      await until(() => chunks.join('') === 'data: 1\n\n', { what: 'the first event while the stream goes on' })
      release()
      await within(new Promise(resolve => response.on('end', resolve)), 'the end of the stream')
      expect(chunks.join('')).toBe('data: 1\n\ndata: 2\n\n')

      const sockets = new WebSocketServer({ server: origin })
      sockets.on('connection', socket => socket.on('message', data => socket.send(`${(data as Buffer).toString()} and back`)))
      onCleanUp(() => sockets.close())
      const options = { ca, servername: 'localhost', headers: { host: 'localhost' } } // the types of ws know no servername
      const socket = new WebSocket(`wss://127.0.0.1:${clientsPort}/socket`, options)
      await once(socket, 'open')
      socket.send('there')
      const [answer] = (await once(socket, 'message')) as [Buffer]
      expect(answer.toString()).toBe('there and back')
      socket.close(4_000, 'enough')
      expect((await once(socket, 'close'))[0]).toBe(4_000)

      // The health pages of the socket port stay inside.
      expect(await ask({ ...deployment, clientsPort: linksPort }, '/readyz')).toMatchObject({ status: 404 })
    },
  )

  testWith(['nginx', 'openssl'], 'nginx can ask inner layers for the certificate that they have already', async () => {
    const origin = await listen(createServer((_, res) => res.end('hello\n')))
    const deployment = await deploy(origin, { isMutual: true })
    const without = startProcess(deployment.innerArgs)
    await without.waitForLine(/cannot connect to wss:.*400/)
    await startInner(deployment, '--inner-layer-certificate', join(deployment.folder, 'keys/lan-a.crt'))
    expect(await ask(deployment, '/')).toEqual({ status: 200, body: 'hello\n' })
  })

  test('has the same hardening in both units', () => {
    const [outer, inner] = blocksOf(PAGE, 'ini').map(unit => unit.replace(/^#.*\n/gm, '').replace(/outer|inner/g, 'this'))
    expect(inner).toBe(outer)
  })
})
