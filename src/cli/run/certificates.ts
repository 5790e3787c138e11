import { resolve } from 'node:path'
import { GatewayError } from '../../errors.ts'
import { mintKeyPair, readIssuer, type MintedPair, type Purpose } from '../../identity/certificate.ts'
import { parseHostPattern } from '../../address/host.ts'
import type { certificatesOptions } from '../options/certificates.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { refuseExisting, writeNewFiles } from '../command/new-files.ts'
import type { ValuesOf } from '../command/option.ts'

type Values = ValuesOf<typeof certificatesOptions>

/** The targets file that the quick start begins with. */
const EXAMPLE_TARGETS = '{"targets":{"localhost":{"protocol":"http","hostname":"127.0.0.1","port":8080}}}'

const KEY_MODE = 0o600
const CERTIFICATE_MODE = 0o644

/** Values for options that are not given: browsers refuse servers that are certified for long, and take EC keys, which are faster. */
const DEFAULTS = {
  client: { file: 'innerLayer', commonName: 'inner-layer', years: 100, type: 'rsa' },
  server: { file: 'server', commonName: 'server', years: 2, type: 'ec' },
  ca: { file: 'ca', commonName: 'socket-gateway CA', years: 10, type: 'ec' },
} as const

/** `text` as one word of a shell. */
const word = (text: string): string => (/^[\w./@%+:,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`)

/** Two colons: a port has one. */
const isBareIpv6 = (name: string): boolean => /^[^[]*:.*:/.test(name)

/** Names as a certificate has them: A-labels, addresses without brackets. @throws GatewayError USAGE */
function serverNames(values: readonly string[]): readonly string[] {
  const names = values.flatMap(value => value.split(',')).map(name => name.trim())
  return [
    ...new Set(
      names.map(name => {
        try {
          const host = parseHostPattern(isBareIpv6(name) ? `[${name}]` : name)
          if (host === '*') throw new GatewayError('USAGE', 'a lone * is no name')
          return host.replace(/^\[|\]$/g, '')
        } catch (cause) {
          throw new GatewayError(
            'USAGE',
            `--server ${JSON.stringify(name)}: expected a host name, a wildcard such as *.example.com, or an IP address`,
            { cause },
          )
        }
      }),
    ),
  ]
}

/** `CA.crt` alone has its key beside it. */
function issuerFiles(value: string): readonly [string, string] {
  const [certificate = '', named, ...more] = value.split(',')
  const key = named ?? `${certificate.replace(/\.[^./\\]*$/, '')}.key`
  if (certificate === '' || key === '' || more.length > 0)
    throw new GatewayError('USAGE', `--signed-by ${JSON.stringify(value)}: expected CA.crt or CA.crt,CA.key`)
  return [certificate, key]
}

/**
 * Mints a key pair and writes its two files: both or none, and never over existing ones unless `force` says so.
 * @throws GatewayError FILE_EXISTS, FILE_UNREADABLE, KEY_INVALID, USAGE
 */
export async function runCertificates(options: Values, context: CliContext): Promise<ExitStatus> {
  const names = serverNames(options.server)
  if (options.ca && names.length > 0)
    throw new GatewayError('USAGE', '--ca and --server: expected one of them; a server is signed by an authority with --signed-by')
  const purpose: Purpose = options.ca ? 'ca' : names.length > 0 ? 'server' : 'client'
  const defaults = DEFAULTS[purpose]
  const { 'private-key': keyPath = `${defaults.file}.key`, certificate: certificatePath = `${defaults.file}.crt` } = options
  if (resolve(keyPath) === resolve(certificatePath))
    throw new GatewayError('USAGE', `--private-key and --certificate are both ${keyPath}; expected two files`)
  if (!options.force) await refuseExisting([keyPath, certificatePath])
  const authority = options['signed-by'] === undefined ? undefined : issuerFiles(options['signed-by'])
  const type = options.type ?? defaults.type
  const [first] = names
  const commonName = options['common-name'] ?? (first !== undefined && first.length <= 64 ? first : defaults.commonName)
  const pair = await mintKeyPair({
    type,
    commonName,
    validityYears: options.validity ?? defaults.years,
    purpose,
    names,
    ...(authority !== undefined && { issuer: await readIssuer(...authority) }),
  })
  await writeNewFiles(
    [
      { path: keyPath, mode: KEY_MODE, text: pair.privateKeyPem },
      { path: certificatePath, mode: CERTIFICATE_MODE, text: pair.certificatePem },
    ],
    options.force,
  )
  const kind = type === 'rsa' ? 'RSA 4096' : 'EC P-256'
  const lines = NEXT[purpose]({ keyPath, certificatePath, kind, commonName, names, authority: authority?.[0], pair })
  context.stdout.write([...lines, ''].join('\n'))
  return 0
}

interface Written {
  readonly keyPath: string
  readonly certificatePath: string
  readonly kind: string
  readonly commonName: string
  readonly names: readonly string[]
  /** File of the certificate that signed it; undefined: its own key did. */
  readonly authority: string | undefined
  readonly pair: MintedPair
}

const signature = ({ authority, pair }: Written): string =>
  `${authority === undefined ? '' : `signed by ${authority}, `}valid until ${pair.notAfter.toISOString().slice(0, 10)}`

const hostInUrl = (name = 'localhost'): string => (isBareIpv6(name) ? `[${name}]` : name.replace('*', 'www'))

/** Lines about what was written, and the next steps. */
const NEXT: Readonly<Record<Purpose, (written: Written) => readonly string[]>> = {
  client: written => [
    `wrote ${written.keyPath}: private key (${written.kind}), readable by you only; it stays with the inner layer`,
    `wrote ${written.certificatePath}: certificate of "${written.commonName}", ${signature(written)}; give it to the outer layer`,
    `thumbprint of the key: ${written.pair.thumbprint}`,
    `next: write targets.yaml, which host leads where, such as: echo '${EXAMPLE_TARGETS}' > targets.yaml`,
    `then: socket-gateway outer-layer --public-key ${word(written.certificatePath)} --targets targets.yaml`,
    `then: socket-gateway inner-layer --private-key ${word(written.keyPath)} --outer-layer ws://localhost:3001${
      written.commonName === DEFAULTS.client.commonName ? '' : ` --identifier ${word(written.commonName)}`
    }`,
  ],
  server: written => [
    `wrote ${written.keyPath}: private key (${written.kind}), readable by you only`,
    `wrote ${written.certificatePath}: certificate of ${written.names.join(', ')}, ${signature(written)}`,
    `next: socket-gateway outer-layer --tls-certificate ${word(written.certificatePath)} --tls-key ${word(written.keyPath)} …`,
    `then: curl --cacert ${word(written.authority ?? written.certificatePath)} https://${hostInUrl(written.names[0])}:3000`,
  ],
  ca: written => [
    `wrote ${written.keyPath}: private key (${written.kind}), readable by you only; whoever has it can certify anything, so keep it away from the layers`,
    `wrote ${written.certificatePath}: authority "${written.commonName}", ${signature(written)}; give it to whoever has to trust it`,
    `next: socket-gateway certificates --server localhost --signed-by ${word(`${written.certificatePath},${written.keyPath}`)}`,
  ],
}
