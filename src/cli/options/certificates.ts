import { choice, FILE, flag, integer, listOf, optional, TEXT } from '../command/option.ts'

/** Options of `certificates`. */
export const certificatesOptions = {
  'private-key': optional(FILE, {
    describe: 'File to write the private key to, readable by its owner only',
    defaultText: 'innerLayer.key; server.key with --server, ca.key with --ca',
  }),
  certificate: optional(FILE, {
    describe: 'File to write the certificate to',
    aliases: ['public-key'],
    defaultText: 'innerLayer.crt; server.crt with --server, ca.crt with --ca',
  }),
  'common-name': optional(TEXT, {
    describe: 'Common name of the certificate, 1 to 64 characters',
    defaultText: 'inner-layer; with --server the first name, with --ca "socket-gateway CA"',
  }),
  server: listOf(TEXT, {
    describe:
      'Mint for a server with this host name, wildcard or IP address instead of an inner layer; repeatable, or with commas. Signed by itself unless --signed-by says otherwise',
    aliases: ['self-signed'],
    fallback: [],
  }),
  // SG_CA is that of the commands of a service: a file.
  ca: { ...flag('Mint an authority that signs others, for --signed-by; as a variable SG_MINT_CA'), variable: 'SG_MINT_CA' },
  'signed-by': optional(TEXT, {
    describe: 'CA.crt or CA.crt,CA.key: the authority that signs; without its key, the file of the same name with .key',
    defaultText: 'by its own key',
  }),
  validity: optional(integer(1, 1000), {
    describe: 'Years that the certificate is valid',
    defaultText: '100; 2 with --server, 10 with --ca',
  }),
  type: optional(choice(['rsa', 'ec'] as const), {
    describe: 'Type of the key: rsa (4096 bits) or ec (P-256)',
    defaultText: 'rsa; ec with --server and --ca',
  }),
  force: flag('Overwrite existing files'),
} as const
