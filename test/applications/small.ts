/** Applications that are small enough for each change: git over HTTP, socket.io by polling and by WebSocket. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { bytesOf, hashOf } from '../support/random.ts'
import { freePort, listen } from '../support/ports.ts'
import { programPath } from '../support/needs.ts'
import { startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { file, run, type Application, type Place } from './application.ts'

/** Of nobody: no names, no settings, no questions. */
const GIT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  // Nothing is kept: no waiting for a disk, and no tidying up.
  ...Object.fromEntries(
    ['core.fsync=none', 'gc.auto=0', 'pack.threads=1', 'core.compression=0'].flatMap((setting, index) => [
      [`GIT_CONFIG_KEY_${index}`, setting.split('=')[0]!],
      [`GIT_CONFIG_VALUE_${index}`, setting.split('=')[1]!],
    ]),
  ),
  GIT_CONFIG_COUNT: '4',
  ...Object.fromEntries(
    ['AUTHOR', 'COMMITTER'].flatMap(who => [
      [`GIT_${who}_NAME`, 'a'],
      [`GIT_${who}_EMAIL`, 'a@example.com'],
      [`GIT_${who}_DATE`, '2026-11-28T00:00:00Z'],
    ]),
  ),
}
const BACKEND = '/usr/lib/git-core/git-http-backend'
const BIG = 3_000_000

/** A push of 3 MB in chunks, a clone, a fetch: by git's smart protocol, from lighttpd with git-http-backend. */
const git = (): Application => {
  const root = tempDir()
  let pushes = 0
  const start = async (): Promise<number> => {
    chmodSync(root, 0o755)
    const port = await freePort()
    const config = file(
      'lighttpd.conf',
      [
        'server.modules = ("mod_cgi", "mod_alias", "mod_setenv")',
        'server.bind = "127.0.0.1"',
        `server.port = ${port}`,
        `server.document-root = "${root}"`,
        `server.upload-dirs = ("${tempDir()}")`,
        `alias.url = ("/git" => "${BACKEND}")`,
        `setenv.set-environment = ("GIT_PROJECT_ROOT" => "${root}", "GIT_HTTP_EXPORT_ALL" => "1", "REMOTE_USER" => "a")`,
        'cgi.assign = ("" => "")',
        '',
      ].join('\n'),
    )
    const server = startProcess(['-D', '-f', config], { program: programPath('lighttpd')! })
    onCleanUp(() => server.stop())
    await until(async () => (await fetch(`http://127.0.0.1:${port}/none`)).status > 0, { what: `lighttpd: ${server.output}` })
    return port
  }
  const use = async ({ url, ca }: Place): Promise<string[]> => {
    const name = `repository-${pushes++}.git`
    await run('git', ['init', '-q', '--bare', '-b', 'main', join(root, name)], { env: GIT })
    const [work, env] = [tempDir(), { ...GIT, GIT_SSL_CAINFO: ca }]
    const here = (...args: string[]): Promise<string> => run('git', args, { env, cwd: work })
    await here('init', '-q', '-b', 'main')
    mkdirSync(join(work, 'a b'))
    writeFileSync(join(work, 'a b', 'big'), bytesOf(7, BIG))
    await here('add', '.')
    await here('commit', '-qm', 'first')
    // More than http.postBuffer: in chunks.
    await here('push', '-q', `${url}/git/${name}`, 'main')
    const copy = join(tempDir(), 'copy')
    await run('git', ['clone', '-q', `${url}/git/${name}`, copy], { env })
    writeFileSync(join(work, 'second'), 'x')
    await here('add', '.')
    await here('commit', '-qm', 'second')
    await here('push', '-q', `${url}/git/${name}`, 'main:main', 'main:other')
    await run('git', ['fetch', '-q'], { env, cwd: copy })
    const refs = await run('git', ['for-each-ref', '--format=%(objectname) %(refname)', 'refs/remotes'], { env, cwd: copy })
    const shallow = join(tempDir(), 'shallow')
    await run('git', ['-c', 'protocol.version=2', 'clone', '-q', '--depth', '1', `${url}/git/${name}`, shallow], { env })
    const log = await run('git', ['log', '--format=%H'], { env, cwd: shallow })
    return [refs, log, hashOf(readFileSync(join(copy, 'a b', 'big'))), await run('git', ['fsck', '--full'], { env, cwd: copy })]
  }
  return { name: 'git over HTTP (lighttpd, git-http-backend)', programs: ['git', 'lighttpd'], start, use }
}

/** Polling alone, polling that becomes a WebSocket, and a WebSocket alone: events with answers, binary, rooms. */
const socketIo = (): Application => {
  const start = async (): Promise<number> => {
    const server = createServer()
    const app = new Server(server, { maxHttpBufferSize: 4_000_000 })
    app.on('connection', socket => {
      socket.on('echo', (data: Buffer, answer: (data: Buffer) => void) => answer(data))
      socket.on('many', (count: number) => {
        for (let i = 0; i < count; i++) socket.emit('one', i)
      })
    })
    onCleanUp(() => app.close())
    return listen(server)
  }
  const use = async ({ url, ca }: Place): Promise<string[]> => {
    const said: string[] = []
    for (const transports of [['polling'], ['polling', 'websocket'], ['websocket']]) {
      const socket = io(url, { transports, ca: readFileSync(ca, 'utf8'), forceNew: true, reconnection: false, upgrade: true })
      const numbers: number[] = []
      socket.on('one', (number: number) => numbers.push(number))
      await new Promise<void>((resolve, reject) => void socket.once('connect', resolve).once('connect_error', reject))
      if (transports.length === 2) await until(() => socket.io.engine.transport.name === 'websocket', { what: 'the WebSocket' })
      const bytes = bytesOf(3, 1_000_000)
      const back = (await socket.timeout(60_000).emitWithAck('echo', bytes)) as Buffer
      socket.emit('many', 100)
      await until(() => numbers.length === 100, { what: 'a hundred events' })
      said.push(`${socket.io.engine.transport.name} ${hashOf(Buffer.from(back)) === hashOf(bytes)} ${numbers.join()}`)
      socket.disconnect()
    }
    return said
  }
  return { name: 'socket.io (polling, upgrade, WebSocket)', programs: [], start, use }
}

/** What runs with each change. */
export const SMALL: readonly (() => Application)[] = [git, socketIo]
