/** /api/v1: enrolment of inner layers, audit, accounts of others, and what the service says of itself. */
import { z } from 'zod'
import type { EventRequest } from '../service/contract.ts'
import { VERSION } from '../version.ts'
import * as schema from './account-schema.ts'
import { given, operationsOf, type Operation } from './operation.ts'
import { jwk, linkToken, page, pageQuery, text, timeGiven, trueOrFalse, uuid } from './schema.ts'
import { accountView, auditEntryView, innerKeyView, issuedTokenView, listView, pageView, usageView } from './views.ts'

const { open, withToken } = operationsOf('v1')

const accountId = z.strictObject({ accountId: uuid })

const eventId = text(17).optional()
const eventQuery = z.strictObject({
  after: eventId.meta({ description: 'Id: what came after it, the oldest first.' }),
  before: eventId.meta({ description: 'Id: what came before it.' }),
  limit: pageQuery.limit,
  name: text(60).optional().meta({ description: 'Name of an event such as tunnel.lost, or tunnel.* for all that begin so.' }),
  severity: schema.severitySchema.optional().meta({ description: 'So severe, or more.' }),
  accountId: uuid.optional(),
  all: trueOrFalse.meta({ description: 'true: of all accounts, for auditors and admins.' }),
})

const requestOf = ({ all, ...query }: Partial<z.output<typeof eventQuery>>): EventRequest => ({
  ...given(query),
  ...(all === true && { isOfAll: true }),
})

