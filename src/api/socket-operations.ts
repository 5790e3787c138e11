/** /api/v1: sockets and their tunnels. */
import { z } from 'zod'
import { GatewayError } from '../errors.ts'
import type { LogLine } from './api-options.ts'
import type { NewSocket, Socket } from '../service/model.ts'
import { given, operationsOf, type ApiContext, type Operation } from './operation.ts'
import { page, pageQuery, publicKeyLine, trueOrFalse, uuid, text } from './schema.ts'
import * as schema from './socket-schema.ts'
import {
  credentialsView,
  listView,
  pageView,
  requestsChangeView,
  seenDetailView,
  seenMessagesView,
  seenRequestsView,
  shareView,
  socketView,
  tunnelView,
} from './views.ts'

const { withToken } = operationsOf('v1')

const socketId = z.strictObject({ socketId: uuid })
const shareId = z.strictObject({ socketId: uuid, shareId: uuid })
const requestId = z.strictObject({ socketId: uuid, requestId: text(40) })
const tunnelId = z.strictObject({ socketId: uuid, tunnelId: uuid })
const filter = text(1_000).optional().meta({ description: 'As docs/inspector.md has it, such as `status:>=400 path:/pay`.' })
const ETAG = { 'If-Match': 'ETag of the socket as the caller has seen it; 409 CONFLICT when it has been changed since.' }
const IDEMPOTENCY = {
  'Idempotency-Key': 'A second call with the same key and request gets the result of the first one, for a day. At most 200 characters.',
}
/** A socket of `connect` goes so long after its last tunnel, when nothing else is said. */
const CONNECT_EPHEMERAL_S = 60

const view = ({ urlOf }: ApiContext, socket: Socket): unknown => socketView(socket, urlOf(socket))
const etagOf = (socket: { readonly etag: string }): string => socket.etag

const requestOf = ({ ephemeralSeconds, ...request }: z.output<typeof schema.newSocketSchema>): NewSocket => ({
  ...given(request),
  ...(ephemeralSeconds !== undefined && { ephemeralMs: ephemeralSeconds * 1000 }),
})

/** Lines with their time as all others are. */
async function* shown(lines: AsyncIterable<LogLine>): AsyncGenerator {
  for await (const { at, ...line } of lines) yield typeof at === 'number' ? { ...line, at: new Date(at).toISOString() } : { ...line }
}

async function* each<T>(items: AsyncIterable<T>, view: (item: T) => unknown): AsyncGenerator {
  for await (const item of items) yield view(item)
}

