/** The commands for users and admins of the service: each calls its API. */
import { accountEventsOptions } from './options/events.ts'
import { defineCommand, type Command } from './command/command.ts'
import {
  accountCreateOptions,
  adminAccountsOptions,
  adminInviteOptions,
  adminLimitsOptions,
  auditOptions,
  clientOptions,
  connectGroups,
  connectOptions,
  joinOptions,
  joinTokenOptions,
  loginOptions,
  logoutOptions,
  logsOptions,
  socketCreateOptions,
  socketLsOptions,
  socketOptions,
  socketUpdateOptions,
  tunnelConnectOptions,
  tunnelOptions,
  versionUpgradeOptions,
} from './options/client.ts'

const SOCKET = { name: 'socket', describe: 'Id of the socket, its public name, or its name', isOptional: true } as const
const ACCOUNT = { name: 'account', describe: 'Id of the account, or its e-mail address' } as const
const JOIN = { name: 'url', describe: 'URL#TOKEN, as "socket-gateway admin join-token" prints it' } as const

/** Words that commands of the service stand below. */
export const CLIENT_GROUPS: Readonly<Record<string, string>> = {
  account: 'Create a new account or see account information',
  'account keys': 'Manage the SSH keys of your account',
  socket: 'Manage your sockets: public names that lead to your services',
  tunnel: 'Manage your tunnels: the connections behind a socket',
  inner: 'Manage inner layers that have joined',
  admin: 'Manage the accounts of the service',
  version: 'Check the version, or see how to upgrade',
}

const USERS: readonly Command[] = [
  defineCommand({
    words: ['login'],
    describe: 'Log in to a service and keep a token for the commands that follow',
    options: loginOptions,
    examples: [
      ['socket-gateway login --server https://api.example.com', 'asks for e-mail address and password'],
      ['socket-gateway login --email me@example.com < password.txt', 'reads the password from standard input'],
    ],
    run: async (values, _, context) => (await import('./client/login.ts')).runLogin(values, context),
  }),
  defineCommand({
    words: ['logout'],
    describe: 'Forget the token of a login',
    options: logoutOptions,
    run: async (values, _, context) => (await import('./client/login.ts')).runLogout(values, context),
  }),
  defineCommand({
    words: ['account', 'create'],
    describe: 'Create a new account, confirmed by a link in a mail, or take an invitation',
    options: accountCreateOptions,
    examples: [
      ['socket-gateway account create --server https://api.example.com', 'asks for name, e-mail address and password'],
      ["socket-gateway account create --invitation 'https://api.example.com/invitation#TOKEN'", 'an invitation by an admin'],
    ],
    run: async (values, _, context) => (await import('./client/account.ts')).runAccountCreate(values, context),
  }),
  defineCommand({
    words: ['account', 'show'],
    describe: 'Show account information',
    options: clientOptions,
    run: async (values, _, context) => (await import('./client/account.ts')).runAccountShow(values, context),
  }),
  defineCommand({
    words: ['account', 'keys', 'ls'],
    describe: 'List the SSH keys of your account',
    options: clientOptions,
    run: async (values, _, context) => (await import('./client/account.ts')).runKeysLs(values, context),
  }),
  defineCommand({
    words: ['account', 'keys', 'add'],
    describe: 'Add an SSH key, for "ssh -R" to the service',
    options: clientOptions,
    positionals: [{ name: 'key', describe: 'File of the public key, or the key itself' }],
    examples: [['socket-gateway account keys add ~/.ssh/id_ed25519.pub', '']],
    run: async (values, { key = '' }, context) => (await import('./client/account.ts')).runKeysAdd(key, values, context),
  }),
  defineCommand({
    words: ['account', 'keys', 'delete'],
    describe: 'Delete an SSH key; what is connected by it stays',
    options: clientOptions,
    positionals: [{ name: 'key', describe: 'Id of the key, or its fingerprint' }],
    run: async (values, { key = '' }, context) => (await import('./client/account.ts')).runKeysDelete(key, values, context),
  }),
]

