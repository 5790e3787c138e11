/** Applications that are too large for each change: what REDbot says of caching, a registry with skopeo, S3 with aws-cli, Vite with its hot updates, JupyterLab with a kernel and a terminal. */
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import WebSocket from 'ws'
import { onCleanUp } from '../support/cleanup.ts'
import { programPath } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { bytesOf, hashOf } from '../support/random.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { file, run, type Application, type Place } from './application.ts'

/** Starts a server, and waits until it answers anything. */
const serve = async (
  program: string,
  args: readonly string[],
  port: number,
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<number> => {
  const server = startProcess(args, { program: programPath(program)!, ...options })
  onCleanUp(() => server.stop())
  await until(
    async () => {
      if (server.exited !== undefined) throw new Error(`${program} ended:\n${server.output}`)
      return (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)) !== undefined
    },
    { what: `${program} on port ${port}` },
  )
  return port
}

const curl = (place: Place, path: string, ...args: readonly string[]): Promise<string> =>
  run(programPath('curl')!, ['-sS', '--fail', '--cacert', place.ca, ...args, place.url + path])

const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** An image of one layer as a folder in the layout of OCI. */
const image = async (): Promise<string> => {
  const [folder, content] = [tempDir(), tempDir()]
  const blobs = join(folder, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  writeFileSync(join(content, 'file'), bytesOf(5, 20_000_000))
  await run('tar', ['-C', content, '--mtime=@0', '--owner=0', '--group=0', '-cf', join(folder, 'layer'), 'file'])
  const add = (bytes: string | Buffer, mediaType: string): { mediaType: string; digest: string; size: number } => {
    const digest = sha256(bytes)
    writeFileSync(join(blobs, digest), bytes)
    return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(bytes) }
  }
  const type = 'application/vnd.oci.image'
  const layer = add(readFileSync(join(folder, 'layer')), `${type}.layer.v1.tar`)
  const config = add(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [layer.digest] } }),
    `${type}.config.v1+json`,
  )
  const manifest = add(
    JSON.stringify({ schemaVersion: 2, mediaType: `${type}.manifest.v1+json`, config, layers: [layer] }),
    `${type}.manifest.v1+json`,
  )
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }))
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  return folder
}

const registry = (): Application => ({
  name: 'Docker registry, skopeo',
  programs: ['docker-registry', 'skopeo', 'tar'],
  async start() {
    const port = await freePort()
    const lines = [
      'version: 0.1',
      'log: { level: error }',
      `storage: { filesystem: { rootdirectory: ${tempDir()} } }`,
      `http: { addr: '127.0.0.1:${port}' }`,
      '',
    ]
    return serve('docker-registry', ['serve', file('registry.yml', lines.join('\n'))], port)
  },
  async use({ url, ca }) {
    const [isTls, place] = [url.startsWith('https:'), url.replace(/^\w+:/, 'docker:')]
    const env = { SSL_CERT_FILE: ca }
    const name = `${place}/some/image:${isTls ? 'through' : 'direct'}`
    const back = tempDir()
    await run('skopeo', ['--insecure-policy', 'copy', '-q', `--dest-tls-verify=${isTls}`, `oci:${await image()}`, name], { env })
    const manifest = await run('skopeo', ['inspect', '--raw', `--tls-verify=${isTls}`, name], { env })
    await run('skopeo', ['--insecure-policy', 'copy', '-q', `--src-tls-verify=${isTls}`, name, `dir:${back}`], { env })
    const { layers } = JSON.parse(manifest) as { layers: { digest: string }[] }
    return [manifest, sha256(readFileSync(join(back, layers[0]!.digest.slice(7))))]
  },
})

