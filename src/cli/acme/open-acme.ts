import { DEFAULT_DIRECTORY, type AuthorityOptions, type DnsRecords } from '../../acme/acme-options.ts'
import { Authority } from '../../acme/authority.ts'
import { CertificateFolder } from '../../acme/certificate-folder.ts'
import { CertificateKeeper, type CertificateKeeperOptions } from '../../acme/certificate-keeper.ts'
import type { CertificateExchange } from '../../acme/exchange.ts'
import { DnsHook } from '../../acme/dns/dns-hook.ts'
import { DnsUpdate } from '../../acme/dns/dns-update.ts'
import { parseTsigKey } from '../../acme/dns/tsig.ts'
import { KeptExchange, type CertificateShelf } from '../../acme/kept-exchange.ts'
import { PendingChallenges } from '../../acme/pending-challenges.ts'
import { SharedAnswers } from '../../acme/shared-answers.ts'
import { canBeCertified, namesIn } from '../../acme/wanted-names.ts'
import { GatewayError } from '../../errors.ts'
import type { EventSink } from '../../events/event-sink.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { readPrivateKeyObject } from '../../identity/private-key.ts'
import type { CertificatesAnswer, CertificatesRequest } from '../../service-host/kept-certificates.ts'
import type { RouteTable } from '../../route/table.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CertificateStore } from '../../tls/certificate-store.ts'
import type { ChallengeAnswers } from '../../tls/challenge-answers.ts'
import type { CliContext } from '../command/context.ts'
import { certificateFile, NODE_KEY_FILE, readOptionFile } from '../command/option-file.ts'
import type { ValuesOf } from '../command/option.ts'
import { acmeFolderOf, readBindingKey, readSecret } from './acme-files.ts'
import type { acmeOptions } from './acme-options.ts'

/** Values of an outer layer that orders certificates. */
export type AcmeValues = ValuesOf<typeof acmeOptions> & {
  readonly acme: string
  readonly state: string | undefined
  readonly 'tls-certificate': readonly string[]
  readonly 'app-http-port': number | undefined
  readonly cluster?: string | undefined
  readonly 'cluster-name'?: string
  readonly 'node-key'?: string | undefined
}

/** The parts of an outer layer that say for what certificates are ordered. */
export interface AcmeParts {
  readonly table: { readonly table: RouteTable; onChange?(listener: () => void): () => void } | undefined
  readonly service:
    | {
        readonly names: { readonly hosts: readonly string[]; readonly zone: string }
        readonly directory: { hasSocket(host: string): boolean }
        /** Finds and keeps certificates in its database; undefined: they are kept in the folder alone. */
        readonly certificates?: ((request: CertificatesRequest) => Promise<CertificatesAnswer>) | undefined
      }
    | undefined
  /** Of the app port. */
  readonly store: CertificateStore
  readonly events: EventSink
  readonly log: Log
  /** The default suits everything but tests. */
  readonly timing?: Partial<Pick<CertificateKeeperOptions, 'nowMs' | 'lookMs' | 'pauseScale'>>
}

/** A process among several with the same ports, of which one orders at a time. */
export interface AcmeWorker {
  readonly number: number
  /** Resolves when this one may order; the first alone ever may. */
  readonly lead: Promise<void>
  /** Tells the one that orders of a name that a client has asked this one for. */
  readonly tellMissing: (serverName: string) => void
  /** Has `listener` hear of names that clients have asked the others for. */
  readonly hearMissing: (listener: (serverName: string) => void) => void
}

/** Orders of certificates, prepared. */
export interface OpenAcme<Values = unknown> {
  /** With the folder among the certificates. */
  readonly options: Values
  readonly challenges: ChallengeAnswers
  /** A client asks for a name that no certificate is for. */
  readonly onMissing: (serverName: string) => void
  /** Of the layer. */
  prepare(parts: AcmeParts): void
  /** The ports are open. */
  start(): Promise<void>
  close(): Promise<void>
}

const DNS_KEY_FILE = { option: '--acme-dns-key', expected: 'a key of the DNS server', remedy: 'make one with tsig-keygen' }
const CA_FILE = certificateFile('--acme-directory-ca', 'of the authorities to trust')

/** Makes the folder before processes that share it begin. @throws GatewayError FILE_UNREADABLE */
export async function prepareFolder(values: AcmeValues): Promise<void> {
  const path = acmeFolderOf(values)
  const folder = new CertificateFolder(path)
  await folder.open(values['tls-certificate'].length === 0, Date.now())
  await folder.accountKey()
  await new SharedAnswers(path).clear()
}

/**
 * Reads what the options name, and makes the folder.
 * @param worker  its part among several processes with the same ports; undefined: it is alone
 * @throws GatewayError USAGE, FILE_UNREADABLE, KEY_INVALID
 */
