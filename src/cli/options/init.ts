/** Options of `init outer` and `init inner`. */
import { parseJoinText } from '../../enrolment/join-text.ts'
import { FILE, flag, integer, listOf, optional, TEXT, withDefault, type Reader } from '../command/option.ts'

const HOST_URL: Reader<string> = {
  expected: 'HOST=URL, such as api.example.com=http://127.0.0.1:8080',
  read: text => (/^[^=\s]+=https?:\/\/[^\s/]+\/?$/i.test(text) ? text : undefined),
}

const JOIN: Reader<string> = {
  expected: 'what the outer layer has printed, in quotes: wss://HOST:PORT#NAME:SECRET:PIN',
  read: text => {
    try {
      return formatted(text)
    } catch {
      return undefined
    }
  },
}

function formatted(text: string): string {
  parseJoinText(text)
  return text
}

const shared = {
  directory: withDefault(FILE, '.', { describe: 'Folder for the files, which is made' }),
  force: flag('Replace files that are there'),
} as const

/** Options of `init outer`. */
export const initOuterOptions = {
  host: optional(TEXT, { describe: 'Host name of this machine, as clients and inner layers reach it', defaultText: 'asked for' }),
  name: optional(TEXT, { describe: 'Name of the inner layer that is invited, such as lan-a', defaultText: 'asked for' }),
  target: listOf(HOST_URL, {
    describe: 'Public host and the origin behind the inner layer, HOST=URL; repeatable; asked for',
    fallback: [],
  }),
  'app-port': withDefault(integer(1, 65_535, 'a port'), 3000, { describe: 'Port for clients' }),
  'socket-port': withDefault(integer(1, 65_535, 'a port'), 3001, { describe: 'Port for inner layers' }),
  ...shared,
} as const

/** Options of `init inner`. */
export const initInnerOptions = {
  join: optional(JOIN, { describe: 'What the outer layer has printed for this machine, in quotes', defaultText: 'asked for' }),
  allow: listOf(TEXT, { describe: 'HOST:PORT that may be reached; repeatable; asked for', fallback: [] }),
  ...shared,
} as const
