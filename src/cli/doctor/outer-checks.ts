import { readFile } from 'node:fs/promises'
import { lintTargets } from '../../config/lint.ts'
import { parseTargets } from '../../config/targets.ts'
import { messageOf } from '../../errors.ts'
import { plural } from '../../telemetry/plural.ts'
import { askStatus } from '../command/ask-status.ts'
import { connectedTo, unservedOf, unservedText } from '../command/unserved.ts'
import { KeyFiles } from '../../identity/public-keys.ts'
import type { RouteTable } from '../../route/table.ts'
import type { CertificateStore } from '../../tls/certificate-store.ts'
import { fail, ok, warn, type Finding } from './finding.ts'
import { answersHealthy } from './network.ts'
import { checkPorts, checkTcpPorts, type ListeningPort } from './port-checks.ts'

/** The settings that an outer layer would be started with, as far as they are known. */
export interface OuterSetup {
  readonly publicKeys: readonly string[]
  readonly targets: string | undefined
  /** The number of targets in the command line: whoever has read it has checked them. */
  readonly namedTargets: number
  /** Keys come by invitations. */
  readonly isByInvitation: boolean
  readonly linkNames: readonly string[]
  /** Without those of the targets file. */
  readonly ports: readonly ListeningPort[]
  /** Does the app port have a certificate, which serves TCP ports as well? */
  readonly hasCertificate: boolean
  /** Asks whether a layer runs there already. */
  readonly socketPort: number
  /** URL of its admin port, which ends in a slash; undefined: it has none. */
  readonly admin: string | undefined
  /** Makes the stores of certificates, by port. @throws GatewayError USAGE for options that do not fit together */
  readonly certificates: () => Readonly<Record<'app' | 'socket', CertificateStore | undefined>>
}

/** The checks of an outer layer, in the order in which it needs things. */
export async function* checkOuter(facts: OuterSetup): AsyncGenerator<Finding> {
  if (facts.publicKeys.length === 0 && facts.isByInvitation) yield ok('public keys', 'those of inner layers that join by --invite')
  else if (facts.publicKeys.length === 0) yield warn('public keys', 'not given', 'add --public-key to check them')
  else yield* checkKeys(facts.publicKeys)
  let table: RouteTable | undefined
  if (facts.targets === undefined && facts.namedTargets > 0) yield ok('targets', `${plural(facts.namedTargets, 'target')} by --target`)
  else if (facts.targets === undefined) yield warn('targets', 'not given', 'add --targets to check the file')
  else table = yield* checkTargets(facts.targets)
  if (facts.linkNames.length === 0)
    yield warn('link name', 'proofs of identity may be for any outer layer', 'add --link-name HOST, as inner layers dial this one')
  const hasSocketTls = yield* checkCertificates(facts.certificates)
  const isRunning = await answersHealthy(facts.socketPort, hasSocketTls)
  if (table !== undefined && isRunning && facts.admin !== undefined) yield* checkServed(table, facts.admin, facts.targets!)
  const tcp = yield* checkTcpPorts(table?.tcp ?? [], facts.hasCertificate)
  yield* checkPorts([...facts.ports, ...tcp], isRunning)
}

/** Targets that none of the inner layers serves that are connected now. The admin port may want a password, which is not asked for here. */
async function* checkServed(table: RouteTable, admin: string, file: string): AsyncGenerator<Finding> {
  const answer = await askStatus(admin, undefined).catch(() => undefined)
  const connected = answer === undefined ? undefined : connectedTo(answer.status)
  if (connected === undefined) return
  for (const each of unservedOf(table, connected)) {
    const [detail = '', remedy] = unservedText(each, connected).split('; ')
    yield warn('inner layers', `${file}:${each.line}: ${each.name} ${detail}`, remedy ?? '')
  }
}

async function* checkKeys(values: readonly string[]): AsyncGenerator<Finding> {
  let files: KeyFiles | undefined
  try {
    files = new KeyFiles(values)
    const registry = await files.start()
    for (const fault of files.faults) yield fail('public keys', fault.message, 'until then this key is not in force')
    if (registry.size === 0) yield fail('public keys', 'none is in force', 'put the certificate of an inner layer there')
    for (const { kid, identifiers } of registry) {
      if (identifiers === undefined)
        yield warn('public keys', `key ${kid} may claim any identifier`, 'bind it: --public-key IDENTIFIER=FILE')
      else yield ok('public keys', `key ${kid} for ${identifiers.join(', ')}`)
    }
  } catch (error) {
    yield fail('public keys', messageOf(error), 'give the certificate that "socket-gateway certificates" has made')
  } finally {
    await files?.close()
  }
}

/** @returns the table, when the file is valid */
async function* checkTargets(file: string): AsyncGenerator<Finding, RouteTable | undefined> {
  let table: RouteTable
  try {
    table = parseTargets(await readFile(file, 'utf8'), file)
  } catch (error) {
    const [first = '', ...more] = (error instanceof Error ? error.message : String(error)).split('\n')
    const rest = more.length === 0 ? '' : ` (and ${more.length} more)`
    yield fail(
      'targets',
      `${first.includes(file) ? '' : `${file}: `}${first}${rest}`,
      `see all of it with: socket-gateway targets check ${file}`,
    )
    return undefined
  }
  yield ok('targets', `${file}: ${plural(table.targets.length, 'target')}`)
  for (const { line, target, message } of lintTargets(table))
    yield warn('targets', `${file}:${line}: ${target}: ${message}`, 'say it in the file if it is meant')
  return table
}

/** A certificate that ends within this time is worth a word, milliseconds. */
const SOON_MS = 14 * 86_400_000

/** @returns whether the socket port speaks TLS */
async function* checkCertificates(create: OuterSetup['certificates']): AsyncGenerator<Finding, boolean> {
  let stores: ReturnType<typeof create>
  try {
    stores = create()
  } catch (error) {
    yield fail('TLS', messageOf(error), 'correct these options')
    return false
  }
  for (const [port, store] of Object.entries(stores)) if (store !== undefined) yield* checkStore(`${port} TLS`, store)
  return stores.socket !== undefined
}

async function* checkStore(check: string, store: CertificateStore): AsyncGenerator<Finding> {
  try {
    await store.start()
    for (const fault of store.faults)
      yield fail(check, fault.message, 'until then the last good certificate is in force, or none for its names')
    for (const { source, names, notAfter } of store.pairs) {
      const text = `${source}: for ${names.join(', ')}, until ${new Date(notAfter).toISOString().slice(0, 10)}`
      yield notAfter - Date.now() < SOON_MS
        ? warn(check, text, 'renew it soon; the files are watched, no restart is needed')
        : ok(check, text)
    }
  } catch (error) {
    yield fail(check, messageOf(error), 'give a certificate with its chain and its key, both in PEM')
  } finally {
    await store.close()
  }
}