const SOCKETS: readonly Command[] = [
  defineCommand({
    words: ['connect'],
    describe: 'Give a service of this machine a public name, for as long as the command runs',
    options: connectOptions,
    groups: connectGroups,
    positionals: [{ name: 'local-port', describe: 'Port of your service', isOptional: true }],
    examples: [
      ['socket-gateway connect 8000', 'https://… leads to http://127.0.0.1:8000'],
      ['socket-gateway connect 8000 --name "my test service" --protected --username john --password secret', 'visitors need a password'],
      ['socket-gateway connect 22 --type tcp', 'a public port that leads to the SSH server'],
    ],
    run: async (values, { 'local-port': port }, context) => (await import('./connect/connect.ts')).runConnect(port, values, context),
  }),
  defineCommand({
    words: ['socket', 'create'],
    describe: 'Create a new socket, which stays until it is deleted',
    options: socketCreateOptions,
    examples: [
      ['socket-gateway socket create --name "my service"', 'a public name for HTTP'],
      ['socket-gateway socket create --name db --type tls', 'a public port; TLS ends at the gateway'],
      ['socket-gateway socket create --name web --protected --username john --password secret', 'visitors need a password'],
    ],
    run: async (values, _, context) => (await import('./client/socket.ts')).runSocketCreate(values, context),
  }),
  defineCommand({
    words: ['socket', 'ls'],
    describe: 'List your sockets',
    options: socketLsOptions,
    run: async (values, _, context) => (await import('./client/socket.ts')).runSocketLs(values, context),
  }),
  defineCommand({
    words: ['socket', 'show'],
    describe: 'Show a socket',
    options: socketOptions,
    positionals: [SOCKET],
    run: async (values, { socket }, context) => (await import('./client/socket.ts')).runSocketShow(socket, values, context),
  }),
  defineCommand({
    words: ['socket', 'update'],
    describe: 'Change the name, the protection, the balance or the inspection of a socket',
    options: socketUpdateOptions,
    positionals: [SOCKET],
    examples: [['socket-gateway socket update web --protected --username john --password secret', 'web is the name of the socket']],
    run: async (values, { socket }, context) => (await import('./client/socket.ts')).runSocketUpdate(socket, values, context),
  }),
  defineCommand({
    words: ['socket', 'delete'],
    describe: 'Delete a socket; its name is never given to anybody else',
    options: socketOptions,
    positionals: [SOCKET],
    run: async (values, { socket }, context) => (await import('./client/socket.ts')).runSocketDelete(socket, values, context),
  }),
  defineCommand({
    words: ['tunnel', 'create'],
    describe: 'Create a tunnel; those of one socket share the load',
    options: socketOptions,
    positionals: [SOCKET],
    run: async (values, { socket }, context) => (await import('./client/tunnel.ts')).runTunnelCreate(socket, values, context),
  }),
  defineCommand({
    words: ['tunnel', 'ls'],
    describe: 'List the tunnels of a socket',
    options: socketOptions,
    positionals: [SOCKET],
    run: async (values, { socket }, context) => (await import('./client/tunnel.ts')).runTunnelLs(socket, values, context),
  }),
  defineCommand({
    words: ['tunnel', 'delete'],
    describe: 'Delete a tunnel',
    options: tunnelOptions,
    run: async (values, _, context) => (await import('./client/tunnel.ts')).runTunnelDelete(values, context),
  }),
  defineCommand({
    words: ['tunnel', 'connect'],
    describe: 'Connect a tunnel: serve its socket with a service of this machine',
    options: tunnelConnectOptions,
    examples: [['socket-gateway tunnel connect --socket-id web --port 8000', 'web is the name of the socket']],
    run: async (values, _, context) => (await import('./connect/connect.ts')).runTunnelConnect(values, context),
  }),
  defineCommand({
    words: ['logs'],
    describe: 'Print a line for each request to a socket, live',
    options: logsOptions,
    positionals: [{ ...SOCKET, describe: `${SOCKET.describe}; the only one when there is but one` }],
    run: async (values, { socket }, context) => (await import('./client/logs.ts')).runLogs(socket, values, context),
  }),
]

