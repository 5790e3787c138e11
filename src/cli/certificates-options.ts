import { choice, FILE, flag, integer, TEXT, withDefault } from './option.ts'

/** Options of `certificates`. */
export const certificatesOptions = {
  'private-key': withDefault(FILE, 'innerLayer.key', { describe: 'File to write the private key to, readable by its owner only' }),
  certificate: withDefault(FILE, 'innerLayer.crt', { describe: 'File to write the certificate to', aliases: ['public-key'] }),
  'common-name': withDefault(TEXT, 'inner-layer', { describe: 'Common name of the certificate, 1 to 64 characters' }),
  validity: withDefault(integer(1, 1000), 100, { describe: 'Years that the certificate is valid' }),
  type: withDefault(choice(['rsa', 'ec'] as const), 'rsa', { describe: 'Type of the key: rsa (4096 bits) or ec (P-256)' }),
  force: flag('Overwrite existing files'),
} as const
