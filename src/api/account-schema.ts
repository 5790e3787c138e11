/** Schemas of accounts, tokens, keys and the audit log in /api/v1. */
import { z } from 'zod'
import { SEVERITIES } from '../events/catalogue.ts'
import { email, id, label, linkToken, password, publicKeyLine, text, time, timeGiven } from './schema.ts'

const ROLES = ['user', 'auditor', 'admin'] as const
const SCOPES = ['read', 'sockets', 'connect', 'account', 'admin'] as const

export const roleSchema = z.enum(ROLES, { error: 'expected user, auditor or admin' })

const sshKey = publicKeyLine.optional()

export const signUpSchema = z.strictObject({ name: label, email, password, sshKey }).meta({ id: 'SignUp' })
export const confirmSchema = z.strictObject({ token: linkToken })
export const invitationSchema = z.strictObject({ token: linkToken, name: label, password, sshKey }).meta({ id: 'InvitationAnswer' })
export const resetRequestSchema = z.strictObject({ email })
export const resetSchema = z.strictObject({ token: linkToken, password })
export const loginSchema = z.strictObject({ email, password }).meta({ id: 'LoginRequest' })
export const renameSchema = z.strictObject({ name: label })
export const passwordChangeSchema = z.strictObject({ current: password, next: password })
export const keySchema = z.strictObject({ line: publicKeyLine })
export const newTokenSchema = z
  .strictObject({
    name: label,
    scopes: z
      .array(z.enum(SCOPES, { error: `expected one of ${SCOPES.join(', ')}` }))
      .min(1, { error: 'expected at least one scope' })
      .max(SCOPES.length),
    expiresAt: timeGiven.optional(),
  })
  .meta({ id: 'NewToken' })

const count = z.int({ error: 'expected a whole number' }).min(0, { error: 'expected no negative number' }).max(1_000_000_000).optional()
const bytes = z.int({ error: 'expected a whole number' }).min(0, { error: 'expected no negative number' }).optional()
const right = z.boolean({ error: 'expected true or false' }).optional()
const limits = {
  http: count.meta({ description: 'Sockets of type http and https.' }),
  tcp: count.meta({ description: 'Sockets of type tcp and tls.' }),
  tunnels: count.meta({ description: 'Tunnels of each socket.' }),
  logWatchers: count,
  creationsPerHour: count,
  requestsPerSecond: count,
  concurrency: count,
  maxConnections: count,
  bytesPerDay: bytes.meta({ description: 'Bytes in a day (UTC), in both directions and of all sockets together; 0: as many as it likes.' }),
  interstitial: right.meta({ description: 'Do browsers see a page of the gateway before their first visit of one of its sockets?' }),
  vanity: right.meta({ description: 'May it choose the names of its sockets?' }),
  customDomains: right.meta({ description: 'May it serve host names outside of the zone?' }),
}
export const limitsSchema = z
  .strictObject(limits)
  .meta({ id: 'AccountLimits', description: 'Replaces all limits of the account; what is absent is the default of the service.' })

export const inviteSchema = z.strictObject({ email, role: roleSchema.default('user') }).meta({ id: 'NewInvitation' })
export const roleChangeSchema = z.strictObject({ role: roleSchema })
export const newJoinTokenSchema = z
  .strictObject({
    identifiers: z.array(text(200)).min(1, { error: 'expected at least one identifier' }).max(100),
    uses: z.int().min(1).max(10_000).optional().meta({ description: 'Default 1.' }),
    expiresAt: timeGiven.optional().meta({ description: 'Default in ten minutes.' }),
  })
  .meta({ id: 'NewJoinToken' })

export const accountSchema = z
  .object({
    id,
    name: z.string(),
    email: z.string(),
    sshUser: z.string().meta({ description: 'User name for SSH: the id without its dashes.' }),
    role: z.enum(ROLES),
    state: z.enum(['pending', 'active', 'suspended']),
    limits: z.object(limits).meta({ description: 'Its own, where an admin has given it some.' }),
    limitsInForce: z.object(limits).required().meta({ description: 'All that count for it, those of the service among them.' }),
    createdAt: time,
    confirmedAt: time.nullable(),
  })
  .meta({ id: 'Account' })

export const sshKeySchema = z
  .object({
    id: z.string(),
    fingerprint: z.string().meta({ description: 'As `ssh-keygen -l` prints it.' }),
    algorithm: z.string(),
    line: z.string(),
    comment: z.string(),
    createdAt: time,
    usedAt: time.nullable().meta({ description: 'The last login by it, to the minute; null: there was none.' }),
  })
  .meta({ id: 'SshKey' })

export const loginReplySchema = z.object({ token: z.string(), accountId: id, expiresAt: time }).meta({ id: 'Login' })

export const issuedTokenSchema = z
  .object({ id: z.string(), token: z.string().meta({ description: 'Shown this once.' }), expiresAt: time.nullable() })
  .meta({ id: 'IssuedToken' })

export const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    createdAt: time,
    expiresAt: time.nullable(),
    usedAt: time.nullable(),
  })
  .meta({ id: 'Token' })

export const joinedSchema = z
  .object({ kid: z.string(), identifiers: z.array(z.string()), linkUrls: z.array(z.string()) })
  .meta({ id: 'Joined' })

export const innerKeySchema = z
  .object({
    kid: z.string(),
    identifiers: z.array(z.string()),
    createdAt: time,
    seenAt: time.nullable(),
    revokedAt: time.nullable(),
    isConnected: z.boolean(),
  })
  .meta({ id: 'InnerKey' })

export const auditEntrySchema = z
  .object({
    id: z.int(),
    at: time,
    actor: z.string().meta({ description: 'Id of an account, `operator` for the admin port of the outer layer, or `system`.' }),
    actorKind: z.enum(['session', 'token', 'ssh', 'anonymous', 'system']),
    address: z.string(),
    action: z.string(),
    object: z.string(),
    isRefused: z.boolean(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEntry' })

export const severitySchema = z.enum(SEVERITIES, { error: 'expected info, warning or error' })

export const eventSchema = z
  .object({
    id: z.string().meta({ description: 'Its place in the list.' }),
    at: time,
    name: z.string().meta({ description: 'Such as tunnel.lost; docs/events.md has all of them.' }),
    severity: severitySchema,
    subject: z.string(),
    message: z.string().meta({ description: 'In one sentence.' }),
    targets: z.array(z.string()),
    account: z.string().nullable(),
    count: z.int().meta({ description: 'Happenings that are in this one.' }),
    since: time.nullable(),
    fields: z.record(z.string(), z.union([z.string(), z.number(), z.array(z.string())])),
  })
  .meta({ id: 'Event' })

export const usageSchema = z
  .object({
    day: z.string().meta({ format: 'date', description: 'In UTC.' }),
    socketId: id,
    requests: z.int(),
    connections: z.int(),
    bytesIn: z.int().meta({ description: 'From visitors.' }),
    bytesOut: z.int(),
  })
  .meta({ id: 'Usage' })

/** Where no answer says whether there is such an account. */
export const acceptedSchema = z.object({ message: z.string() }).meta({ id: 'Accepted' })
