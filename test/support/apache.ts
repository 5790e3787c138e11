/** A real Apache on a free port of 127.0.0.1, with WebDAV (mod_dav) on every path. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:net'
import { onCleanUp } from './cleanup.ts'
import { programPath } from './needs.ts'
import { freePort } from './ports.ts'
import { startProcess } from './process.ts'
import { tempDir } from './temp.ts'
import { until } from './wait.ts'

/** A running server. */
export interface Apache {
  readonly port: number
  /** The folder that it serves. */
  readonly root: string
}

const MODULES = ['mpm_event', 'authz_core', 'dav', 'dav_fs']
const FOLDERS = ['/usr/lib/apache2/modules', '/usr/lib64/httpd/modules', '/usr/libexec/apache2']
/** Whom a server of root becomes. */
const NOBODY = 65_534

/** Starts a server; it is ended after the test file. @param directories  that stand below its root at the start */
export async function startApache(directories: readonly string[] = []): Promise<Apache> {
  const folder = tempDir()
  chmodSync(folder, 0o755)
  const [root, locks] = [join(folder, 'root'), join(folder, 'locks')]
  const isRoot = userInfo().uid === 0
  for (const each of [root, locks, ...directories.map(name => join(root, name))]) {
    mkdirSync(each, { recursive: true })
    if (isRoot) chownSync(each, NOBODY, NOBODY)
  }
  const modules = FOLDERS.find(each => existsSync(each)) ?? FOLDERS[0]!
  const port = await freePort()
  const lines = [
    `ServerRoot ${folder}`,
    'ServerName 127.0.0.1',
    `PidFile ${folder}/apache.pid`,
    `DefaultRuntimeDir ${folder}`,
    `Listen 127.0.0.1:${port}`,
    ...MODULES.map(name => `LoadModule ${name}_module ${modules}/mod_${name}.so`),
    ...(isRoot ? [`User #${NOBODY}`, `Group #${NOBODY}`] : []),
    'StartServers 1',
    // Not standard error, which cannot be opened where it is a socket.
    `ErrorLog ${folder}/error.log`,
    `DocumentRoot ${root}`,
    `DavLockDB ${locks}/db`,
    `<Directory ${root}>`,
    'Dav On',
    'Require all granted',
    '</Directory>',
  ]
  const config = join(folder, 'apache.conf')
  writeFileSync(config, `${lines.join('\n')}\n`)
  const server = startProcess(['-D', 'FOREGROUND', '-f', config], { program: programPath('apache2')! })
  onCleanUp(() => server.stop())
  await until(
    async () => {
      if (server.exited !== undefined) throw new Error(`apache2 ended:\n${server.output}${readFileSync(join(folder, 'error.log'), 'utf8')}`)
      return canConnect(port)
    },
    { what: `apache2 on port ${port}` },
  )
  return { port, root }
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
