/** Tests that need a program of the system: skipped with a hint where it is absent, failing where CI promised to install it. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Programs whose Debian package has another name. */
const PACKAGES: Readonly<Record<string, string>> = {
  h2load: 'nghttp2-client',
  dot: 'graphviz',
  docker: 'docker.io',
  'systemd-analyze': 'systemd',
  'systemd-notify': 'systemd',
  'systemd-socket-activate': 'systemd',
  nc: 'netcat-openbsd',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  scp: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  psql: 'postgresql-client',
  pg_ctlcluster: 'postgresql',
  setpriv: 'util-linux',
  faketime: 'faketime',
  script: 'bsdutils',
  'redis-cli': 'redis-tools',
  'pebble-challtestsrv': 'pebble',
  named: 'bind9',
}

// Servers live in sbin, which is not in the PATH of ordinary users.
const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** The full path of `program`, or undefined where it is absent. */
export const programPath = (program: string): string | undefined =>
  directories
    .map(directory => join(directory, program))
    .find(path => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

const hint = (program: string): string => `${program} is absent: apt-get install ${PACKAGES[program] ?? program}`

/**
 * Is `program` here? Where it is not, a line on standard error names the Debian package.
 * @throws Error when it is absent and CI=true
 */
export const needs = (program: string): boolean => {
  if (programPath(program) !== undefined) return true
  if (process.env['CI'] === 'true') throw new Error(hint(program))
  process.stderr.write(`skipped, ${hint(program)}\n`)
  return false
}

/** A test that runs only where all `programs` are here; see `needs`. */
export const testWith = (programs: readonly string[], name: string, body: () => Promise<void>, timeoutMs?: number): void => {
  const absent = programs.filter(program => programPath(program) === undefined)
  if (absent.length === 0) {
    test(name, body, timeoutMs)
  } else if (process.env['CI'] === 'true') {
    test(name, () => {
      throw new Error(absent.map(hint).join('; '))
    })
  } else {
    process.stderr.write(`skipped "${name}", ${absent.map(hint).join('; ')}\n`)
    const { skip } = test
    skip(`${name} (${absent.map(hint).join('; ')})`, body)
  }
}
