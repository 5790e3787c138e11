/** The file of `--visitors`: text → configuration, or every fault with its place. */
import path from 'node:path'
import type { z } from 'zod'
import { messageOf } from '../../errors.ts'
import { parseHost } from '../../address/host.ts'
import type { Logo, ProviderConfig, SamlSettings, VisitorsConfig } from '../../visitors/config.ts'
import { ConfigError, type ConfigFault } from '../document/fault.ts'
import { validate } from '../document/validate.ts'
import { parseYaml } from '../document/yaml.ts'
import { listOf } from '../keys/key.ts'
import { readSamlKeys } from './saml-keys.ts'
import { isProviderName, visitorsFileSchema } from './visitors-schema.ts'

type Source = z.output<typeof visitorsFileSchema>
type ProviderSource = NonNullable<Source['providers']>[string]

/** Where those that are known by name are. */
const ISSUERS = { google: 'https://accounts.google.com', github: 'https://github.com', facebook: 'https://www.facebook.com' } as const
const TITLES = { google: 'Google', github: 'GitHub', facebook: 'Facebook' } as const
/** Attributes as the usual identity providers name them: by a word, by its OID (X.500, eduPerson), or by a URL of Microsoft's. */
const CLAIMS = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims'
const EMAIL_ATTRIBUTES = Object.freeze(['email', 'mail', 'urn:oid:0.9.2342.19200300.100.1.3', `${CLAIMS}/emailaddress`])
const NAME_ATTRIBUTES = Object.freeze([
  'displayName',
  'urn:oid:2.16.840.1.113730.3.1.241',
  'http://schemas.microsoft.com/identity/claims/displayname',
  'name',
  `${CLAIMS}/name`,
])
const GROUP_ATTRIBUTES = Object.freeze([
  'groups',
  'memberOf',
  'urn:oid:1.3.6.1.4.1.5923.1.5.1.1',
  'http://schemas.microsoft.com/ws/2008/06/identity/claims/groups',
  'http://schemas.xmlsoap.org/claims/Group',
])
const HOUR_MS = 3_600_000
const SESSION_HOURS = 8

/** Files that the file names, read by whoever follows them. */
export interface NamedFiles {
  /** A text that nobody else may read. @throws GatewayError */
  secret(file: string): string
  /** @throws GatewayError */
  text(file: string): string
  /** @throws GatewayError */
  logo(file: string): Logo
}

/** The files beside it that belong to it. */
export interface VisitorsPlaces {
  readonly keysFile: string
  readonly revokedFile: string
  /** Those with secrets, and the logo. */
  readonly named: readonly string[]
}

/**
 * Reads the file of visitors.
 * @param file  its path, for faults; paths in it are relative to its folder
 * @throws ConfigError CONFIG_INVALID with every fault
 */
export function parseVisitorsConfig(text: string, file: string, files: NamedFiles): VisitorsConfig {
  const document = parseYaml(text, file)
  const validated = validate(document, visitorsFileSchema)
  const faults: ConfigFault[] = [...document.faults, ...validated.faults]
  const source = validated.value
  if (source === undefined) throw new ConfigError(faults)
  const at = (name: string): string => path.resolve(path.dirname(path.resolve(file)), name)
  const read = <T>(place: readonly string[], reading: () => T): T | undefined => {
    try {
      return reading()
    } catch (error) {
      faults.push(document.fault(place, messageOf(error)))
      return undefined
    }
  }
  const providers = new Map<string, ProviderConfig>()
  for (const [name, provider] of Object.entries(source.providers ?? {})) {
    const place = ['providers', name]
    if (!isProviderName(name)) faults.push(document.fault(place, 'expected a short name of lower-case letters, digits and dashes'))
    if (provider.kind === 'accounts') {
      providers.set(name, accountsProviderOf(name, provider.title))
      continue
    }
    if (provider.kind === 'saml') {
      const metadata = isUrl(provider.metadata)
        ? { kind: 'url' as const, url: provider.metadata }
        : {
            kind: 'file' as const,
            place: at(provider.metadata),
            text: read([...place, 'metadata'], () => files.text(at(provider.metadata))) ?? '',
          }
      const keys = read([...place, 'keyFile'], () =>
        samlKeysOf(provider, { key: named => files.secret(at(named)), certificate: named => files.text(at(named)) }),
      )
      providers.set(name, samlProviderOf(name, provider, { authUrl: source.auth, metadata, keys }))
      continue
    }
    const secret = read([...place, 'clientSecretFile'], () => files.secret(at(provider.clientSecretFile)))
    providers.set(name, providerOf(name, provider, secret ?? ''))
  }
  const socketProviders = source.sockets === undefined ? [...providers.keys()] : listOf(source.sockets)
  for (const name of socketProviders)
    if (!providers.has(name))
      faults.push(document.fault(['sockets'], `expected the name of one of the providers, got ${JSON.stringify(name)}`))
  const { logo } = source
  const picture = logo === undefined ? undefined : read(['logo'], () => files.logo(at(logo)))
  if (faults.length > 0) throw new ConfigError(faults)
  const { keysFile, revokedFile } = placesOf(source, file)
  return Object.freeze({
    authUrl: source.auth,
    authHost: parseHost(new URL(source.auth).host).host,
    keysFile,
    revokedFile,
    name: source.name ?? 'socket-gateway',
    logo: picture,
    sessionMs: Math.round((source.sessionHours ?? SESSION_HOURS) * HOUR_MS),
    idleMs: Math.round((source.idleHours ?? 0) * HOUR_MS),
    providers,
    socketProviders: Object.freeze([...socketProviders]),
  })
}

