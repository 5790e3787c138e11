/** A real PostgreSQL server on a free port of 127.0.0.1 that trusts everybody; never as root, which it refuses. */
import { existsSync, chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { onCleanUp } from './cleanup.ts'
import { programPath } from './needs.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

/** Programs that tests with a server need: `pg_ctlcluster` comes with the Debian package of the server. */
export const POSTGRES_PROGRAMS = ['psql', 'pg_ctlcluster', 'setpriv'] as const

const DIRECTORY = '/usr/lib/postgresql'

/** Where Debian keeps the programs of the server, by version. */
const binaries = (): string => {
  const [newest] = existsSync(DIRECTORY) ? readdirSync(DIRECTORY).sort((a, b) => Number(b) - Number(a)) : []
  return join(DIRECTORY, newest ?? '', 'bin')
}

const idOf = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))

/** A server that can be stopped and started again, with what it holds. */
export interface Postgres {
  readonly port: number
  start(): Promise<void>
  /** Ends it at once, and every connection with it. */
  stop(): Promise<void>
}

/** Starts a server with the superuser `postgres`; resolves to its port. It is ended after the test file. */
export const startPostgres = async (): Promise<number> => {
  const postgres = await createPostgres()
  await postgres.start()
  return postgres.port
}

/** Starts a program of the server, as whoever may; it replaces itself by that, so that a signal reaches it. */
const startProgram = (program: string, args: readonly string[], directory: string): RunningProcess =>
  userInfo().uid === 0
    ? startProcess(['--reuid=postgres', '--regid=postgres', '--clear-groups', join(binaries(), program), ...args], {
        program: programPath('setpriv')!,
        cwd: directory,
      })
    : startProcess(args, { program: join(binaries(), program), cwd: directory })

const giveToServer = (directory: string): void => {
  if (userInfo().uid === 0) chownSync(directory, idOf('-u'), idOf('-g'))
}

const expectSuccess = async (running: RunningProcess, name: string): Promise<void> => {
  const { code } = await running.exit
  if (code !== 0) throw new Error(`${name} ended with ${String(code)}:\n${running.output}`)
}

/** Makes what all servers of this process begin with; it goes with the process. */
const makeTemplate = async (): Promise<string> => {
  const directory = mkdtempSync(join(tmpdir(), 'socket-gateway-postgres-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  giveToServer(directory)
  const data = join(directory, 'data')
  await expectSuccess(
    startProgram('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C'], directory),
    'initdb',
  )
  return data
}

let template: Promise<string> | undefined

/** The folder of an empty server, made once: initdb computes more than twenty times as long as it takes to copy what it has made. */
const templateData = (): Promise<string> => {
  template ??= makeTemplate().catch((error: unknown) => {
    template = undefined
    throw error
  })
  return template
}

/** Makes an empty server that is not started yet. */
export const createPostgres = async (): Promise<Postgres> => {
  const directory = tempDir()
  giveToServer(directory)
  const data = join(directory, 'data')
  await expectSuccess(startProcess(['-a', await templateData(), data], { program: 'cp', cwd: directory }), 'cp')
  const port = await freePort()
  const settings = ['fsync=off', 'shared_buffers=8MB', 'max_wal_senders=0', 'listen_addresses=127.0.0.1'].flatMap(setting => [
    '-c',
    setting,
  ])
  let server: RunningProcess | undefined
  const stop = async (): Promise<void> => {
    await server?.stop('SIGINT')
  }
  onCleanUp(stop)
  return {
    port,
    start: async () => {
      server = startProgram('postgres', ['-D', data, '-p', String(port), '-k', directory, ...settings], directory)
      await server.waitForLine(/database system is ready to accept connections/)
    },
    stop,
  }
}