export const adminOperations: readonly Operation[] = [
  withToken({
    id: 'createJoinToken',
    method: 'post',
    path: '/join-tokens',
    summary: 'Makes a token with which inner layers enrol their own key. For admins; it is shown this once.',
    body: schema.newJoinTokenSchema,
    status: 201,
    reply: schema.issuedTokenSchema,
    run: async ({ service }, { body }, actor) => issuedTokenView(await service.enrolment.createJoinToken(actor, given(body))),
  }),
  open({
    id: 'join',
    method: 'post',
    path: '/join',
    summary: 'Enrols the key of an inner layer by a join token.',
    body: z.strictObject({ token: linkToken, jwk }),
    status: 201,
    reply: schema.joinedSchema,
    errors: ['UNAUTHENTICATED', 'CONFLICT', 'RATE_LIMITED'],
    run: async ({ service }, { body, address }) => {
      const { kid, identifiers, linkUrls } = await service.enrolment.join(body.token, body.jwk, address)
      return { kid, identifiers, linkUrls }
    },
  }),
  withToken({
    id: 'listInnerKeys',
    method: 'get',
    path: '/inner-keys',
    summary: 'Keys of enrolled inner layers. For admins and auditors.',
    reply: page(schema.innerKeySchema),
    run: async ({ service }, _call, actor) => listView(await service.enrolment.keys(actor), innerKeyView),
  }),
  withToken({
    id: 'revokeInnerKey',
    method: 'delete',
    path: '/inner-keys/{kid}',
    summary: 'Revokes a key of an inner layer and cuts its connections. For admins.',
    params: z.strictObject({ kid: z.string().max(200) }),
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { params }, actor) => service.enrolment.revoke(actor, params.kid),
  }),
  withToken({
    id: 'listAudit',
    method: 'get',
    path: '/audit',
    summary: 'What was done: own entries; those of all accounts for auditors and admins. The youngest comes first.',
    query: z.strictObject({
      ...pageQuery,
      accountId: uuid.optional(),
      action: text(100).optional().meta({ description: 'Such as socket.create.' }),
      since: timeGiven.optional(),
    }),
    reply: page(schema.auditEntrySchema),
    run: async ({ service }, { query }, actor) => pageView(await service.audit.list(actor, given(query)), auditEntryView),
  }),
  withToken({
    id: 'listEvents',
    method: 'get',
    path: '/events',
    summary:
      'What has happened: tunnels that come and go, limits, sign-ins from new places. Of the own account; of others for auditors and admins. The youngest comes first, but with `after`.',
    query: eventQuery,
    reply: page(schema.eventSchema),
    errors: ['NOT_FOUND'],
    run: ({ service }, { query }, actor) => service.events.list(actor, requestOf(query)),
  }),
  withToken({
    id: 'watchEvents',
    method: 'get',
    path: '/events/live',
    summary: 'The same as it happens: one JSON object a line, an empty line every 15 s; with `after`, what came since then first.',
    query: eventQuery.omit({ before: true, limit: true }),
    reply: schema.eventSchema,
    errors: ['NOT_FOUND', 'LIMIT_REACHED'],
    isStream: true,
    run: async ({ service }, { query, signal }, actor) => service.events.watch(actor, requestOf(query), signal),
  }),
  withToken({
    id: 'listUsage',
    method: 'get',
    path: '/usage',
    summary: 'How much each socket was used, by day: of the own account; of another one for auditors and admins.',
    query: z.strictObject({ since: text(10).meta({ description: 'First day, such as 2026-11-28, in UTC.' }), accountId: uuid.optional() }),
    reply: page(schema.usageSchema),
    errors: ['NOT_FOUND'],
    run: async ({ service }, { query }, actor) => listView(await service.usage.list(actor, given(query)), usageView),
  }),
  withToken({
    id: 'listAccounts',
    method: 'get',
    path: '/admin/accounts',
    summary: 'All accounts. For admins and auditors.',
    query: z.strictObject({ ...pageQuery, email: text(254).optional().meta({ description: 'The whole address.' }) }),
    reply: page(schema.accountSchema),
    run: async ({ service }, { query }, actor) => pageView(await service.accounts.list(actor, given(query)), accountView),
  }),
  withToken({
    id: 'getAccountOf',
    method: 'get',
    path: '/admin/accounts/{accountId}',
    summary: 'An account. For admins and auditors.',
    params: accountId,
    reply: schema.accountSchema,
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params }, actor) => accountView(await service.accounts.get(actor, params.accountId)),
  }),
  withToken({
    id: 'deleteAccount',
    method: 'delete',
    path: '/admin/accounts/{accountId}',
    summary: 'Deletes an account with all that is its own. For admins.',
    params: accountId,
    status: 204,
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: ({ service }, { params }, actor) => service.accounts.remove(actor, params.accountId),
  }),
  withToken({
    id: 'invite',
    method: 'post',
    path: '/admin/invitations',
    summary: 'Invites somebody; the link stands in the answer and goes by mail, at most three times an hour. For admins.',
    body: schema.inviteSchema,
    status: 201,
    reply: z.object({
      link: z.string().meta({ description: 'Works once; the one before it does no more.' }),
      isMailed: z.boolean().meta({ description: 'False where the address has had too many letters within the hour, and gets none.' }),
    }),
    errors: ['CONFLICT'],
    run: async ({ service }, { body }, actor) => ({ ...(await service.accounts.invite(actor, body)) }),
  }),
  withToken({
    id: 'suspendAccount',
    method: 'post',
    path: '/admin/accounts/{accountId}/suspend',
    summary: 'Suspends an account: logins end, sockets are out of force, tunnels are cut. For admins.',
    params: accountId,
    reply: schema.accountSchema,
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ service }, { params }, actor) => accountView(await service.accounts.suspend(actor, params.accountId)),
  }),
  withToken({
    id: 'resumeAccount',
    method: 'post',
    path: '/admin/accounts/{accountId}/resume',
    summary: 'Ends the suspension of an account. For admins.',
    params: accountId,
    reply: schema.accountSchema,
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ service }, { params }, actor) => accountView(await service.accounts.resume(actor, params.accountId)),
  }),
  withToken({
    id: 'setLimits',
    method: 'put',
    path: '/admin/accounts/{accountId}/limits',
    summary: 'Sets the limits of an account. For admins.',
    params: accountId,
    body: schema.limitsSchema,
    reply: schema.accountSchema,
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params, body }, actor) =>
      accountView(await service.accounts.setLimits(actor, params.accountId, given(body))),
  }),
  withToken({
    id: 'setRole',
    method: 'put',
    path: '/admin/accounts/{accountId}/role',
    summary: 'Sets the role of an account. For admins.',
    params: accountId,
    body: schema.roleChangeSchema,
    reply: schema.accountSchema,
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ service }, { params, body }, actor) => accountView(await service.accounts.setRole(actor, params.accountId, body.role)),
  }),
  open({
    id: 'getVersion',
    method: 'get',
    path: '/version',
    summary: 'Release of the service.',
    reply: z.object({
      version: z.string(),
      clientVersion: z.string().nullable().meta({ description: 'Release of the client of 2021 that the download host names.' }),
    }),
    run: async ({ clientVersion }) => ({ version: VERSION, clientVersion: clientVersion() ?? null }),
  }),
]
