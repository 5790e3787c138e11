/** Options of `http`. */
import { parseHostPattern } from '../../address/host.ts'
import { flag, listOf, optional, PORT, type Reader } from '../command/option.ts'
import { inspectOptions } from './inspect.ts'
import { clientOptions, connectOptions } from './client.ts'

const HOST: Reader<string> = {
  expected: 'a host name, or *.NAME, without a port',
  read: text => {
    try {
      return text === '*' ? undefined : parseHostPattern(text)
    } catch {
      return undefined
    }
  },
}

/** Options that a public name by a service has no use for. */
export const localOnlyOptions = {
  'app-port': optional(PORT, { describe: 'Port for clients', defaultText: '3000, or a free one' }),
  lan: flag('Let other machines of the network come as well, and print their address'),
  'allow-host': listOf(HOST, {
    describe: 'Further host name by which it may be asked for; repeatable. Others get 421, since a page of another site could use one',
    fallback: [],
  }),
} as const

const { port, host, name, label, protected: isProtected, username, password, quiet, insecure } = connectOptions

/** Options of `http`. */
export const httpOptions = {
  port,
  host,
  ...localOnlyOptions,
  qr: flag('Print the address as a QR code as well; on this machine alone that is --lan too'),
  'hidden-files': flag('Of a folder: files whose names begin with a dot as well'),
  protected: isProtected,
  username,
  password,
  local: flag('A gateway on this machine, also after a login'),
  name,
  label,
  quiet,
  insecure,
  ...inspectOptions,
  'drain-timeout': connectOptions['drain-timeout'],
  ...clientOptions,
} as const

/** Headings of `http --help`. */
export const httpGroups = {
  'Your service': ['port', 'host', 'hidden-files'],
  'On this machine': ['app-port', 'lan', 'qr', 'allow-host', 'local'],
  'Who may come': ['protected', 'username', 'password'],
  'The inspector': Object.keys(inspectOptions),
  'A public name by a service': ['server', 'name', 'label', 'api-token', 'ca', 'credentials', 'insecure'],
} as const