const OPERATORS: readonly Command[] = [
  ...([['inner-layer', 'join'], ['join']] as const).map(words =>
    defineCommand({
      words,
      describe: 'Make a key for an inner layer of this machine, and have it registered by a token',
      options: joinOptions,
      positionals: [JOIN],
      examples: [
        ["socket-gateway inner-layer join 'https://api.example.com#sgj_…'", 'then: socket-gateway inner-layer --config inner-layer.yaml'],
        ["socket-gateway inner-layer join 'https://api.example.com#sgj_…' --run", 'and runs it'],
      ],
      run: async (values, { url = '' }, context) => {
        const status = await (await import('./client/join.ts')).runJoin(url, values, context)
        return values.run ? (await import('./run/inner-layer.ts')).runInnerLayerOf(values.output, context) : status
      },
    }),
  ),
  defineCommand({
    words: ['inner', 'ls'],
    describe: 'List the keys of inner layers that have joined',
    options: clientOptions,
    run: async (values, _, context) => (await import('./client/inner.ts')).runInnerLs(values, context),
  }),
  defineCommand({
    words: ['inner', 'revoke'],
    describe: 'Refuse a key from now on, and cut its connections',
    options: clientOptions,
    positionals: [{ name: 'key', describe: 'Thumbprint of the key, as "socket-gateway inner ls" shows it' }],
    run: async (values, { key = '' }, context) => (await import('./client/inner.ts')).runInnerRevoke(key, values, context),
  }),
  defineCommand({
    words: ['admin', 'accounts'],
    describe: 'List the accounts of the service',
    options: adminAccountsOptions,
    run: async (values, _, context) => (await import('./client/admin.ts')).runAdminAccounts(values, context),
  }),
  defineCommand({
    words: ['admin', 'invite'],
    describe: 'Invite somebody by e-mail',
    options: adminInviteOptions,
    positionals: [{ name: 'email', describe: 'E-mail address' }],
    run: async (values, { email = '' }, context) => (await import('./client/admin.ts')).runAdminInvite(email, values, context),
  }),
  defineCommand({
    words: ['admin', 'suspend'],
    describe: 'Suspend an account: its logins end, and its sockets are cut at once',
    options: clientOptions,
    positionals: [ACCOUNT],
    run: async (values, { account = '' }, context) => (await import('./client/admin.ts')).runAdminSuspend(account, values, context),
  }),
  defineCommand({
    words: ['admin', 'resume'],
    describe: 'End the suspension of an account',
    options: clientOptions,
    positionals: [ACCOUNT],
    run: async (values, { account = '' }, context) => (await import('./client/admin.ts')).runAdminResume(account, values, context),
  }),
  defineCommand({
    words: ['admin', 'limits'],
    describe: 'Show or change what an account may have',
    options: adminLimitsOptions,
    positionals: [ACCOUNT],
    examples: [['socket-gateway admin limits me@example.com --http 50 --vanity yes', '']],
    run: async (values, { account = '' }, context) => (await import('./client/admin.ts')).runAdminLimits(account, values, context),
  }),
  defineCommand({
    words: ['admin', 'role'],
    describe: 'Give an account another role',
    options: clientOptions,
    positionals: [ACCOUNT, { name: 'role', describe: 'user, auditor or admin' }],
    run: async (values, { account = '', role = '' }, context) =>
      (await import('./client/admin.ts')).runAdminRole(account, role, values, context),
  }),
  defineCommand({
    words: ['admin', 'delete'],
    describe: 'Delete an account with its sockets, for good',
    options: clientOptions,
    positionals: [ACCOUNT],
    run: async (values, { account = '' }, context) => (await import('./client/admin.ts')).runAdminDelete(account, values, context),
  }),
  defineCommand({
    words: ['admin', 'join-token'],
    describe: 'Make a token with which an inner layer joins',
    options: joinTokenOptions,
    examples: [['socket-gateway admin join-token --identifier lan-a', 'once, within ten minutes']],
    run: async (values, _, context) => (await import('./client/admin.ts')).runJoinToken(values, context),
  }),
  defineCommand({
    words: ['account', 'events'],
    describe: 'Print what has happened to the account: tunnels, limits, sign-ins from new places',
    options: accountEventsOptions,
    run: async (values, _, context) => (await import('./client/events.ts')).runAccountEvents(values, context),
  }),
  defineCommand({
    words: ['audit'],
    describe: 'Show who did what, the latest first: of your account, or of all for admins and auditors',
    options: auditOptions,
    run: async (values, _, context) => (await import('./client/admin.ts')).runAudit(values, context),
  }),
  defineCommand({
    words: ['version', 'check'],
    describe: 'Compare this release with that of the service',
    options: clientOptions,
    run: async (values, _, context) => (await import('./client/version.ts')).runVersionCheck(values, context),
  }),
  defineCommand({
    words: ['version', 'upgrade'],
    describe: 'Say how to upgrade, or check the sum of an archive',
    options: versionUpgradeOptions,
    run: async (values, _, context) => (await import('./client/version.ts')).runVersionUpgrade(values, context),
  }),
]

/** Every command for users and admins of the service, in the order of --help. */
export const CLIENT_COMMANDS: readonly Command[] = [...USERS, ...SOCKETS, ...OPERATORS]
