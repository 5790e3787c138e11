/** The file of the service: text → configuration, or every fault with its place. */
import path from 'node:path'
import type { z } from 'zod'
import { parseHostPort } from '../../address/host-port.ts'
import { DEFAULT_LIMITS, type MailConfig, type ServiceConfig, type ServiceHosts, type StorePlace } from '../../service/config.ts'
import { ConfigError, type ConfigFault } from '../document/fault.ts'
import { validate } from '../document/validate.ts'
import { parseYaml } from '../document/yaml.ts'
import { isUrl } from '../visitors/visitors-config.ts'
import { serviceFileSchema } from './service-schema.ts'

type Source = z.infer<typeof serviceFileSchema>

const DEFAULT_PORTS = [40_000, 59_999] as const
const SSH_PORT = 22
/** The release that the seeds describe, and the oldest one that reconnects. */
const CLIENT_VERSION = 'v1.0-9-g0efd9e3'

/**
 * Parses the file of the service.
 * @param file  its path, for faults; paths in it are relative to its folder
 * @throws ConfigError CONFIG_INVALID with every fault
 */
export function parseServiceConfig(text: string, file: string): ServiceConfig {
  const document = parseYaml(text, file)
  const validated = validate(document, serviceFileSchema)
  const faults: ConfigFault[] = [...document.faults, ...validated.faults]
  if (validated.value !== undefined) {
    const { signUp = 'closed', mail, store = '', storePasswordFile, identityProviders = {}, portalProviders = [] } = validated.value
    // A sign-up that nobody can confirm has to be meant.
    if (signUp !== 'closed' && mail === undefined)
      faults.push(
        document.fault(
          ['signUp'],
          'accounts are confirmed by mail, and there is no key mail; give mail: {smtp: …, from: …}, or mail: outbox, where confirmations are files for you to hand on',
        ),
      )
    portalProviders.forEach((name, at) => {
      if (!Object.hasOwn(identityProviders, name))
        faults.push(document.fault(['portalProviders', at], 'expected the name of one of identityProviders'))
    })
    if (storePasswordFile !== undefined && !store.startsWith('postgres'))
      faults.push(document.fault(['storePasswordFile'], 'only a store of postgres://… has a password'))
  }
  if (validated.value === undefined || faults.length > 0) throw new ConfigError(faults)
  return createServiceConfig(validated.value, path.dirname(path.resolve(file)))
}

function createServiceConfig(source: Source, folder: string): ServiceConfig {
  const at = (name: string): string => path.resolve(folder, name)
  const secretsFile = at(source.secrets ?? 'state/service.key')
  const stateDirectory = path.dirname(secretsFile)
  const [from, to] = source.ports ?? DEFAULT_PORTS
  const { zone, ssh, names, identityProviders = {}, portalProviders = [], limits } = source
  return Object.freeze({
    zone,
    store: storeOf(source, at),
    secretsFile,
    stateDirectory,
    hosts: hostsOf(source),
    ssh: ssh === undefined ? undefined : { port: ssh.port, host: ssh.host },
    clientVersion: source.clientVersion ?? CLIENT_VERSION,
    downloads: source.downloads === undefined ? undefined : at(source.downloads),
    ports: { from, to },
    signUp: source.signUp ?? 'closed',
    mail: mailOf(source, stateDirectory, at),
    identityProviders: new Map(
      Object.entries(identityProviders).map(([name, provider]) => [
        name,
        {
          ...provider,
          ...('clientSecretFile' in provider && { clientSecretFile: at(provider.clientSecretFile) }),
          ...('metadata' in provider && !isUrl(provider.metadata) && { metadata: at(provider.metadata) }),
          ...('keyFile' in provider && provider.keyFile !== undefined && { keyFile: at(provider.keyFile) }),
          ...('certificateFile' in provider && provider.certificateFile !== undefined && { certificateFile: at(provider.certificateFile) }),
        },
      ]),
    ),
    portalProviders: [...new Set(portalProviders)].map(name => ({ name, title: titleOf(name, identityProviders[name]!) })),
    limits: { ...DEFAULT_LIMITS, interstitial: source.interstitial === true, ...given(limits ?? {}) },
    refusedNames: names?.refused ?? [],
    domainCheck: names?.domains ?? 'dns',
    abuse: source.abuse,
    ...(source.inspect === true && { inspect: true }),
  })
}

/** Providers that are known by name. */
const TITLES: ReadonlyMap<unknown, string> = new Map([
  ['google', 'Google'],
  ['github', 'GitHub'],
  ['facebook', 'Facebook'],
])

const titleOf = (name: string, { kind, title }: { readonly kind?: string | undefined; readonly title?: string | undefined }): string =>
  title ?? TITLES.get(kind) ?? name

/** The limits that are there. */
const given = (limits: NonNullable<Source['limits']>): Partial<ServiceConfig['limits']> =>
  Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))

function storeOf({ store = 'sqlite:state/service.db', storePasswordFile }: Source, at: (name: string) => string): StorePlace {
  const [, file] = /^sqlite:(.*)$/s.exec(store) ?? []
  if (file !== undefined) return { kind: 'sqlite', file: at(file) }
  return { kind: 'postgres', url: store, passwordFile: storePasswordFile === undefined ? undefined : at(storePasswordFile) }
}

function hostsOf({ zone, hosts = {}, ssh: door }: Source): ServiceHosts {
  const { link = [] } = hosts
  // A name that leads to this host, as all below the zone do; the zone itself need not. Of localhost, no system resolves what is below it by itself.
  const ssh = hosts.ssh ?? (door && `${zone === 'localhost' ? zone : `ssh.${zone}`}:${door.port}`)
  const place = ssh === undefined ? undefined : (parseHostPort(ssh) ?? { host: ssh, port: SSH_PORT })
  return {
    api: hosts.api ?? `api.${zone}`,
    auth: hosts.auth ?? `auth.${zone}`,
    portal: hosts.portal ?? `portal.${zone}`,
    download: hosts.download ?? `download.${zone}`,
    link: typeof link === 'string' ? [link] : link,
    ssh: place,
  }
}

function mailOf({ mail = 'outbox', zone }: Source, stateDirectory: string, at: (name: string) => string): MailConfig {
  if (mail === 'outbox') return { kind: 'outbox', directory: path.join(stateDirectory, 'outbox'), from: `gateway@${zone}` }
  const { smtp, from, passwordFile } = mail
  return { kind: 'smtp', url: smtp, from, passwordFile: passwordFile === undefined ? undefined : at(passwordFile) }
}

/** Keys that a running service cannot change. */
const FIXED = ['zone', 'store', 'secretsFile', 'hosts', 'ssh', 'abuse', 'portalProviders', 'inspect'] as const

/** The names of keys that differ and count only after a restart, as they stand in the file. */
export const fixedChanges = (before: ServiceConfig, after: ServiceConfig): readonly string[] => [
  ...FIXED.filter(key => JSON.stringify(before[key]) !== JSON.stringify(after[key])).map(key => (key === 'secretsFile' ? 'secrets' : key)),
  // An outer layer that has begun without any has no logins.
  ...(before.identityProviders.size === 0 && after.identityProviders.size > 0 ? ['identityProviders'] : []),
]
