/** The shape of the section `tunnels` of the targets file; its keys are checked in `tunnels.ts`. */
import { z } from 'zod'
import { proxyKeys } from './tcp-schema.ts'
import { parsePasswordHash } from '../identity/password-hash.ts'
import { isTokenHash } from '../identity/token.ts'
import { tunnelAccessSchema } from './keys/access.ts'
import { duration, identifiers, integer, parsedBy, ranges } from './keys/parts.ts'

const TOKEN = 'expected the hash of a token such as "sha256:…", as "socket-gateway token" prints it'
const HASH = 'expected a hash of a password such as "$scrypt$ln=15,r=8,p=3$…$…"; make one with: socket-gateway hash-password'
const KEY = 'expected the thumbprint of a key (43 characters), as "socket-gateway certificates" prints it'

/** Says nothing of what was given: it may be the token itself. */
const tokenHash = (text: string): void => {
  if (!isTokenHash(text)) throw new Error(`${TOKEN}; this is none, and not the place for a token`)
}

/** One service. */
const tunnelSchema = z
  .strictObject(
    {
      identifier: identifiers.optional().meta({
        description: 'Inner layers that may serve it; any connected one when absent.',
        examples: ['inner-layer', ['lan-1', 'lan-2']],
      }),
      allow: ranges.optional().meta({ description: 'Addresses of clients that may come; everybody with credentials when absent.' }),
      tokens: z
        .array(z.string({ error: TOKEN }).check(parsedBy(tokenHash)), { error: 'expected a list of hashes of tokens' })
        .optional()
        .meta({ description: 'Hashes of the tokens that open it (forward --token-file).' }),
      users: z
        .record(z.string(), z.string({ error: HASH }).check(parsedBy(parsePasswordHash)), {
          error: 'expected a map of names to hashes of passwords',
        })
        .optional()
        .meta({ description: 'Name → hash of the password, as "socket-gateway hash-password" prints it.' }),
      publicKeys: z
        .array(z.string({ error: KEY }).regex(/^[A-Za-z0-9_-]{43}$/, { error: KEY }), { error: 'expected a list of thumbprints' })
        .optional()
        .meta({ description: 'Thumbprints (RFC 7638) of the keys that open it (forward --private-key).' }),
      access: tunnelAccessSchema
        .optional()
        .meta({ description: 'People and programs that open it by proving who they are, as at targets. Needs --visitors.' }),
      maxConnections: integer(1, 1_000_000).optional().meta({ description: 'Connections at a time; more are refused.', default: 100 }),
      idle: duration.optional().meta({
        description: 'Time without a byte in either direction, then the connection is cut; never when absent.',
        examples: ['10m'],
      }),
      ...proxyKeys,
    },
    { error: 'expected a map with tokens, users, publicKeys or access' },
  )
  .meta({ description: 'Who may open connections to a service behind an inner layer, with "socket-gateway forward".' })

/** The section: HOST:PORT → who may open it. */
export const tunnelsSchema = z
  .record(z.string().meta({ description: 'HOST:PORT of the service, as the inner layer reaches it.' }), tunnelSchema, {
    error: 'expected a map of HOST:PORT to who may open it',
  })
  .meta({ description: 'Services that are opened from outside by whoever has credentials for them; nothing is open by default.' })
