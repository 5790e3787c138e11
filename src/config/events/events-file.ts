/** The file of `--events`: text → configuration, or every fault with its place. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { messageOf } from '../../errors.ts'
import { SEVERITIES } from '../../events/catalogue.ts'
import { isNamePattern, type EventFilter } from '../../events/event-filter.ts'
import { ConfigError } from '../document/fault.ts'
import { validate } from '../document/validate.ts'
import { parseYaml } from '../document/yaml.ts'
import { duration, file as fileValue, integer, parsedBy, size, text } from '../keys/parts.ts'

const NAME = 'expected the name of an event such as inner-layer.lost, or certificate.* for all that begin so; see docs/events.md'
const SEVERITY = `expected ${SEVERITIES.join(', ')}`
const filterKeys = {
  events: z.array(text(NAME).refine(isNamePattern, { error: NAME }), { error: 'expected a list of names of events' }).optional(),
  severity: z.enum(SEVERITIES, { error: SEVERITY }).optional(),
  targets: z.array(text('expected the name of a target'), { error: 'expected a list of targets' }).optional(),
}

const URL_VALUE = 'expected a URL such as https://hooks.example.com/gateway, without a user and a password'
const isHook = (value: string): boolean => {
  if (!URL.canParse(value)) return false
  const { protocol, username, password } = new URL(value)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
}
/** Says nothing of what was given: the path of many such URLs is a secret. */
const hookUrl = text(URL_VALUE).check(
  parsedBy((value: string) => {
    if (!isHook(value)) throw new Error(URL_VALUE)
  }),
)

const SMTP = 'expected the URL of a mail server such as smtps://mail.example.com or smtp://name@mail.lan:587'
const ADDRESS = 'expected a mail address such as ops@example.com'
const address = text(ADDRESS).regex(/^[^\s@<>"\x00-\x1f\x7f]{1,64}@[a-z0-9.-]{1,190}$/i, { error: ADDRESS })

const schema = z.strictObject(
  {
    log: z
      .strictObject(
        { file: fileValue.optional(), maxSize: size.optional(), maxAge: duration.optional(), maxFiles: integer(0, 1_000).optional() },
        { error: 'expected a map with the keys file, maxSize, maxAge and maxFiles' },
      )
      .optional(),
    state: fileValue.optional(),
    webhooks: z
      .record(
        z.string(),
        z.strictObject(
          { url: hookUrl, secretFile: fileValue, ...filterKeys },
          { error: 'expected a map with the keys url, secretFile, events, severity and targets' },
        ),
        { error: 'expected a map of names to webhooks' },
      )
      .check(
        parsedBy((webhooks: Readonly<Record<string, unknown>>) => {
          const odd = Object.keys(webhooks).find(name => !/^[a-z0-9-]{1,40}$/.test(name))
          if (odd !== undefined)
            throw new Error(`expected a short name of lower-case letters, digits and dashes, got ${JSON.stringify(odd)}`)
        }),
      )
      .optional(),
    mail: z
      .strictObject(
        {
          smtp: text(SMTP)
            .check(
              parsedBy((value: string) => {
                if (!URL.canParse(value) || !/^smtps?:$/.test(new URL(value).protocol)) throw new Error(SMTP)
              }),
            )
            .optional(),
          from: address,
          to: z.array(address, { error: `${ADDRESS}, in a list` }).min(1, { error: 'expected at least one address' }),
          passwordFile: fileValue.optional(),
          every: duration.optional(),
          ...filterKeys,
        },
        { error: 'expected a map with the keys smtp, from, to, passwordFile, every, events, severity and targets' },
      )
      .optional(),
  },
  { error: 'expected a map with the keys log, state, webhooks and mail' },
)

/** One receiver of events. */
export interface WebhookConfig {
  readonly name: string
  readonly url: string
  readonly secretFile: string
  readonly filter: EventFilter
}

/** Receivers of events, and their filters. Paths are absolute. */
export interface EventsConfig {
  readonly log: { readonly path: string; readonly maxBytes: number; readonly maxAgeMs: number; readonly maxFiles: number }
  readonly stateDirectory: string
  readonly webhooks: readonly WebhookConfig[]
  readonly mail:
    | {
        /** Undefined: letters are files in the state directory. */
        readonly smtp: string | undefined
        readonly from: string
        readonly to: readonly string[]
        readonly passwordFile: string | undefined
        readonly everyMs: number
        readonly filter: EventFilter
      }
    | undefined
}

const DAY_MS = 86_400_000
const LOG = { maxSize: 10 * 1_048_576, maxAge: 14 * DAY_MS, maxFiles: 10 }
const EVERY_MS = 900_000

type FilterSource = Pick<NonNullable<z.output<typeof schema>['mail']>, keyof typeof filterKeys>

const filterOf = ({ events, severity, targets }: FilterSource): EventFilter => ({
  ...(events !== undefined && { names: events }),
  ...(severity !== undefined && { severity }),
  ...(targets !== undefined && { targets }),
})

/** Parses the file. @param file  its path, for faults; paths in it are relative to its folder @throws ConfigError CONFIG_INVALID with every fault */
export function parseEventsConfig(source: string, file: string): EventsConfig {
  const document = parseYaml(source, file)
  const { value, faults } = validate(document, schema)
  if (value === undefined || document.faults.length + faults.length > 0) throw new ConfigError([...document.faults, ...faults])
  const folder = path.dirname(path.resolve(file))
  const at = (name: string): string => path.resolve(folder, name)
  const { log = {}, webhooks = {}, mail } = value
  const stateDirectory = at(value.state ?? 'events-state')
  return Object.freeze({
    log: {
      path: log.file === undefined ? path.join(stateDirectory, 'events.ndjson') : at(log.file),
      maxBytes: log.maxSize ?? LOG.maxSize,
      maxAgeMs: log.maxAge ?? LOG.maxAge,
      maxFiles: log.maxFiles ?? LOG.maxFiles,
    },
    stateDirectory,
    webhooks: Object.entries(webhooks).map(([name, hook]) => ({
      name,
      url: hook.url,
      secretFile: at(hook.secretFile),
      filter: filterOf(hook),
    })),
    mail:
      mail === undefined
        ? undefined
        : {
            smtp: mail.smtp,
            from: mail.from,
            to: mail.to,
            passwordFile: mail.passwordFile === undefined ? undefined : at(mail.passwordFile),
            everyMs: mail.every ?? EVERY_MS,
            filter: { severity: 'warning' as const, ...filterOf(mail) },
          },
  })
}

/** Reads the file. @throws ConfigError CONFIG_INVALID with every fault, FILE_UNREADABLE */
export async function readEventsConfig(file: string): Promise<EventsConfig> {
  const source = await readFile(file, 'utf8').catch((cause: unknown) => {
    const fault = { file, line: 0, column: 0, path: '', message: `cannot be read: ${messageOf(cause)}; docs/events.md says what it holds` }
    throw new ConfigError([fault], { code: 'FILE_UNREADABLE', cause })
  })
  return parseEventsConfig(source, file)
}