const s3 = (): Application => ({
  name: 'S3 (s3rver), aws-cli with signatures and multipart uploads',
  programs: ['s3rver', 'aws'],
  keys: 'preserveHost: true',
  async start() {
    const port = await freePort()
    return serve('s3rver', ['-d', tempDir(), '-a', '127.0.0.1', '-p', String(port), '--silent'], port)
  },
  async use({ url, ca }) {
    const env = {
      AWS_ACCESS_KEY_ID: 'S3RVER',
      AWS_SECRET_ACCESS_KEY: 'S3RVER',
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      // This server is older than the checksums in trailers.
      AWS_REQUEST_CHECKSUM_CALCULATION: 'when_required',
      AWS_RESPONSE_CHECKSUM_VALIDATION: 'when_required',
    }
    const aws = (...args: string[]): Promise<string> => run('aws', ['--endpoint-url', url, '--ca-bundle', ca, ...args], { env })
    const bytes = bytesOf(9, 20_000_000)
    const [up, down] = [file('a b+ü.bin', bytes), join(tempDir(), 'down')]
    await aws('s3', 'mb', 's3://bucket').catch(() => undefined)
    await aws('s3', 'cp', '--no-progress', up, 's3://bucket/folder/a b+ü.bin')
    await aws('s3', 'cp', '--no-progress', up, 's3://bucket/other')
    await aws('s3', 'cp', '--no-progress', 's3://bucket/folder/a b+ü.bin', down)
    const list = await aws('s3api', 'list-objects-v2', '--bucket', 'bucket', '--query', 'Contents[].[Key,Size]')
    const part = await aws(
      's3api',
      'get-object',
      '--bucket',
      'bucket',
      '--key',
      'other',
      '--range',
      'bytes=5-9',
      '--query',
      'ContentRange',
      join(tempDir(), 'part'),
    )
    await aws('s3', 'rm', '--quiet', '--recursive', 's3://bucket')
    return [list, part, String(hashOf(readFileSync(down)) === hashOf(bytes))]
  },
})

/** Opens a WebSocket. @returns what has come so far, and a function that sends */
const open = async (
  url: string,
  ca: string,
  protocols: readonly string[] = [],
): Promise<{ readonly texts: string[]; send(text: string): void; close(): void }> => {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), [...protocols], { ca: readFileSync(ca, 'utf8'), origin: new URL(url).origin })
  const texts: string[] = []
  socket.on('message', data => texts.push((data as Buffer).toString()))
  await new Promise<void>((resolve, reject) => void socket.once('open', resolve).once('error', reject))
  onCleanUp(() => socket.terminate())
  return { texts, send: text => socket.send(text), close: () => socket.close() }
}

const vite = (): Application => {
  const folder = tempDir()
  let version = 0
  return {
    name: 'Vite with hot updates',
    programs: ['vite', 'curl'],
    async start() {
      writeFileSync(join(folder, 'index.html'), '<!doctype html><script type="module" src="/main.js"></script>')
      writeFileSync(join(folder, 'main.js'), "import { text } from './text.js'\ndocument.title = text\nimport.meta.hot.accept()\n")
      writeFileSync(join(folder, 'text.js'), "export const text = 'x'\n")
      const port = await freePort()
      return serve('vite', ['--host', '127.0.0.1', '--port', String(port), '--strictPort'], port, { cwd: folder })
    },
    async use(place) {
      const [page, main] = [await curl(place, '/'), await curl(place, '/main.js')]
      await curl(place, '/text.js')
      const token = /wsToken = "([^"]+)"/.exec(await curl(place, '/@vite/client'))?.[1] ?? ''
      const hot = await open(`${place.url}/?token=${token}`, place.ca, ['vite-hmr'])
      await until(() => hot.texts.some(text => text.includes('"connected"')), { what: 'the answer of Vite' })
      writeFileSync(join(folder, 'text.js'), `export const text = 'version ${version++}'\n`)
      await until(() => hot.texts.some(text => text.includes('"update"')), { what: 'the update' })
      hot.close()
      const withoutTimes = (text: string): string => text.replaceAll(/\?t=\d+|"timestamp":\d+,|\/\/# sourceMappingURL=.*/g, '')
      return [withoutTimes(page), withoutTimes(main), ...hot.texts.filter(text => !text.includes('"ping"')).map(withoutTimes)]
    },
  }
}

const TOKEN = 'a-token-of-a-test'

