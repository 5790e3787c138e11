/** /api/v1: sign-up, sessions, the own account. */
import { z } from 'zod'
import * as schema from './account-schema.ts'
import { given, operationsOf, type Operation } from './operation.ts'
import { page } from './schema.ts'
import { accountView, issuedTokenView, listView, loginView, sshKeyView, tokenView } from './views.ts'

const { open, withToken } = operationsOf('v1')

const keyId = z.strictObject({ keyId: z.string().max(200) })
const tokenId = z.strictObject({ tokenId: z.string().max(200) })

export const accountOperations: readonly Operation[] = [
  open({
    id: 'signUp',
    method: 'post',
    path: '/accounts',
    summary: 'Asks for an account; a mail has the link that confirms it. The answer is the same for an address that has one.',
    body: schema.signUpSchema,
    status: 202,
    reply: schema.acceptedSchema,
    errors: ['SIGN_UP_CLOSED', 'RATE_LIMITED'],
    run: async ({ service }, { body, address }) => {
      await service.accounts.signUp(given(body), address)
      return { message: 'A mail is on its way; its link confirms the account.' }
    },
  }),
  open({
    id: 'confirmAccount',
    method: 'post',
    path: '/accounts/confirm',
    summary: 'Confirms an account by the token of the mail.',
    body: schema.confirmSchema,
    reply: schema.accountSchema,
    errors: ['NOT_FOUND'],
    run: async ({ service }, { body }) => accountView(await service.accounts.confirm(body.token)),
  }),
  open({
    id: 'acceptInvitation',
    method: 'post',
    path: '/invitations/accept',
    summary: 'Makes the account of an invitation.',
    body: schema.invitationSchema,
    status: 201,
    reply: schema.accountSchema,
    errors: ['NOT_FOUND'],
    run: async ({ service }, { body: { token, ...request } }) =>
      accountView(await service.accounts.acceptInvitation(token, given(request))),
  }),
  open({
    id: 'requestPasswordReset',
    method: 'post',
    path: '/password-reset',
    summary: 'Asks for a link to set a new password. The answer is the same whether there is such an account or not.',
    body: schema.resetRequestSchema,
    status: 202,
    reply: schema.acceptedSchema,
    errors: ['RATE_LIMITED'],
    run: async ({ service }, { body, address }) => {
      await service.accounts.requestReset(body.email, address)
      return { message: 'If there is such an account, a mail is on its way; its link sets a new password.' }
    },
  }),
  open({
    id: 'resetPassword',
    method: 'post',
    path: '/password-reset/confirm',
    summary: 'Sets a new password by the token of the mail.',
    body: schema.resetSchema,
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { body }) => service.accounts.reset(body.token, body.password),
  }),
  open({
    id: 'login',
    method: 'post',
    path: '/sessions',
    summary: 'Logs in. The token lasts 300 minutes.',
    body: schema.loginSchema,
    status: 201,
    reply: schema.loginReplySchema,
    errors: ['LOGIN_FAILED', 'RATE_LIMITED'],
    run: async ({ service }, { body, address }) => loginView(await service.sessions.login(body, address)),
  }),
  withToken({
    id: 'refreshSession',
    method: 'post',
    path: '/sessions/refresh',
    summary: 'Gives a new token of a login, which lasts 300 minutes again.',
    reply: schema.loginReplySchema,
    run: async ({ service }, _call, actor) => loginView({ ...(await service.sessions.refresh(actor)), accountId: actor.accountId }),
  }),
  withToken({
    id: 'endSessions',
    method: 'delete',
    path: '/sessions',
    summary: 'Ends every login of the account, this one too.',
    status: 204,
    run: ({ service }, _call, actor) => service.sessions.endAll(actor),
  }),
  withToken({
    id: 'getAccount',
    method: 'get',
    path: '/account',
    summary: 'The own account.',
    reply: schema.accountSchema,
    run: async ({ service }, _call, actor) => accountView(await service.accounts.get(actor, actor.accountId)),
  }),
  withToken({
    id: 'renameAccount',
    method: 'patch',
    path: '/account',
    summary: 'Changes the name of the own account.',
    body: schema.renameSchema,
    reply: schema.accountSchema,
    run: async ({ service }, { body }, actor) => accountView(await service.accounts.rename(actor, body.name)),
  }),
  withToken({
    id: 'changePassword',
    method: 'put',
    path: '/account/password',
    summary: 'Changes the password; it ends every login of the account.',
    body: schema.passwordChangeSchema,
    status: 204,
    errors: ['LOGIN_FAILED', 'RATE_LIMITED'],
    run: ({ service }, { body }, actor) => service.accounts.changePassword(actor, body),
  }),
  withToken({
    id: 'listSshKeys',
    method: 'get',
    path: '/account/ssh-keys',
    summary: 'The keys with which the account logs in by SSH.',
    reply: page(schema.sshKeySchema),
    run: async ({ service }, _call, actor) => listView(await service.accounts.keys(actor), sshKeyView),
  }),
  withToken({
    id: 'addSshKey',
    method: 'post',
    path: '/account/ssh-keys',
    summary: 'Adds a key for SSH.',
    body: schema.keySchema,
    status: 201,
    reply: schema.sshKeySchema,
    errors: ['LIMIT_REACHED', 'CONFLICT'],
    run: async ({ service }, { body }, actor) => sshKeyView(await service.accounts.addKey(actor, body.line)),
  }),
  withToken({
    id: 'removeSshKey',
    method: 'delete',
    path: '/account/ssh-keys/{keyId}',
    summary: 'Removes a key for SSH.',
    params: keyId,
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { params }, actor) => service.accounts.removeKey(actor, params.keyId),
  }),
  withToken({
    id: 'listTokens',
    method: 'get',
    path: '/account/tokens',
    summary: 'Tokens for programs.',
    reply: page(schema.tokenSchema),
    run: async ({ service }, _call, actor) => listView(await service.apiTokens.list(actor), tokenView),
  }),
  withToken({
    id: 'createToken',
    method: 'post',
    path: '/account/tokens',
    summary: 'Makes a token for programs, with no more rights than its scopes name. It is shown this once.',
    body: schema.newTokenSchema,
    status: 201,
    reply: schema.issuedTokenSchema,
    errors: ['LIMIT_REACHED'],
    run: async ({ service }, { body }, actor) => issuedTokenView(await service.apiTokens.create(actor, given(body))),
  }),
  withToken({
    id: 'revokeToken',
    method: 'delete',
    path: '/account/tokens/{tokenId}',
    summary: 'Revokes a token for programs.',
    params: tokenId,
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { params }, actor) => service.apiTokens.revoke(actor, params.tokenId),
  }),
]
