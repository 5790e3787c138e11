/** `tls`: TLS towards the origin. */
import { z } from 'zod'
import { parseOriginHost } from '../../address/host.ts'
import { given, mapIn, reachesOrigin, targetKey } from './key.ts'
import { file, flag, parsedBy, text } from './parts.ts'

/** Whom to trust, and as whom to come. */
export const tlsKey = targetKey({
  schema: {
    tls: z
      .strictObject(
        {
          ca: file.optional().meta({ description: 'Authorities to trust instead of the usual ones, PEM.' }),
          servername: text('expected a host name')
            .check(parsedBy(parseOriginHost, 'expected a host name: '))
            .optional()
            .meta({ description: 'Name in SNI and in the certificate; hostname when absent.' }),
          verify: flag.default(true).meta({ description: 'false: any certificate is accepted.' }),
          certificate: file.optional().meta({ description: 'Client certificate, PEM; with key.' }),
          key: file.optional().meta({ description: 'Its private key, PEM; nobody else may read the file.' }),
        },
        { error: 'expected a map with keys such as ca and servername' },
      )
      .optional()
      .meta({ description: 'TLS towards the origin. The outer layer reads the files when it reads this one.' }),
  },
  create: ({ tls }, { read }) => ({
    tls:
      tls &&
      given({
        ca: tls.ca === undefined ? undefined : read(tls.ca, 'certificate', ['tls', 'ca']),
        servername: tls.servername,
        verify: tls.verify ? undefined : (false as const),
        certificate: tls.certificate === undefined ? undefined : read(tls.certificate, 'certificate', ['tls', 'certificate']),
        key: tls.key === undefined ? undefined : read(tls.key, 'private key', ['tls', 'key']),
      }),
  }),
  *faults(keys) {
    const tls = mapIn(keys, 'tls')
    if (tls !== undefined && (tls['certificate'] === undefined) !== (tls['key'] === undefined))
      yield [['tls'], 'expected certificate and key together']
  },
  *effects(target) {
    const { tls } = target.profile ?? {}
    if (tls === undefined || !reachesOrigin(target)) return
    const name = tls.servername === undefined ? [] : [`as ${tls.servername}`]
    const own = tls.certificate === undefined ? [] : ['with a client certificate']
    const trust = tls.verify === false ? 'NOT verified' : tls.ca === undefined ? 'verified as usual' : 'verified with its own ca'
    yield ['tls', [trust, ...name, ...own].join(', ')]
  },
})
