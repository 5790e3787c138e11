import type { Socket } from '../service/model.ts'

/** Facts for the first lines of a session. */
export interface GreetingFacts {
  /** Such as "Welcome to edge.example.com!". */
  readonly welcome: string
  /** The host name of the door, for an example. */
  readonly host: string
  /** The port at which clients reach it; absent: 22. */
  readonly port?: number
  /** The public URL of a socket; the usual one when absent. */
  readonly urlOf?: (socket: Socket) => string
}

const RULE = '='.repeat(55)

/** The first lines of a session, as clients of MySocket show them. */
export const greetingLines = (facts: GreetingFacts, sockets: readonly Socket[]): string[] => [
  '',
  facts.welcome,
  ...sockets.map(socket => socketLine(facts, socket)),
  '',
  RULE,
  'Logs',
  RULE,
]

/** `name - https://dns`. */
export const socketLine = ({ urlOf = publicUrlOf }: GreetingFacts, socket: Socket): string => `${printable(socket.name)} - ${urlOf(socket)}`

/** For a session that asked for nothing. */
export const usageLines = (facts: GreetingFacts): string[] => [
  '',
  'This connection forwards no port, so there is nothing to show. For example:',
  `  ${exampleOf(facts)}`,
]

/** A command that forwards a port. */
export const exampleOf = ({ host, port = 22 }: GreetingFacts): string =>
  `ssh ${port === 22 ? '' : `-p ${port} `}-R 80:localhost:8000 ${host}`

/** The URL at which visitors reach a socket. */
export function publicUrlOf({ type, dnsName, ports }: Pick<Socket, 'type' | 'dnsName' | 'ports'>): string {
  const [port] = ports
  return type === 'http' || type === 'https' ? `https://${dnsName}` : `${type}://${dnsName}:${port ?? 0}`
}

/** Text of others for a terminal: control characters (also those of C1), and what turns the direction of text, are shown, not obeyed. */
export const printable = (text: string): string =>
  text.replace(
    /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
