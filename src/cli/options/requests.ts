/** Options of the commands that look at an inspector. */
import { choice, FILE, flag, integer, listOf, optional, TEXT, withDefault, type Reader } from '../command/option.ts'
import { clientOptions } from './client.ts'
import { statusOptions } from './status.ts'

/** `Name: value`; nothing behind the colon takes the field away. */
const FIELD: Reader<readonly [string, string]> = {
  expected: 'NAME: VALUE',
  read: text => {
    const colon = text.indexOf(':')
    return colon < 1 ? undefined : [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]
  },
}

const { server, 'api-token': apiToken, ca, credentials } = clientOptions

/** Where recorded requests are. */
export const requestPlaceOptions = {
  socket: optional(TEXT, {
    describe: 'A socket of the service that is inspected for you (socket update --inspect yes): its id, its public name, or its name',
    defaultText: 'an inspector',
  }),
  inspector: {
    ...statusOptions.admin,
    describe: 'Where the inspector is: its page, or the admin port of an outer layer; a URL, HOST:PORT, or a port',
    fallback: 'http://127.0.0.1:4040/',
    defaultText: 'http://127.0.0.1:4040',
  },
  'password-file': statusOptions['password-file'],
  server,
  'api-token': apiToken,
  ca,
  credentials,
} as const

/** Options of `requests`. */
export const requestsOptions = {
  filter: optional(TEXT, { describe: 'Only what the filter lets through, such as "status:5xx path:/api"' }),
  follow: { ...flag('Go on with what comes, until Ctrl-C'), aliases: ['f'] },
  limit: withDefault(integer(1, 1_000), 50, { describe: 'Most requests that are listed' }),
  json: flag('One JSON object for each line'),
  ...requestPlaceOptions,
} as const

/** Options of `requests har`. */
export const requestsHarOptions = {
  filter: optional(TEXT, { describe: 'Only what the filter lets through' }),
  ...requestPlaceOptions,
} as const

/** Options of `requests show`. */
export const requestsShowOptions = {
  as: optional(choice(['curl', 'fetch', 'httpie']), { describe: 'The request as a command instead' }),
  body: optional(choice(['request', 'response']), { describe: 'The bytes of a body alone' }),
  json: flag('As the inspector has it, in JSON'),
  ...requestPlaceOptions,
} as const

/** Options of `requests replay`. */
export const requestsReplayOptions = {
  method: optional(TEXT, { describe: 'Another method', defaultText: 'as recorded' }),
  path: optional(TEXT, { describe: 'Another path, with its query', defaultText: 'as recorded' }),
  field: {
    ...listOf(FIELD, { describe: 'A field instead of the recorded one, NAME: VALUE, or NAME: to leave it out; repeatable', fallback: [] }),
    aliases: ['H'],
  },
  'body-file': optional(FILE, { describe: 'File with another body', defaultText: 'as recorded' }),
  times: withDefault(integer(1, 100), 1, { describe: 'How often it is sent' }),
  concurrency: withDefault(integer(1, 10), 1, { describe: 'How many at a time' }),
  'allow-redacted': flag('Send *** where something was taken out'),
  json: flag('Print the results in JSON'),
  ...requestPlaceOptions,
} as const
