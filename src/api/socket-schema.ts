/** Schemas of sockets and tunnels in /api/v1. */
import { z } from 'zod'
import { id, jwk, label, text, time, timeGiven } from './schema.ts'

const TYPES = ['http', 'https', 'tcp', 'tls'] as const
const socketType = z.enum(TYPES, { error: 'expected http, https, tcp or tls' })
const balance = z.enum(['least', 'round-robin', 'address'], { error: 'expected least, round-robin or address' })

const given = {
  name: label,
  password: z
    .strictObject({ user: text(200), password: text(200) })
    .nullable()
    .optional()
    .meta({ description: 'Name and password that visitors have to give; only for http and https.' }),
  visitors: z
    .strictObject({
      emails: z.array(text(254)).max(200),
      domains: z.array(text(253)).max(200),
      groups: z.array(text(254)).max(200).optional(),
    })
    .nullable()
    .optional()
    .meta({
      description:
        'Visitors that have to log in first, never with all lists empty: of one of the addresses or domains, and in one of the groups of their provider, as far as they are given. Of tcp and tls: with "forward --login", while the public port lets nobody in.',
    }),
  balance: balance.optional().meta({ description: 'How its tunnels share the load; default least.' }),
  inspect: z.boolean({ error: 'expected true or false' }).optional().meta({
    description:
      'What comes to it is recorded, without what looks like a secret, for its owner alone (`/sockets/{socketId}/requests`), where the operator of the gateway has turned that on; default false.',
  }),
  proxyProtocol: z
    .union([z.literal(1), z.literal(2)], { error: 'expected 1, 2 or null' })
    .nullable()
    .optional()
    .meta({
      description:
        'Version of the PROXY protocol in which the service behind the socket is told who comes, before the first byte; in 2 also who has logged in. Only of tcp and tls; default null: in none.',
    }),
  upstream: z
    .strictObject({
      protocol: z.enum(['http', 'https'], { error: 'expected http or https' }).optional(),
      hostname: text(260).optional(),
    })
    .nullable()
    .optional()
    .meta({
      description:
        'Another way to ask the service behind the socket: the protocol that it speaks, and the host, with a port if need be, that it gets in Host and in SNI. Only of http and https; default null: as the type says, by the public name.',
    }),
  customDomains: z
    .array(text(253))
    .max(50)
    .optional()
    .meta({ description: 'Host names outside of the zone, a right that an admin gives.' }),
}

const creation = {
  ...given,
  type: socketType.optional().meta({ description: 'Default http.' }),
  label: text(63)
    .optional()
    .meta({ description: 'First label of its public name, a right that an admin gives; without it the service chooses.' }),
  ephemeralSeconds: z
    .int({ error: 'expected whole seconds' })
    .min(10, { error: 'expected at least 10 s' })
    .max(30 * 86_400, { error: 'expected at most 30 days' })
    .optional()
    .meta({ description: 'The socket goes when no tunnel was up for so long. Absent: it stays; one by /connect goes after 60 s.' }),
}

export const newSocketSchema = z.strictObject(creation).meta({ id: 'NewSocket' })
export const connectSchema = z.strictObject({ ...creation, jwk: jwk.optional() }).meta({ id: 'NewConnection' })
export const socketPatchSchema = z
  .strictObject({ ...given, name: label.optional() })
  .meta({ id: 'SocketPatch', description: 'What is absent stays.' })

export const tunnelSchema = z
  .object({
    id,
    socketId: id,
    relayPort: z.int().meta({ description: 'What an SSH client asks to forward.' }),
    server: z.string().meta({ description: 'Address of the gateway that it was last connected to; empty before.' }),
    isConnected: z.boolean(),
    connectedFrom: z.string().nullable(),
    lastConnectedAt: time.nullable(),
    createdAt: time,
  })
  .meta({ id: 'Tunnel' })

export const socketSchema = z
  .object({
    id,
    accountId: id,
    name: z.string(),
    type: z.enum(TYPES),
    dnsName: z.string(),
    url: z.string().meta({ description: 'Where visitors go.' }),
    customDomains: z.array(z.string()),
    ports: z.array(z.int()).meta({
      description: 'Where visitors go: for http and https [80, 443], or the one of the gateway where it has others; else the public port.',
    }),
    password: z
      .object({ user: z.string(), password: z.string() })
      .nullable()
      .meta({ description: 'The password itself only in the reply to the call that set it, else empty.' }),
    visitors: z
      .object({
        emails: z.array(z.string()),
        domains: z.array(z.string()),
        groups: z.array(z.string()).optional().meta({ description: 'Absent where none is asked for.' }),
      })
      .nullable(),
    balance: z.enum(['least', 'round-robin', 'address']),
    inspect: z.boolean().meta({ description: 'Is what comes to it recorded for its owner?' }),
    proxyProtocol: z
      .union([z.literal(1), z.literal(2)])
      .nullable()
      .meta({ description: 'Version of the PROXY protocol in which its service is told who comes; null: in none.' }),
    upstream: z
      .object({ protocol: z.enum(['http', 'https']).optional(), hostname: z.string().optional() })
      .nullable()
      .meta({ description: 'Another way to ask its service; null: none, as the type says and by the public name.' }),
    limits: z.object({ requestsPerSecond: z.number(), concurrency: z.number(), maxConnections: z.number() }),
    isEphemeral: z.boolean(),
    state: z.enum(['active', 'suspended']),
    tunnels: z.array(tunnelSchema),
    createdAt: time,
    updatedAt: time,
    etag: z.string().meta({ description: 'For If-Match.' }),
  })
  .meta({ id: 'Socket' })

