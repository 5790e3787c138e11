/** A real OpenSSH server on a free port, with keys of its own: root logs in as root, everybody else as themselves. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { onCleanUp } from './cleanup.ts'
import { programPath } from './needs.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

/** Programs that tests with a server need. */
export const SSH_PROGRAMS = ['sshd', 'ssh', 'scp', 'ssh-keygen'] as const

/** A running server. */
export interface Sshd {
  readonly port: number
  /** `USER@127.0.0.1` of the account that may log in. */
  readonly account: string
  /** Options for `ssh` and `scp`; no port among them. */
  readonly options: readonly string[]
}

const run = async (program: string, args: readonly string[]): Promise<void> => {
  const child = startProcess(args, { program: programPath(program)! })
  const { code } = await child.exit
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}:\n${child.output}`)
}

/** Starts a server; it is ended after the test file. */
export const startSshd = async (): Promise<Sshd> => {
  const directory = tempDir()
  const [hostKey, userKey, config] = ['host_key', 'user_key', 'sshd_config'].map(name => join(directory, name)) as [string, string, string]
  for (const key of [hostKey, userKey]) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const authorized = join(directory, 'authorized_keys')
  writeFileSync(authorized, readFileSync(`${userKey}.pub`))
  chmodSync(userKey, 0o600)
  const port = await freePort()
  const { username, uid } = userInfo()
  // A server of root keeps its unprivileged part in there; the package makes it when its own server starts.
  if (uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorized}`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PrintMotd no',
    'PrintLastLog no',
    'MaxStartups 100',
    'Subsystem sftp internal-sftp',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const server = startProcess(['-D', '-e', '-f', config], { program: programPath('sshd')! })
  await server.waitForLine(/Server listening on 127\.0\.0\.1/)
  onCleanUp(() => server.stop())
  const known = `UserKnownHostsFile=${join(directory, 'known_hosts')}`
  const options = ['IdentitiesOnly=yes', 'BatchMode=yes', 'StrictHostKeyChecking=no', 'LogLevel=ERROR', known].flatMap(option => [
    '-o',
    option,
  ])
  return { port, account: `${username}@127.0.0.1`, options: ['-F', '/dev/null', '-i', userKey, ...options] }
}

/** Starts a program that is installed, to be awaited. */
export const startTool = (program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningProcess =>
  startProcess(args, { program: programPath(program)!, env })
