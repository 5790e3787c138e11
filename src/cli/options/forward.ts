import { serviceOptions } from '../command/command.ts'
import { duration, FILE, flag, integer, optional, TEXT, withDefault } from '../command/option.ts'

/** Options of `token`. */
export const tokenOptions = {
  file: optional(FILE, {
    describe: 'File to write the token to, readable by its owner only; it is not printed then',
    defaultText: 'printed',
  }),
} as const

/** Options of `forward`. */
export const forwardOptions = {
  'token-file': optional(FILE, { describe: 'File with the token that opens the tunnels; readable by its owner only' }),
  'private-key': optional(FILE, {
    describe: 'File with the private key that opens the tunnels, instead of a token; readable by its owner only',
  }),
  'client-certificate': optional(FILE, {
    describe:
      'File with the certificate that opens the tunnels, and its chain, in PEM: where the gateway asks for one in TLS; with --client-key',
  }),
  'client-key': optional(FILE, {
    describe: 'File with the private key of --client-certificate, in PEM and without a passphrase; readable by its owner only',
  }),
  login: flag('Log in with a browser, on this or any other machine, where the tunnel lets people in who log in'),
  logins: optional(FILE, {
    describe: 'File in which logins are kept until they are over, readable by its owner only',
    defaultText: '~/.config/socket-gateway/tunnels.json',
  }),
  ca: optional(FILE, {
    describe: 'File with the certificates of the only authorities to trust for wss://',
    defaultText: 'those of Node.js and NODE_EXTRA_CA_CERTS',
  }),
  'max-connections': withDefault(integer(1, 1_000_000), 100, { describe: 'Connections at a time; more are reset' }),
  'api-listen': optional(TEXT, { describe: 'HOST:PORT of a health page, /health', defaultText: 'none' }),
  'connect-timeout': withDefault(duration(1), 40_000, {
    describe: 'Time from a connection to its open tunnel, the time that the inner layer needs included',
  }),
  'ping-interval': withDefault(duration(0), 25_000, {
    describe: 'Time without a byte of ours after which a ping is sent, for proxies that cut what is silent; 0: never',
  }),
  insecure: flag('Allow ws:// and http:// to other machines than this one'),
  ...serviceOptions,
} as const