export const credentialsRequestSchema = z.strictObject({
  jwk,
  renew: z
    .boolean()
    .optional()
    .meta({ description: 'The key was registered before: 409 where a newer login has taken the tunnel over since.' }),
})
export const credentialsSchema = z
  .object({
    tunnelId: id,
    identifier: z.string().meta({ description: 'What the inner layer has to call itself.' }),
    kid: z.string(),
    linkUrls: z.array(z.string()),
    expiresAt: time,
  })
  .meta({ id: 'TunnelCredentials' })

export const connectionSchema = z
  .object({ socket: socketSchema, tunnel: tunnelSchema, credentials: credentialsSchema.nullable() })
  .meta({ id: 'Connection' })

export const logLineSchema = z
  .looseObject({
    text: z.string().meta({ description: 'The line as `connect` prints it.' }),
    kind: z.enum(['request', 'connection', 'omitted', 'missing']).optional().meta({
      description:
        'omitted: so many were left out, `count`. missing: so many other nodes of the gateway do not answer, so that who comes in there is not shown.',
    }),
    at: time.optional(),
  })
  .meta({ id: 'LogLine' })

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', '*'] as const

export const newShareSchema = z
  .strictObject({
    path: text(500).optional().meta({ description: 'This path, and everything below it; default `/`, which is all.' }),
    methods: z
      .array(z.enum(METHODS, { error: `expected ${METHODS.join(', ')}` }))
      .min(1)
      .max(METHODS.length)
      .optional()
      .meta({ description: 'Default GET and HEAD; `*`: every method.' }),
    expiresAt: timeGiven.optional().meta({ description: 'RFC 3339, at most a year from now; default: in a day.' }),
    maxUses: z
      .int({ error: 'expected a whole number' })
      .min(1, { error: 'expected at least 1' })
      .max(10_000, { error: 'expected at most 10000' })
      .optional()
      .meta({ description: 'How often it may be opened; default: as often as one likes.' }),
    email: text(254)
      .optional()
      .meta({ description: 'Address of the person that it is for, who has to log in; default: whoever has the link.' }),
  })
  .meta({ id: 'NewShare' })

const share = {
  id,
  socketId: id,
  path: z.string(),
  methods: z.array(z.string()),
  email: z.string().nullable(),
  maxUses: z.int().nullable(),
  uses: z.int().nullable().meta({ description: 'How often it was opened; null where that is not limited.' }),
  createdAt: time,
  expiresAt: time,
  usedAt: time.nullable(),
}
export const shareSchema = z.object(share).meta({ id: 'Share' })
export const issuedShareSchema = z
  .object({ ...share, url: z.string().meta({ description: 'The link, which is shown this once.' }) })
  .meta({ id: 'IssuedShare' })

const seenRequest = {
  id: z.string(),
  kind: z.enum(['http', 'websocket', 'events', 'grpc', 'tcp']),
  at: time,
  durationMs: z.number().nullable().meta({ description: 'Null while it is under way.' }),
  isOver: z.boolean(),
  scheme: z.string(),
  method: z.string().meta({ description: 'Empty for tcp.' }),
  host: z.string(),
  path: z.string().meta({ description: 'Path and query, without what looks like a secret.' }),
  status: z.int().nullable(),
  error: z.string().nullable().meta({ description: 'Code of docs/errors.md.' }),
  visitor: z.string().nullable(),
  client: z.string().nullable(),
  requestBytes: z.int(),
  responseBytes: z.int(),
  type: z.string().nullable().meta({ description: 'Media type of the answer.' }),
  messages: z.int(),
  replayOf: z.string().nullable().meta({ description: 'The request that this one repeats.' }),
}
export const seenRequestSchema = z.object(seenRequest).meta({ id: 'SeenRequest' })

const fields = z.array(z.tuple([z.string(), z.string()])).meta({ description: 'Names and values, a character for each byte.' })
const seenHalf = {
  fields,
  trailers: fields,
  body: z
    .object({
      bytes: z.int().meta({ description: 'As they were transferred.' }),
      heldBytes: z.int().meta({ description: 'That are kept, decoded and redacted.' }),
      isCut: z.boolean().meta({ description: 'There was more than is kept.' }),
      isComplete: z.boolean(),
      type: z.string().nullable(),
      coding: z.string().nullable().meta({ description: 'The content coding that was undone.' }),
      note: z.string().nullable().meta({ description: 'Why nothing or not all is kept; null: all is.' }),
      redactions: z.int().meta({ description: 'Places where something was taken out.' }),
      text: z.string().nullable().meta({ description: 'Of a body in UTF-8, decoded.' }),
      base64: z.string().nullable().meta({ description: 'Of any other body.' }),
    })
    .meta({ id: 'SeenBody' }),
}
const ms = z.number().nullable()

