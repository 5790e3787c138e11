/** The commands for whoever says who may come. */
import { defineCommand, type Command } from './command/command.ts'
import {
  serviceTokenCreateOptions,
  serviceTokenListOptions,
  serviceTokenRevokeOptions,
  shareListOptions,
  shareOptions,
  shareRevokeOptions,
  visitorsInitOptions,
  visitorsRevokeOptions,
  visitorsRotateOptions,
} from './options/visitors.ts'

/** Words that they stand below. */
export const VISITOR_GROUPS: Readonly<Record<string, string>> = {
  visitors: 'Set up logins of visitors, and end their sessions',
  'service-token': 'Make tokens with which programs come to targets with access, list and revoke them',
}

/** Every command about visitors, in the order of --help. */
export const VISITOR_COMMANDS: readonly Command[] = [
  defineCommand({
    words: ['visitors', 'init'],
    describe: 'Write the file of logins and its keys, and print what to do next',
    options: visitorsInitOptions,
    examples: [
      ['socket-gateway visitors init --auth https://auth.example.com --issuer https://idp.example.com --client-id gateway', 'one provider'],
      ['socket-gateway visitors init --auth http://auth.localhost:3000', 'for trials on this machine'],
    ],
    run: async (values, _, context) => (await import('./visitors/visitors-files.ts')).runVisitorsInit(values, context),
  }),
  defineCommand({
    words: ['visitors', 'rotate'],
    describe: 'Make a new key for sessions and identities; who is logged in stays so',
    options: visitorsRotateOptions,
    run: async (values, _, context) => (await import('./visitors/visitors-files.ts')).runVisitorsRotate(values, context),
  }),
  defineCommand({
    words: ['visitors', 'revoke'],
    describe: 'End sessions of visitors: of a person, of an account, one, or all',
    options: visitorsRevokeOptions,
    examples: [['socket-gateway visitors revoke --email ada@example.com', 'on every host and every device']],
    run: async (values, _, context) => (await import('./visitors/visitors-files.ts')).runVisitorsRevoke(values, context),
  }),
  defineCommand({
    words: ['service-token', 'create'],
    describe: 'Make a token with which a program comes to targets with "access: { tokens: true }"',
    options: serviceTokenCreateOptions,
    flagsOnly: true,
    examples: [
      [
        "socket-gateway service-token create --name ci --target api.example.com --methods GET --paths '^/api/.*' --expires 90d",
        'printed once',
      ],
    ],
    run: async (values, _, context) => (await import('./visitors/service-token.ts')).runServiceTokenCreate(values, context),
  }),
  defineCommand({
    words: ['service-token', 'ls'],
    describe: 'List the service tokens, never what they are',
    options: serviceTokenListOptions,
    flagsOnly: true,
    run: async (values, _, context) => (await import('./visitors/service-token.ts')).runServiceTokenList(values, context),
  }),
  defineCommand({
    words: ['service-token', 'revoke'],
    describe: 'End a service token, within a second, with what is open by it',
    options: serviceTokenRevokeOptions,
    flagsOnly: true,
    positionals: [{ name: 'token', describe: 'Id or name of the token' }],
    run: async (values, { token = '' }, context) =>
      (await import('./visitors/service-token.ts')).runServiceTokenRevoke(token, values, context),
  }),
  defineCommand({
    words: ['share'],
    describe: 'Make a link that lets in whoever has it: to one page and below, for a time',
    options: shareOptions,
    flagsOnly: true,
    // Optional for the sake of the commands below it.
    positionals: [{ name: 'url', describe: 'URL of the page, at a target with access', isOptional: true }],
    examples: [
      ['socket-gateway share https://wiki.example.com/plan --ttl 2h --max-uses 5', 'five people may open it'],
      ['socket-gateway share https://wiki.example.com/plan --email ada@example.com', 'one person, who logs in'],
    ],
    run: async (values, { url = '' }, context) => (await import('./visitors/share.ts')).runShare(url, values, context),
  }),
  defineCommand({
    words: ['share', 'ls'],
    describe: 'List the links that were made, and how often they were used',
    options: shareListOptions,
    flagsOnly: true,
    run: async (values, _, context) => (await import('./visitors/share.ts')).runShareList(values, context),
  }),
  defineCommand({
    words: ['share', 'revoke'],
    describe: 'End a link, within a second, with what is open by it',
    options: shareRevokeOptions,
    flagsOnly: true,
    positionals: [{ name: 'id', describe: 'Id of the link' }],
    run: async (values, { id = '' }, context) => (await import('./visitors/share.ts')).runShareRevoke(id, values, context),
  }),
]