/** The etag of If-Match, which people may send without its quotes; undefined: any. */
function etagGiven(field: string | undefined): string | undefined {
  if (field === undefined || field === '*') return undefined
  return field.replace(/^W\//, '').replace(/^"(.*)"$/, '$1')
}

export const socketOperations: readonly Operation[] = [
  withToken({
    id: 'listSockets',
    method: 'get',
    path: '/sockets',
    summary: 'Sockets of the account.',
    query: z.strictObject({
      ...pageQuery,
      name: text(200).optional().meta({ description: 'Only those with this name.' }),
      all: trueOrFalse.meta({ description: 'true: of all accounts, for auditors and admins.' }),
    }),
    reply: page(schema.socketSchema),
    run: async (context, { query }, actor) =>
      pageView(await context.service.sockets.list(actor, given(query)), socket => view(context, socket)),
  }),
  withToken({
    id: 'createSocket',
    method: 'post',
    path: '/sockets',
    summary: 'Makes a socket: a public name, for tcp and tls a port as well.',
    body: schema.newSocketSchema,
    status: 201,
    reply: schema.socketSchema,
    errors: ['LIMIT_REACHED', 'RATE_LIMITED', 'PORTS_EXHAUSTED'],
    etagOf,
    run: async (context, { body }, actor) => view(context, await context.service.sockets.create(actor, requestOf(body))),
  }),
  withToken({
    id: 'getSocket',
    method: 'get',
    path: '/sockets/{socketId}',
    summary: 'A socket with its tunnels.',
    params: socketId,
    reply: schema.socketSchema,
    errors: ['NOT_FOUND'],
    etagOf,
    run: async (context, { params }, actor) => view(context, await context.service.sockets.get(actor, params.socketId)),
  }),
  withToken({
    id: 'updateSocket',
    method: 'patch',
    path: '/sockets/{socketId}',
    summary: 'Changes a socket.',
    params: socketId,
    body: schema.socketPatchSchema,
    fields: ETAG,
    reply: schema.socketSchema,
    errors: ['NOT_FOUND', 'CONFLICT'],
    etagOf,
    run: async (context, { params, body, field }, actor) =>
      view(context, await context.service.sockets.update(actor, params.socketId, given(body), etagGiven(field('if-match')))),
  }),
  withToken({
    id: 'deleteSocket',
    method: 'delete',
    path: '/sockets/{socketId}',
    summary: 'Deletes a socket with its tunnels; its name is not used again.',
    params: socketId,
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { params }, actor) => service.sockets.remove(actor, params.socketId),
  }),
  withToken({
    id: 'connect',
    method: 'post',
    path: '/connect',
    summary: 'A socket, a tunnel and, with a key, what an inner layer needs to serve it, in one step.',
    body: schema.connectSchema,
    fields: IDEMPOTENCY,
    status: 201,
    reply: schema.connectionSchema,
    errors: ['LIMIT_REACHED', 'RATE_LIMITED', 'PORTS_EXHAUSTED', 'CONFLICT'],
    run: async (context, { body: { jwk, ...body }, field }, actor) => {
      const idempotencyKey = field('idempotency-key')
      const request = requestOf({ ...body, ephemeralSeconds: body.ephemeralSeconds ?? CONNECT_EPHEMERAL_S })
      const { socket, tunnel, credentials } = await context.service.sockets.connect(actor, {
        ...request,
        ...given({ jwk, idempotencyKey }),
      })
      return {
        socket: view(context, socket),
        tunnel: tunnelView(tunnel),
        credentials: credentials === null ? null : credentialsView(credentials),
      }
    },
  }),
  withToken({
    id: 'watchSocket',
    method: 'get',
    path: '/sockets/{socketId}/log',
    summary: 'Visitors of a socket as they come: one JSON object a line, an empty line every 15 s. It ends with the socket.',
    params: socketId,
    reply: schema.logLineSchema,
    errors: ['NOT_FOUND', 'LIMIT_REACHED'],
    isStream: true,
    run: async ({ service, logs }, { params, signal }, actor) => {
      await service.sockets.get(actor, params.socketId) // whose it is, whatever the feed checks
      if (logs === undefined) throw new GatewayError('NOT_FOUND', 'this service has no live log')
      return shown(await logs.watch(actor, params.socketId, signal))
    },
  }),
  withToken({
    id: 'listTunnels',
    method: 'get',
    path: '/sockets/{socketId}/tunnels',
    summary: 'Tunnels of a socket.',
    params: socketId,
    reply: page(schema.tunnelSchema),
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params }, actor) => listView(await service.tunnels.list(actor, params.socketId), tunnelView),
  }),
  withToken({
    id: 'createTunnel',
    method: 'post',
    path: '/sockets/{socketId}/tunnels',
    summary: 'Adds a tunnel to a socket.',
    params: socketId,
    status: 201,
    reply: schema.tunnelSchema,
    errors: ['NOT_FOUND', 'LIMIT_REACHED'],
    run: async ({ service }, { params }, actor) => tunnelView(await service.tunnels.create(actor, params.socketId)),
  }),
  withToken({
    id: 'getTunnel',
    method: 'get',
    path: '/sockets/{socketId}/tunnels/{tunnelId}',
    summary: 'A tunnel.',
    params: tunnelId,
    reply: schema.tunnelSchema,
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params }, actor) => tunnelView(await service.tunnels.get(actor, params.socketId, params.tunnelId)),
  }),
  withToken({
    id: 'deleteTunnel',
    method: 'delete',
    path: '/sockets/{socketId}/tunnels/{tunnelId}',
    summary: 'Deletes a tunnel; whatever serves it is cut.',
    params: tunnelId,
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { params }, actor) => service.tunnels.remove(actor, params.socketId, params.tunnelId),
  }),
  withToken({
    id: 'createCredentials',
    method: 'post',
    path: '/sockets/{socketId}/tunnels/{tunnelId}/credentials',
    summary: 'Registers the key of an inner layer for a tunnel.',
    params: tunnelId,
    body: schema.credentialsRequestSchema,
    status: 201,
    reply: schema.credentialsSchema,
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ service }, { params, body }, actor) =>
      credentialsView(await service.tunnels.credentials(actor, params.socketId, params.tunnelId, body.jwk, { isRenewal: body.renew })),
  }),
  withToken({
    id: 'createCertificate',
    method: 'post',
    path: '/sockets/{socketId}/tunnels/{tunnelId}/certificates',
    summary: 'Signs a key for SSH: a certificate of five minutes.',
    params: tunnelId,
    body: z.strictObject({ publicKey: publicKeyLine }),
    status: 201,
    reply: z.object({ certificate: z.string().meta({ description: 'One line as in a file *-cert.pub.' }) }),
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params, body }, actor) => ({
      certificate: await service.tunnels.certificate(actor, params.socketId, params.tunnelId, body.publicKey),
    }),
  }),
  withToken({
    id: 'listShares',
    method: 'get',
    path: '/sockets/{socketId}/shares',
    summary: 'Share links of a socket, without what makes them links.',
    params: socketId,
    reply: page(schema.shareSchema),
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params }, actor) => listView(await service.shares.list(actor, params.socketId), shareView),
  }),
  withToken({
    id: 'createShare',
    method: 'post',
    path: '/sockets/{socketId}/shares',
    summary: 'Makes a link that lets in whoever has it, at a socket whose visitors have to log in.',
    params: socketId,
    body: schema.newShareSchema,
    status: 201,
    reply: schema.issuedShareSchema,
    errors: ['NOT_FOUND', 'CONFLICT', 'LIMIT_REACHED'],
    run: async (context, { params, body }, actor) => {
      const { share, secret } = await context.service.shares.create(actor, params.socketId, given(body))
      const socket = await context.service.sockets.get(actor, params.socketId)
      return { ...shareView(share), url: `${context.urlOf(socket)}${share.path}?sg-share=${secret}` }
    },
  }),
  withToken({
    id: 'revokeShare',
    method: 'delete',
    path: '/sockets/{socketId}/shares/{shareId}',
    summary: 'Ends a share link, and what is open by it.',
    params: shareId,
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { params }, actor) => service.shares.revoke(actor, params.socketId, params.shareId),
  }),
  withToken({
    id: 'listRequests',
    method: 'get',
    path: '/sockets/{socketId}/requests',
    summary: 'Requests that were recorded at a socket with `inspect`, the newest first. For its owner alone.',
    params: socketId,
    query: z.strictObject({
      ...pageQuery,
      filter,
    }),
    reply: schema.seenRequestsSchema,
    errors: ['NOT_FOUND', 'CONFLICT', 'OVERLOADED'],
    run: async ({ service }, { params, query }, actor) =>
      seenRequestsView(await service.requests.list(actor, params.socketId, given(query))),
  }),
  withToken({
    id: 'followRequests',
    method: 'get',
    path: '/sockets/{socketId}/requests/live',
    summary: 'What changes in that list from now on: one JSON object a line, an empty line every 15 s. It ends with the socket.',
    params: socketId,
    query: z.strictObject({ filter }),
    reply: schema.requestsChangeSchema,
    errors: ['NOT_FOUND', 'CONFLICT', 'OVERLOADED', 'LIMIT_REACHED'],
    isStream: true,
    run: async ({ service }, { params, query, signal }, actor) =>
      each(await service.requests.follow(actor, params.socketId, query.filter, signal), requestsChangeView),
  }),
  withToken({
    id: 'exportRequests',
    method: 'get',
    path: '/sockets/{socketId}/requests/har',
    summary: 'The same as a HAR file (1.2), the oldest first, at most 1,000 and 16 MiB of them.',
    params: socketId,
    query: z.strictObject({
      filter,
      id: z
        .union([text(40), z.array(text(40)).max(1_000)])
        .optional()
        .meta({ description: 'None but these; repeatable.' }),
    }),
    reply: schema.harSchema,
    errors: ['NOT_FOUND', 'CONFLICT', 'OVERLOADED'],
    run: ({ service }, { params, query }, actor) => {
      const ids = query.id === undefined ? undefined : [query.id].flat()
      return service.requests.har(actor, params.socketId, given({ filter: query.filter, ids }))
    },
  }),
  withToken({
    id: 'getRequest',
    method: 'get',
    path: '/sockets/{socketId}/requests/{requestId}',
    summary: 'A request that was recorded, with heads, bodies and messages. For the owner of the socket alone.',
    params: requestId,
    reply: schema.seenRequestDetailSchema,
    errors: ['NOT_FOUND', 'CONFLICT', 'OVERLOADED'],
    run: async ({ service }, { params }, actor) => seenDetailView(await service.requests.get(actor, params.socketId, params.requestId)),
  }),
  withToken({
    id: 'listMessages',
    method: 'get',
    path: '/sockets/{socketId}/requests/{requestId}/messages',
    summary: 'Messages of a WebSocket, an event stream or a gRPC call, the oldest first.',
    params: requestId,
    query: z.strictObject({
      from: z.coerce.number().int().min(0).max(1e9).optional().meta({ description: 'Number of the first one.' }),
      limit: pageQuery.limit,
    }),
    reply: schema.seenMessagesSchema,
    errors: ['NOT_FOUND', 'CONFLICT', 'OVERLOADED'],
    run: async ({ service }, { params, query }, actor) => seenMessagesView(await service.requests.messages(actor, params, given(query))),
  }),
  withToken({
    id: 'replayRequest',
    method: 'post',
    path: '/sockets/{socketId}/requests/{requestId}/replay',
    summary: 'Sends a recorded request to the socket again, as it was or edited, from the address of the caller.',
    params: requestId,
    body: schema.replaySchema,
    maxBody: 1_048_576,
    reply: schema.replayedSchema,
    errors: ['NOT_FOUND', 'CONFLICT', 'OVERLOADED'],
    run: async ({ service }, { params, body }, actor) => ({ results: await service.requests.replay(actor, params, body) }),
  }),
]
