/** The commands that look at an inspector. */
import { defineCommand, type Command } from './command/command.ts'
import { requestsOptions, requestsReplayOptions, requestsShowOptions } from './options/requests.ts'

const ID = { name: 'id', describe: 'Id of the request, as requests prints it' } as const

/** Every command about requests that were recorded, in the order of --help. */
export const INSPECTOR_COMMANDS: readonly Command[] = [
  defineCommand({
    words: ['requests'],
    describe: 'List the requests that an inspector has seen (--inspect), and follow them',
    options: requestsOptions,
    flagsOnly: true,
    examples: [
      ['socket-gateway requests --follow', 'as they come'],
      ["socket-gateway requests --filter 'status:5xx duration:>1s' --json", 'for scripts'],
    ],
    run: async (values, _, context) => (await import('./requests/requests.ts')).runRequests(values, context),
  }),
  defineCommand({
    words: ['requests', 'show'],
    describe: 'Show one request: heads, bodies, messages, times; or as a command to copy',
    options: requestsShowOptions,
    flagsOnly: true,
    positionals: [ID],
    examples: [['socket-gateway requests show 0mx073qs80000 --as curl', 'to paste']],
    run: async (values, { id = '' }, context) => (await import('./requests/requests.ts')).runRequestsShow(id, values, context),
  }),
  defineCommand({
    words: ['requests', 'replay'],
    describe: 'Send a request again, as it was or changed',
    options: requestsReplayOptions,
    flagsOnly: true,
    positionals: [ID],
    examples: [["socket-gateway requests replay 0mx073qs80000 --field 'X-Test: 1' --times 3", 'three times, with a field more']],
    run: async (values, { id = '' }, context) => (await import('./requests/requests.ts')).runRequestsReplay(id, values, context),
  }),
]
