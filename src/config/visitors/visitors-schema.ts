/** The shape of the file of `--visitors`. Messages start with "expected"; what was got instead is added where the place is known. */
import { z } from 'zod'
import { oneOrMore, providerName } from '../keys/access.ts'
import { file, flag, isSafeUrl, text } from '../keys/parts.ts'

const AUTH = 'expected the URL of the auth host, without a path, such as https://auth.example.com'
const auth = text(AUTH)
  .refine(value => isSafeUrl(value) && new URL(value).pathname === '/', { error: AUTH })
  .transform(value => new URL(value).origin)

const URL_OF = 'expected a URL such as https://accounts.example.com (http only to this machine)'
const url = text(URL_OF).refine(isSafeUrl, { error: URL_OF })
const CLIENT = 'expected the id of this client, as the provider has given it'
const SCOPE = 'expected a scope such as groups'
const TITLE = 'expected a text of at most 100 characters'
const title = text(TITLE).min(1, { error: TITLE }).max(100, { error: TITLE })
const CLAIM = 'expected the name of a claim'

/** The keys that every provider has. */
const shared = {
  clientId: text(CLIENT).min(1, { error: CLIENT }),
  clientSecretFile: file,
  title: title.optional(),
  scopes: z.array(text(SCOPE).regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: SCOPE }), { error: 'expected a list of scopes' }).optional(),
}

/** OpenID Connect. */
const oidc = z.strictObject(
  {
    kind: z.literal('oidc').optional(),
    issuer: url,
    ...shared,
    groupsClaim: text(CLAIM).optional(),
    keepGroups: z.array(text('expected a group'), { error: 'expected a list of groups' }).optional(),
    keepClaims: z.array(text(CLAIM), { error: 'expected a list of claims' }).max(20, { error: 'expected at most 20 claims' }).optional(),
    trustEmail: flag.optional(),
  },
  { error: 'expected a map with issuer, clientId and clientSecretFile' },
)

/** Those that are known by name. */
const known = z.strictObject(
  {
    kind: z.literal(['google', 'github', 'facebook'], { error: 'expected oidc, google, github, facebook, saml or accounts' }),
    issuer: url.optional(),
    ...shared,
  },
  { error: 'expected a map with kind, clientId and clientSecretFile' },
)

const METADATA = 'expected a file with the metadata of the identity provider, or their https URL'
const isMetadataUrl = (value: string): boolean => {
  if (!URL.canParse(value)) return false
  const { origin, username, password, hash } = new URL(value)
  return username === '' && password === '' && hash === '' && isSafeUrl(origin)
}
const ATTRIBUTE = 'expected the name of an attribute'
const attribute = text(ATTRIBUTE).min(1, { error: ATTRIBUTE }).optional()
const LANDING = 'expected the URL of a page such as https://wiki.example.com/'

const SAML_KEY = 'expected the file of a private key'
const SAML_CERTIFICATE = 'expected the file of the certificate of keyFile'

/** SAML 2.0. */
const saml = z.strictObject(
  {
    kind: z.literal('saml'),
    metadata: text(METADATA).refine(value => value !== '' && (!/^[a-z]+:\/\//i.test(value) || isMetadataUrl(value)), { error: METADATA }),
    keyFile: text(SAML_KEY).min(1, { error: SAML_KEY }).optional(),
    certificateFile: text(SAML_CERTIFICATE).min(1, { error: SAML_CERTIFICATE }).optional(),
    entityId: text('expected the name of this gateway at the provider').min(1).max(1_024).optional(),
    title: title.optional(),
    emailAttribute: attribute,
    nameAttribute: attribute,
    groupsAttribute: attribute,
    keepGroups: z.array(text('expected a group'), { error: 'expected a list of groups' }).optional(),
    keepClaims: z.array(text(CLAIM), { error: 'expected a list of claims' }).max(20, { error: 'expected at most 20 claims' }).optional(),
    landing: text(LANDING)
      .refine(value => URL.canParse(value) && isSafeUrl(new URL(value).origin), { error: LANDING })
      .optional(),
  },
  { error: 'expected a map with kind and metadata' },
)

/** Accounts of the service beside the outer layer. */
const accounts = z.strictObject({ kind: z.literal('accounts'), title: title.optional() }, { error: 'expected a map with kind and title' })

const PROVIDERS = 'expected a map of names to providers'
const SOCKETS = 'expected the name of a provider, or a list of names'
const HOURS = 'expected a number of hours from 0.01 to 720'
const hours = z.number({ error: HOURS }).min(0.01, { error: HOURS }).max(720, { error: HOURS })

/** A provider of any kind, as the file of a service names them too. */
export const providerSchema = z.discriminatedUnion('kind', [oidc, known, saml, accounts], {
  error: 'expected a provider: issuer, or kind; clientId; clientSecretFile; of SAML: kind, metadata',
})

/** The file. */
export const visitorsFileSchema = z.strictObject(
  {
    auth,
    keys: file.optional(),
    revoked: file.optional(),
    name: title.optional(),
    logo: file.optional(),
    sessionHours: hours.optional(),
    idleHours: z.union([z.literal(0), hours], { error: `${HOURS}, or 0 for never` }).optional(),
    providers: z
      .record(z.string(), providerSchema, {
        error: PROVIDERS,
      })
      .optional(),
    sockets: oneOrMore(text(SOCKETS), SOCKETS).optional(),
  },
  { error: 'expected a map with the keys auth and providers' },
)

/** Is it the name of a provider? */
export const isProviderName = (name: string): boolean => providerName.safeParse(name).success