export async function openAcme<Values extends AcmeValues>(
  values: Values,
  { env }: Pick<CliContext, 'env'>,
  log: Log,
  worker?: AcmeWorker,
): Promise<OpenAcme<Values>> {
  const authority = await authorityOf(values)
  const folder = new CertificateFolder(acmeFolderOf(values))
  await folder.open(values['tls-certificate'].length === 0, Date.now())
  const accountKey = await folder.accountKey()
  const exchange = await exchangeOf(values, log)
  const challenges = new PendingChallenges(worker === undefined ? exchange : new SharedAnswers(folder.path))
  const records = await dnsOf(values, env)
  const stop = new AbortController()
  let keeper: CertificateKeeper | undefined
  let demand = (_name: string): void => undefined
  let isClosed = false
  let kept = exchange
  let prepared: AcmeParts['table']
  let leave: (() => void) | undefined
  return {
    options: { ...values, 'tls-certificate': [...values['tls-certificate'], folder.certificates] },
    challenges,
    onMissing: name => demand(name),
    prepare: ({ table, service, store, events, log, timing }) => {
      prepared = table
      if (worker !== undefined)
        demand = name => {
          if (canBeCertified(name) && service?.directory.hasSocket(name) === true) worker.tellMissing(name)
        }
      if (worker !== undefined && worker.number !== 1) return
      const { hosts = [], zone } = service?.names ?? {}
      if (service?.certificates !== undefined) kept = new KeptExchange(shelfOf(service.certificates), exchange, stop.signal, log)
      const names = (): readonly string[] => [
        ...(table === undefined ? [] : namesIn(table.table)),
        ...values['acme-name'],
        ...hosts,
        ...(zone === undefined || records === undefined ? [] : [`*.${zone}`]),
      ]
      // A port with TLS and no certificate refuses everybody, and nothing else says why.
      const hasBlind = table?.table.hasBlindNames === true
      if (service === undefined && !hasBlind && !names().some(canBeCertified))
        log.warn(
          {},
          'there is no name to order a certificate for: authorities certify neither localhost nor addresses, and "*" is no name; give a target the public name of this host, or --acme-name',
        )
      keeper = new CertificateKeeper({
        folder,
        authority: new Authority(authority, accountKey, stop.signal),
        authorityName: new URL(authority.directory).host,
        names,
        exists: host => service?.directory.hasSocket(host) === true,
        isGiven: name =>
          store.pairs.some(
            ({ source, names, covers }) => !source.startsWith(folder.certificates) && (names.includes(name) || covers(name)),
          ),
        challenges,
        exchange: kept,
        hasHttp: values['app-http-port'] !== undefined,
        dns: records === undefined ? undefined : { records, waitMs: values['acme-dns-wait'] },
        onChange: () => store.lookNow(),
        events,
        log,
        nowMs: Date.now,
        ...timing,
      })
    },
    start: async () => {
      await kept?.start()
      const orders = keeper
      if (orders === undefined) return
      const begin = async (): Promise<void> => {
        demand = orders.demand
        worker?.hearMissing(orders.demand)
        leave = prepared?.onChange?.(orders.namesChanged)
        await orders.start()
      }
      if (worker === undefined) return begin()
      // An earlier one of this number may be ordering still, until it has said that it does not any more.
      const fail = (thrown: unknown): void => log.error({ err: thrown }, 'certificates are not looked after')
      void worker.lead.then(() => (isClosed ? undefined : begin())).catch(fail)
    },
    close: async () => {
      isClosed = true
      leave?.()
      stop.abort()
      await keeper?.close()
      kept?.close()
    },
  }
}

/** The database of the service as a place that keeps certificates. */
const shelfOf = (ask: (request: CertificatesRequest) => Promise<CertificatesAnswer>): CertificateShelf => ({
  find: async name => {
    const answer = await ask({ kind: 'find', name })
    if (answer.kind === 'found') return { cert: answer.cert, key: answer.key }
    return answer.kind === 'away' ? answer : undefined
  },
  keep: async (name, { cert, key }, expiresAt) => {
    const answer = await ask({ kind: 'keep', name, cert, key, expiresAt })
    return answer.kind === 'away' ? answer : 'kept'
  },
})

/** The part that nodes of a cluster share; without one, nothing of it is loaded. */
async function exchangeOf(
  { cluster, 'cluster-name': name = 'socket-gateway', 'node-key': keyFile }: AcmeValues,
  log: Log,
): Promise<CertificateExchange | undefined> {
  // What a cluster needs besides is said where it is opened.
  if (cluster === undefined || keyFile === undefined) return undefined
  const [{ RedisExchange }, { parseRedisUrl }] = await Promise.all([
    import('../../acme/redis/redis-exchange.ts'),
    import('../../cluster/redis/redis-url.ts'),
  ])
  const key = await readOptionFile(keyFile, NODE_KEY_FILE, readPrivateKeyObject)
  return new RedisExchange({ place: parseRedisUrl(cluster), name, key, log, nowMs: Date.now })
}

async function authorityOf(values: AcmeValues): Promise<AuthorityOptions> {
  const { 'acme-directory-ca': caFile, 'acme-eab-kid': kid, 'acme-eab-key': keyFile } = values
  if ((kid === undefined) !== (keyFile === undefined))
    throw new GatewayError('USAGE', '--acme-eab-kid and --acme-eab-key: give both, as the authority has given them to you')
  return {
    directory: values['acme-directory'] ?? DEFAULT_DIRECTORY,
    ca: caFile === undefined ? undefined : await readOptionFile(caFile, CA_FILE, file => readCertificates(file)),
    email: values.acme,
    binding: kid === undefined || keyFile === undefined ? undefined : { kid, key: await readBindingKey(keyFile) },
  }
}

async function dnsOf(values: AcmeValues, env: CliContext['env']): Promise<DnsRecords | undefined> {
  const { 'acme-dns-hook': hook, 'acme-dns-server': server, 'acme-dns-key': keyFile } = values
  if (hook !== undefined && server !== undefined) throw new GatewayError('USAGE', '--acme-dns-hook and --acme-dns-server: give one of them')
  if (keyFile !== undefined && server === undefined) throw new GatewayError('USAGE', '--acme-dns-key needs --acme-dns-server')
  if (hook !== undefined) return new DnsHook(hook, env)
  if (server === undefined) return undefined
  return new DnsUpdate(
    server,
    keyFile === undefined ? undefined : parseTsigKey(await readSecret(keyFile, DNS_KEY_FILE), `--acme-dns-key ${keyFile}`),
  )
}
