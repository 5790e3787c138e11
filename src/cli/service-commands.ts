/** The commands for whoever runs a service. */
import { defineCommand, type Command } from './command/command.ts'
import { adminLinkOptions, serviceDemoOptions, serviceInitOptions, serviceRotateOptions, serviceStoreOptions } from './options/service.ts'

/** Words that they stand below. */
export const SERVICE_GROUPS: Readonly<Record<string, string>> = {
  service: 'Set up a service of accounts and sockets, and care for its database',
}

/** Every command for whoever runs a service, in the order of --help. */
export const SERVICE_COMMANDS: readonly Command[] = [
  defineCommand({
    words: ['service', 'init'],
    describe: 'Write the file of a service and its secrets, and print what to do next',
    options: serviceInitOptions,
    examples: [
      ['socket-gateway service init --zone edge.example.com', 'service.yaml and state/, and a link for the first admin'],
      ['socket-gateway service init --zone localhost', 'for trials on this machine'],
    ],
    run: async (values, _, context) => (await import('./service/init.ts')).runServiceInit(values, context),
  }),
  defineCommand({
    words: ['service', 'admin-link'],
    describe: 'Print another link for the first admin, while there is none',
    options: adminLinkOptions,
    run: async (values, _, context) => (await import('./service/init.ts')).runAdminLink(values, context),
  }),
  defineCommand({
    words: ['service', 'backup'],
    describe: 'Copy the database of a service, also while it runs',
    options: serviceStoreOptions,
    positionals: [{ name: 'file', describe: 'File for the copy, which must not exist' }],
    run: async (values, { file = '' }, context) => (await import('./service/store-commands.ts')).runServiceBackup(file, values, context),
  }),
  defineCommand({
    words: ['service', 'migrate'],
    describe: 'Bring the database of a service to this release; its process does so too when it starts',
    options: serviceStoreOptions,
    run: async (values, _, context) => (await import('./service/store-commands.ts')).runServiceMigrate(values, context),
  }),
  defineCommand({
    words: ['service', 'rotate'],
    describe: 'Make new keys for tokens and certificates; what the keys before have signed stays good until the next time',
    options: serviceRotateOptions,
    run: async (values, _, context) => (await import('./service/store-commands.ts')).runServiceRotate(values, context),
  }),
  defineCommand({
    words: ['service', 'demo'],
    describe: 'Show a service on this machine: an account, a socket, a sample API behind it, some requests',
    options: serviceDemoOptions,
    flagsOnly: true,
    run: async (values, _, context) => (await import('./service/demo.ts')).runServiceDemo(values, context),
  }),
]
