/** The shape of the section `tcp` of the targets file; keys of its maps (ports, names) are checked in `tcp-ports.ts`. */
import { z } from 'zod'
import { parseOriginHost } from '../address/host.ts'
import { certificateNames } from './keys/access.ts'
import { duration, flag, identifiers, integer, originPort, parsedBy, ranges } from './keys/parts.ts'

const PORTS = 'expected an integer from 1 to 65535, or a range such as "30000-30010"'
const portOrRange = z.union([originPort, z.string({ error: PORTS }).regex(/^\d{1,5}-\d{1,5}$/, { error: PORTS })], { error: PORTS })

const hostname = z
  .string({ error: 'expected the host name or IP address of the origin' })
  .check(parsedBy(parseOriginHost, 'expected a host name or IP address: '))
  .meta({
    description: 'Host name or IP address of the origin, as the inner layer reaches it.',
    examples: ['db.internal', '10.0.0.7', '::1'],
  })

const identifier = identifiers
  .optional()
  .meta({ description: 'Inner layers that may serve it; any connected one when absent.', examples: ['inner-layer', ['lan-1', 'lan-2']] })

const nameSchema = z
  .strictObject(
    {
      hostname,
      port: originPort.optional().meta({ description: 'Port of the origin; the same as the public one when absent.' }),
      identifier,
    },
    { error: 'expected a map with the key hostname' },
  )
  .meta({ description: 'Where the connections for one name go.' })

/** Keys about what the origin is told of the client, and what operators are shown. */
export const proxyKeys = {
  inspect: flag.optional().meta({
    description:
      'Sizes and times of connections are kept for a while for the inspector of the outer layer (--inspect), their bytes with --inspect-bytes.',
    default: false,
  }),
  proxyProtocol: z
    .union([z.literal(false), z.literal(1), z.literal(2)], { error: 'expected false, 1 or 2' })
    .optional()
    .meta({
      description: 'Version of the PROXY protocol in which the origin is told who the client is, before its first byte.',
      default: false,
    }),
  identity: flag.optional().meta({
    description: 'Tells the origin in that header who the client has proven to be; needs proxyProtocol: 2.',
    default: false,
  }),
}

/** One entry: a port or a range of ports. */
export const tcpEntrySchema = z
  .strictObject(
    {
      hostname: hostname.optional(),
      port: portOrRange.optional().meta({
        description:
          'Port of the origin; the same as the public one when absent. For a range of public ports: one port for all of them, or a range of the same length.',
        examples: [22, '30000-30010'],
      }),
      names: z
        .record(
          z.string().meta({ description: 'TLS name (SNI): exact, "*.example.com" (one label), or "*" for every other one and for none.' }),
          nameSchema,
          { error: 'expected a map of TLS names to origins' },
        )
        .optional()
        .meta({ description: 'Several names on one port, instead of hostname; needs tls.' }),
      identifier,
      host: z
        .string({ error: 'expected an address of this machine' })
        .min(1, { error: 'expected an address of this machine' })
        .optional()
        .meta({ description: 'Address to listen on; all, IPv4 and IPv6, when absent.', examples: ['127.0.0.1'] }),
      tls: z
        .union([z.boolean(), z.literal('passthrough')], { error: 'expected true, false or "passthrough"' })
        .optional()
        .meta({
          description:
            'true: the outer layer ends TLS with the certificates of --tls-certificate, and the origin gets plain TCP. "passthrough": TLS is carried on unopened, its name (SNI) is read.',
          default: false,
        }),
      clientCa: z
        .string({ error: 'expected the name of a file' })
        .min(1, { error: 'expected the name of a file' })
        .optional()
        .meta({ description: 'File with the authorities of client certificates, which are then demanded; needs tls: true.' }),
      clientCrl: z.string({ error: 'expected the name of a file' }).min(1, { error: 'expected the name of a file' }).optional().meta({
        description:
          'File with lists of revoked certificates in PEM, one for each authority in the chain; nothing is asked of them when absent; needs clientCa.',
      }),
      clientNames: certificateNames.optional().meta({
        description:
          'Names that a client certificate has to have one of, as access.certificates.names has them; all of clientCa when absent.',
        examples: [['*.staff.example.com', 'ada@example.com']],
      }),
      allow: ranges.optional().meta({
        description: 'Addresses of clients that may connect; everybody when absent.',
        examples: [['192.0.2.0/24', '2001:db8::/32']],
      }),
      deny: ranges.optional().meta({ description: 'Addresses of clients that may not, whatever allow says.' }),
      maxConnections: integer(1, 1_000_000)
        .optional()
        .meta({ description: 'Connections at a time, of each port; more are refused at once.', default: 1000 }),
      maxConnectionsPerAddress: integer(1, 1_000_000).optional().meta({
        description:
          'Connections of one address (IPv6: /64) at a time, of each port, proxies of --trust-proxy apart; more are refused at once.',
        default: 256,
      }),
      idle: duration.optional().meta({
        description: 'Time without a byte in either direction, then the connection is cut; never when absent.',
        examples: [600_000, '10m'],
      }),
      ...proxyKeys,
    },
    { error: 'expected a map with the key hostname' },
  )
  .meta({ description: 'A public port of the outer layer, or a range of them, and where its connections go.' })

/** The section: port or range → entry. */
export const tcpSchema = z
  .record(
    z.string().meta({ description: 'A port, or a range such as "20000-20010".', pattern: '^\\d{1,5}(-\\d{1,5})?$' }),
    tcpEntrySchema,
    {
      error: 'expected a map of ports to origins',
    },
  )
  .meta({ description: 'Public ports whose connections are carried as they are, whatever protocol they speak.' })
