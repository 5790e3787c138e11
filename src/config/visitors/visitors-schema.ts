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
    kind: z.literal('oidc').default('oidc'),
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
    kind: z.literal(['google', 'github', 'facebook'], { error: 'expected oidc, google, github or facebook' }),
    issuer: url.optional(),
    ...shared,
  },
  { error: 'expected a map with kind, clientId and clientSecretFile' },
)

const PROVIDERS = 'expected a map of names to providers'
const SOCKETS = 'expected the name of a provider, or a list of names'
const HOURS = 'expected a number of hours from 0.01 to 720'
const hours = z.number({ error: HOURS }).min(0.01, { error: HOURS }).max(720, { error: HOURS })

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
      .record(z.string(), z.union([oidc, known], { error: 'expected a provider: issuer, or kind; clientId; clientSecretFile' }), {
        error: PROVIDERS,
      })
      .optional(),
    sockets: oneOrMore(text(SOCKETS), SOCKETS).optional(),
  },
  { error: 'expected a map with the keys auth and providers' },
)

/** Is it the name of a provider? */
export const isProviderName = (name: string): boolean => providerName.safeParse(name).success