const jupyter = (): Application => ({
  name: 'JupyterLab with a kernel and a terminal',
  programs: ['jupyter', 'curl'],
  keys: 'preserveHost: true',
  async start() {
    const port = await freePort()
    const rest = [
      `--IdentityProvider.token=${TOKEN}`,
      '--ServerApp.allow_remote_access=True',
      `--ServerApp.root_dir=${tempDir()}`,
      '--allow-root',
      '--no-browser',
    ]
    return serve('jupyter', ['lab', '--ip', '127.0.0.1', '--port', String(port), ...rest], port, {
      env: { JUPYTER_CONFIG_DIR: tempDir(), HOME: tempDir() },
    })
  },
  async use(place) {
    const call = async (path: string, ...args: readonly string[]): Promise<Record<string, unknown>> =>
      JSON.parse(await curl(place, path, '-H', `Authorization: token ${TOKEN}`, ...args)) as Record<string, unknown>
    const kernel = String((await call('/api/kernels', '-X', 'POST'))['id'])
    const channels = await open(`${place.url}/api/kernels/${kernel}/channels?token=${TOKEN}`, place.ca)
    const header = { msg_id: 'a', msg_type: 'execute_request', username: '', session: 'b', version: '5.3' }
    const content = {
      code: 'print(sum(range(1000)))\nprint("ü" * 100000)',
      silent: false,
      store_history: false,
      user_expressions: {},
      allow_stdin: false,
    }
    channels.send(JSON.stringify({ header, parent_header: {}, metadata: {}, content, channel: 'shell' }))
    const printed = (): string => {
      const messages = channels.texts.map(text => JSON.parse(text) as { msg_type: string; content: { text?: string } })
      return messages.flatMap(({ msg_type: type, content: { text } }) => (type === 'stream' ? [text] : [])).join('')
    }
    // The answer and what is printed come on channels of their own, in either order.
    await until(() => channels.texts.some(text => text.includes('execute_reply')) && printed().length > 100_000, {
      what: 'the answer of the kernel',
    })
    channels.close()
    const terminal = String((await call('/api/terminals', '-X', 'POST'))['name'])
    const screen = await open(`${place.url}/terminals/websocket/${terminal}?token=${TOKEN}`, place.ca)
    screen.send(JSON.stringify(['stdin', 'echo it is $((6 * 7)).\r']))
    await until(() => screen.texts.join('').includes('it is 42.'), { what: 'the terminal' })
    screen.close()
    const page = await curl(place, `/lab?token=${TOKEN}`, '-o', '/dev/null', '-w', '%{http_code}')
    const saved = await call(
      '/api/contents/a.txt',
      '-X',
      'PUT',
      '--data',
      `@${file('body', JSON.stringify({ type: 'file', format: 'text', content: 'x'.repeat(1_000_000) }))}`,
    )
    return [hashOf(Buffer.from(printed())), printed().slice(0, 7), page, String(saved['size'])]
  },
})

/** What differs each time, and what the gateway says of its own connection. */
const OF_THE_MOMENT = /clock|ago\.|Keep-Alive/

/** 304 by either field, ranges, Vary and the compressed form: judged by REDbot. */
const caching = (): Application => {
  const folder = tempDir()
  return {
    name: 'caching by nginx, REDbot',
    programs: ['nginx', 'redbot'],
    isPlain: true,
    async start() {
      chmodSync(folder, 0o755)
      const port = await freePort()
      mkdirSync(join(folder, 'site'))
      writeFileSync(join(folder, 'site/page.html'), `<!doctype html><title>x</title><p>${'some words, '.repeat(2_000)}</p>`)
      writeFileSync(join(folder, 'site/data.bin'), bytesOf(4, 100_000))
      const lines = [
        'daemon off; worker_processes 1; events {}',
        `pid ${folder}/pid; error_log ${folder}/error.log;`,
        'http { access_log off; types { text/html html; } default_type application/octet-stream;',
        ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(each => `${each}_temp_path ${folder}/${each};`),
        `server { listen 127.0.0.1:${port}; root ${folder}/site; gzip on; gzip_vary on; gzip_proxied any; expires 1h; }`,
        '}',
      ]
      return serve('nginx', ['-c', file('nginx.conf', lines.join('\n'))], port)
    },
    async use({ url }) {
      const words = await Promise.all(['/page.html', '/data.bin'].map(path => run('redbot', ['-o', 'text', url + path])))
      return words.map(text =>
        (text.match(/^ {2}\* .*$/gm) ?? [])
          .filter(line => !OF_THE_MOMENT.test(line))
          .sort()
          .join('\n'),
      )
    },
  }
}

/** What runs by hand. */
export const LARGE: readonly (() => Application)[] = [caching, registry, s3, vite, jupyter]
