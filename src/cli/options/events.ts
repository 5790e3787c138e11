import { SEVERITIES } from '../../events/catalogue.ts'
import { choice, flag, integer, listOf, optional, TEXT, withDefault } from '../command/option.ts'
import { clientOptions } from './client.ts'
import { statusOptions } from './status.ts'

const shown = {
  follow: { ...flag('Go on with what happens from now on, until the process is asked to end'), aliases: ['f'] },
  severity: optional(choice(SEVERITIES), { describe: 'Only what is so severe, or more', defaultText: 'all' }),
  limit: withDefault(integer(1, 1_000), 50, { describe: 'How many of the last events', aliases: ['n'] }),
}

/** Options of `events`. */
export const eventsOptions = {
  ...shown,
  name: listOf(TEXT, { describe: 'Only events of this name, or certificate.* for all that begin so; repeatable', fallback: [] }),
  target: listOf(TEXT, { describe: 'Only what concerns this target, or none in particular; repeatable', fallback: [] }),
  json: flag('Print one JSON object a line'),
  admin: statusOptions.admin,
  'password-file': statusOptions['password-file'],
} as const

/** Options of `account events`. */
export const accountEventsOptions = {
  ...shown,
  limit: withDefault(integer(1, 100), 50, { describe: 'How many of the last events', aliases: ['n'] }),
  name: optional(TEXT, { describe: 'Only events of this name, or tunnel.* for all that begin so', defaultText: 'all' }),
  all: flag('Of all accounts; for admins and auditors'),
  ...clientOptions,
} as const