function providerOf(name: string, source: Exclude<ProviderSource, { kind: 'saml' | 'accounts' }>, clientSecret: string): ProviderConfig {
  const { clientId, title, scopes = [] } = source
  const shared = { name, clientId, clientSecret, scopes: Object.freeze(scopes) }
  if (source.kind !== undefined && source.kind !== 'oidc')
    return Object.freeze({
      ...shared,
      kind: source.kind,
      title: title ?? TITLES[source.kind],
      issuer: source.issuer ?? ISSUERS[source.kind],
      groupsClaim: 'groups',
      keptGroups: undefined,
      keptClaims: [],
      trustsEmail: false,
    })
  const { keepGroups } = source
  return Object.freeze({
    ...shared,
    kind: 'oidc',
    title: title ?? name,
    issuer: source.issuer,
    groupsClaim: source.groupsClaim ?? 'groups',
    keptGroups: keepGroups === undefined ? undefined : new Set(keepGroups),
    keptClaims: Object.freeze(source.keepClaims ?? []),
    trustsEmail: source.trustEmail === true,
  })
}

/** Are metadata at a URL, instead of in a file? */
export const isUrl = (text: string): boolean => /^[a-z]+:\/\//i.test(text)

/** All that the other kinds have, and these do not need. */
const BARE = Object.freeze({
  clientId: '',
  clientSecret: '',
  scopes: Object.freeze([]),
  groupsClaim: 'groups',
  keptGroups: undefined,
  keptClaims: Object.freeze([]),
  trustsEmail: false,
})

const accountsProviderOf = (name: string, title = 'e-mail and password'): ProviderConfig =>
  Object.freeze({ ...BARE, name, kind: 'accounts', title, issuer: 'the service' })

function samlKeysOf(
  { keyFile, certificateFile }: Extract<ProviderSource, { kind: 'saml' }>,
  read: { readonly key: (file: string) => string; readonly certificate: (file: string) => string },
): SamlSettings['keys'] {
  if (keyFile === undefined && certificateFile === undefined) return undefined
  if (keyFile === undefined || certificateFile === undefined) throw new Error('expected keyFile and certificateFile, or none of them')
  return readSamlKeys(read.key(keyFile), read.certificate(certificateFile))
}

function samlProviderOf(
  name: string,
  {
    title,
    entityId,
    metadata: place,
    emailAttribute,
    nameAttribute,
    groupsAttribute,
    landing,
    ...source
  }: Extract<ProviderSource, { kind: 'saml' }>,
  {
    authUrl,
    metadata,
    keys,
  }: { readonly authUrl: string; readonly metadata: SamlSettings['metadata']; readonly keys: SamlSettings['keys'] },
): ProviderConfig {
  const { keepGroups, keepClaims = [] } = source
  return Object.freeze({
    ...BARE,
    name,
    kind: 'saml',
    title: title ?? name,
    issuer: place,
    keptGroups: keepGroups === undefined ? undefined : new Set(keepGroups),
    keptClaims: Object.freeze(keepClaims),
    saml: Object.freeze({
      entityId: entityId ?? `${authUrl}/saml/${name}`,
      metadata: Object.freeze(metadata),
      emailNames: emailAttribute === undefined ? EMAIL_ATTRIBUTES : [emailAttribute],
      nameNames: nameAttribute === undefined ? NAME_ATTRIBUTES : [nameAttribute],
      groupNames: groupsAttribute === undefined ? GROUP_ATTRIBUTES : [groupsAttribute],
      landing,
      ...(keys !== undefined && { keys }),
    }),
  })
}

/** Files beside the file: they bear its name where it does not say otherwise. */
function placesOf(source: Pick<Source, 'keys' | 'revoked'>, file: string): Pick<VisitorsPlaces, 'keysFile' | 'revokedFile'> {
  const { dir, name } = path.parse(path.resolve(file))
  return {
    keysFile: path.resolve(dir, source.keys ?? `${name}.key`),
    revokedFile: path.resolve(dir, source.revoked ?? `${name}.revoked`),
  }
}

/** Finds the files that belong to it, also of a file that is wrong otherwise. */
export function visitorsPlaces(text: string, file: string): VisitorsPlaces {
  const folder = path.dirname(path.resolve(file))
  try {
    const source = validate(parseYaml(text, file), visitorsFileSchema).value
    if (source === undefined) return { ...placesOf({}, file), named: [] }
    const secrets = Object.values(source.providers ?? {}).flatMap(provider => {
      if (provider.kind === 'accounts') return []
      if (provider.kind !== 'saml') return [provider.clientSecretFile]
      const all = [isUrl(provider.metadata) ? undefined : provider.metadata, provider.keyFile, provider.certificateFile]
      return all.filter(name => name !== undefined)
    })
    const named = [...secrets, ...(source.logo === undefined ? [] : [source.logo])].map(name => path.resolve(folder, name))
    return { ...placesOf(source, file), named }
  } catch {
    return { ...placesOf({}, file), named: [] }
  }
}