export const seenMessageSchema = z
  .object({
    number: z.int(),
    at: time,
    from: z.enum(['client', 'origin']),
    type: z.enum(['text', 'binary', 'ping', 'pong', 'close', 'event', 'grpc']),
    bytes: z.int(),
    isCut: z.boolean(),
    isCompressed: z.boolean(),
    text: z.string().nullable(),
    base64: z.string().nullable().meta({ description: 'Of a message that is no text.' }),
    code: z.int().nullable().meta({ description: 'Of a close frame.' }),
    event: z.string().nullable().meta({ description: 'Name of an event.' }),
    eventId: z.string().nullable(),
  })
  .meta({ id: 'SeenMessage' })

export const seenMessagesSchema = z
  .object({
    items: z.array(seenMessageSchema),
    next: z.int().nullable().meta({ description: 'Number of the next one; null: there is none.' }),
    dropped: z.int().meta({ description: 'Older ones, which are not kept any more.' }),
  })
  .meta({ id: 'SeenMessages' })

export const seenRequestDetailSchema = z
  .object({
    ...seenRequest,
    url: z.string(),
    version: z.string(),
    requestId: z.string().nullable().meta({ description: 'The id that the visitor got.' }),
    phases: z
      .object({ edge: ms, link: ms, connect: ms, firstByte: ms, body: ms })
      .meta({ description: 'Where the time went, milliseconds; null where that is not known.' }),
    request: z.object(seenHalf),
    interim: z
      .array(z.object({ status: z.int(), reason: z.string(), fields, afterMs: z.number() }))
      .meta({ description: 'Interim answers.' }),
    response: z.object({ ...seenHalf, status: z.int(), reason: z.string() }).nullable(),
    close: z
      .object({
        code: z.int(),
        reason: z.string(),
        by: z.enum(['client', 'origin', 'gateway', 'unknown']),
        isClean: z.boolean(),
        explanation: z.string(),
      })
      .nullable()
      .meta({ description: 'The end of a WebSocket.' }),
    messageList: z.array(seenMessageSchema).meta({ description: 'The first hundred messages that are kept.' }),
    messagesDropped: z.int().meta({ description: 'Messages that are not kept any more.' }),
    redacted: z.array(z.string()).meta({ description: 'Fields, parameters and the like whose values were taken out.' }),
    canReplay: z.boolean(),
  })
  .meta({ id: 'SeenRequestDetail' })

export const seenRequestsSchema = z
  .object({
    items: z.array(seenRequestSchema),
    next: z.string().nullable(),
    missingNodes: z
      .int()
      .optional()
      .meta({ description: 'Other nodes of the gateway that do not answer, whose requests are not among these; absent: none.' }),
  })
  .meta({ id: 'SeenRequests' })

export const requestsChangeSchema = z
  .object({
    type: z.enum(['request', 'gone', 'reset', 'nodes']).meta({
      description:
        'request: new or changed, replaces what has its id; gone: not kept any more; reset: ask for the list again; nodes: so many other nodes of the gateway do not answer, `missing`.',
    }),
    request: seenRequestSchema.optional(),
    ids: z.array(z.string()).optional(),
    missing: z.int().optional(),
  })
  .meta({ id: 'RequestsChange' })

export const replaySchema = z
  .strictObject({
    method: text(40).optional().meta({ description: 'Default: as recorded, as for all others.' }),
    path: text(16_384).optional().meta({ description: 'Path and query.' }),
    fields: z
      .array(z.tuple([text(256), z.string().max(65_536)]))
      .max(500)
      .optional()
      .meta({ description: 'Instead of the recorded ones. Host stays.' }),
    setFields: z
      .record(text(256), z.string().max(65_536).nullable())
      .optional()
      .meta({ description: 'On top of the recorded ones; null takes one out.' }),
    body: z.union([z.string(), z.strictObject({ base64: z.base64() })]).optional(),
    times: z.int().min(1).max(100).optional(),
    concurrency: z.int().min(1).max(10).optional(),
    allowRedacted: z.boolean().optional().meta({ description: 'Sends *** where something was taken out.' }),
  })
  .meta({ id: 'Replay' })

export const replayedSchema = z
  .object({
    results: z.array(
      z.object({
        id: z.string().nullable().meta({ description: 'The record of it; null: there is none.' }),
        status: z.int().nullable(),
        durationMs: z.number(),
        error: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'Replayed' })

export const harSchema = z
  .object({ log: z.looseObject({ version: z.literal('1.2'), entries: z.array(z.looseObject({})) }) })
  .meta({ id: 'Har', description: 'HAR 1.2' })
