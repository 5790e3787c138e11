/** Options of the commands for whoever says who may come. */
import { duration, FILE, flag, integer, listOf, optional, type Reader, required, TEXT, withDefault } from '../command/option.ts'

const DAY_MS = 86_400_000

/** The file of visitors, beside which commands keep what they make. */
const visitors = withDefault(FILE, 'visitors.yaml', {
  describe: 'File of logins, as the outer layer has it; what is made is kept beside it',
})

/** A text without controls, which may stand in logs, tables and fields. */
const LINE: Reader<string> = {
  expected: 'a text of 1 to 100 characters on one line',
  read: text => (text.length > 0 && text.length <= 100 && !/\p{C}/u.test(text) ? text : undefined),
}

/** A header field: name and value. */
const FIELD: Reader<readonly [name: string, value: string]> = {
  expected: 'a header field such as "X-Version: 2"',
  read: text => {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n]*)$/.exec(text) ?? []
    return name === undefined || value === undefined ? undefined : [name, value.trim()]
  },
}

/** Methods, as HTTP has them, or every one. */
const METHODS: Reader<string> = {
  expected: 'methods such as GET or GET,POST; * for all',
  read: text => (/^(?:\*|[A-Z][A-Z-]{0,30}(?:,[A-Z][A-Z-]{0,30})*)$/.test(text) ? text : undefined),
}

const methods = listOf(METHODS, { describe: 'Methods that are allowed, with commas between them; repeatable', fallback: ['*'] })

/** Options of `service-token create`. */
export const serviceTokenCreateOptions = {
  visitors,
  name: required(LINE, { describe: 'Name of the program, for logs and for the origin' }),
  target: listOf(LINE, { describe: 'Target that it may use, or a route, as the targets file has them; repeatable' }),
  methods,
  paths: listOf(TEXT, {
    describe: 'Paths that it may use: such as /a/b, or an expression that begins with ^; repeatable; every path when absent',
    fallback: [],
  }),
  expires: withDefault(duration(1_000, 3_650 * DAY_MS), 90 * DAY_MS, { describe: 'Time after which it ends: 12h, 90d' }),
  file: optional(FILE, {
    describe: 'File to write the token to, readable by its owner only; it is not printed then',
    defaultText: 'printed',
  }),
  json: flag('Print the answer in JSON'),
} as const

/** Options of `service-token ls`. */
export const serviceTokenListOptions = { visitors, json: flag('Print the list in JSON') } as const

/** Options of `service-token revoke`. */
export const serviceTokenRevokeOptions = { visitors, json: flag('Print the answer in JSON') } as const

/** Options of `visitors init`. */
export const visitorsInitOptions = {
  auth: required(TEXT, { describe: 'URL of the host for logins, such as https://auth.example.com, which leads to the app port' }),
  issuer: optional(TEXT, { describe: 'URL of an OpenID provider', defaultText: 'none: the file shows how it is written' }),
  'client-id': optional(TEXT, { describe: 'Id that the provider has given to this gateway', defaultText: 'socket-gateway' }),
  visitors,
  force: flag('Replace existing files; everybody who is logged in has to log in again'),
} as const

/** Options of `visitors rotate`. */
export const visitorsRotateOptions = { visitors } as const

/** Options of `visitors revoke`. */
export const visitorsRevokeOptions = {
  visitors,
  email: optional(TEXT, { describe: 'End all sessions of this e-mail address', defaultText: 'none' }),
  account: optional(TEXT, {
    describe: 'End all sessions of this account: PROVIDER|SUBJECT, the "sub" of its identity',
    defaultText: 'none',
  }),
  session: optional(TEXT, { describe: 'End this session, by the "sid" of its identity', defaultText: 'none' }),
  all: flag('End all sessions of everybody'),
} as const

/** Options of `share`. */
export const shareOptions = {
  visitors,
  ttl: withDefault(duration(1_000, 365 * DAY_MS), DAY_MS, { describe: 'Time after which the link ends: 30m, 2h, 7d' }),
  methods: listOf(METHODS, { describe: 'Methods that are allowed, with commas between them; repeatable', fallback: ['GET,HEAD'] }),
  'max-uses': optional(integer(1, 10_000), {
    describe: 'How often it may be opened; who has opened it stays in until it ends',
    defaultText: 'as often as one likes',
  }),
  email: optional(LINE, { describe: 'Address of the person that it is for, who has to log in', defaultText: 'anybody who has it' }),
  insecure: flag('Allow a link over http:// to another machine than this one'),
} as const

/** Options of `share ls`. */
export const shareListOptions = { visitors, json: flag('Print the list in JSON') } as const

/** Options of `share revoke`. */
export const shareRevokeOptions = { visitors } as const

/** Options of `targets explain`. */
export const targetsExplainOptions = {
  as: optional(LINE, { describe: 'Address of a person who has logged in: says whether access lets them in', defaultText: 'nobody' }),
  token: optional(TEXT, { describe: 'Service token or JWT that a program would send', defaultText: 'none' }),
  certificate: optional(FILE, { describe: 'Certificate that a client would show, in PEM', defaultText: 'none' }),
  directory: optional(FILE, {
    describe: 'File state/directory.json of the outer layer: explains sockets of the service too',
    defaultText: 'the targets file alone',
  }),
  header: listOf(FIELD, {
    describe: 'Header field of the request, such as "X-Version: 2", for routes with a condition; repeatable',
    fallback: [],
  }),
  visitors,
} as const
