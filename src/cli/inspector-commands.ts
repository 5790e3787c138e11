/** The commands that look at an inspector. */
import { defineCommand, type Command } from './command/command.ts'
import { requestsHarOptions, requestsOptions, requestsReplayOptions, requestsShowOptions } from './options/requests.ts'

const ID = { name: 'id', describe: 'Id of the request, as requests prints it' } as const

/** Every command about requests that were recorded, in the order of --help. */
export const INSPECTOR_COMMANDS: readonly Command[] = [
  defineCommand({
    words: ['requests'],
    describe: 'List the requests that an inspector has seen (--inspect), or that were recorded at a socket of yours, and follow them',
    options: requestsOptions,
    examples: [
      ['socket-gateway requests --follow', 'as they come'],
      ["socket-gateway requests --filter 'status:5xx duration:>1s' --json", 'for scripts'],
      ['socket-gateway requests --socket shop --follow', 'of a socket of yours'],
    ],
    run: async (values, _, context) => (await import('./requests/requests.ts')).runRequests(values, context),
  }),
  defineCommand({
    words: ['requests', 'show'],
    describe: 'Show one request: heads, bodies, messages, times; or as a command to copy',
    options: requestsShowOptions,
    positionals: [ID],
    examples: [['socket-gateway requests show 0mx073qs80000 --as curl', 'to paste']],
    run: async (values, { id = '' }, context) => (await import('./requests/requests.ts')).runRequestsShow(id, values, context),
  }),
  defineCommand({
    words: ['requests', 'replay'],
    describe: 'Send a request again, as it was or changed',
    options: requestsReplayOptions,
    positionals: [ID],
    examples: [["socket-gateway requests replay 0mx073qs80000 --field 'X-Test: 1' --times 3", 'three times, with a field more']],
    run: async (values, { id = '' }, context) => (await import('./requests/requests.ts')).runRequestsReplay(id, values, context),
  }),
  defineCommand({
    words: ['requests', 'har'],
    describe: 'Write what was recorded as a HAR file, to the standard output',
    options: requestsHarOptions,
    examples: [["socket-gateway requests har --socket shop --filter 'path:/pay' > pay.har", 'to open elsewhere']],
    run: async (values, _, context) => (await import('./requests/requests.ts')).runRequestsHar(values, context),
  }),
]
