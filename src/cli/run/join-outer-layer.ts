/** `inner-layer --join TEXT`: makes a key, has it taken by the outer layer that has invited, and goes on with it; the next time it is there. */
import { rm } from 'node:fs/promises'
import { join } from '../../enrolment/join-client.ts'
import { parseJoinText } from '../../enrolment/join-text.ts'
import { GatewayError, messageOf, type ErrorCode } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { proxyFor } from '../../net/http-proxy.ts'
import type { CliContext } from '../command/context.ts'
import { asJoined, exists, KEY_FILE, trustFileOf } from '../command/joined.ts'
import { refuseExisting, writeNewFiles } from '../command/new-files.ts'
import type { ValuesOf } from '../command/option.ts'
import type { innerLayerOptions } from '../options/layers.ts'

type InnerValues = ValuesOf<typeof innerLayerOptions>

/** Options of an inner layer that has its key. */
export type ReadyValues = InnerValues & { readonly 'private-key': string }

const OWNER_ONLY = 0o600
const EVERYBODY = 0o644
const VALIDITY_YEARS = 100
/** The outer layer has said that it does not take the key. */
const REFUSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['INVITATION_INVALID', 'RATE_LIMITED', 'INVALID', 'AUTH', 'KEY_INVALID'])

/**
 * The options with the key, the URL and the certificate that the invitation stands for.
 * @throws GatewayError USAGE; AUTH when somebody else answers; INVITATION_INVALID, OUTER_LAYER_LOST
 */
export async function withInvitation(options: InnerValues, context: CliContext): Promise<ReadyValues> {
  const { join: text, 'private-key': given = KEY_FILE } = options
  if (text === undefined) return { ...options, 'private-key': given }
  if (await exists(given)) context.stderr.write(`${given} is there: this inner layer has joined, and goes on with it\n`)
  else await joinWith(given, trustFileOf(given), options, context)
  return asJoined(options, text)
}

async function joinWith(keyFile: string, trustFile: string, options: InnerValues, context: CliContext): Promise<void> {
  const invitation = parseJoinText(options.join ?? '')
  await refuseExisting([keyFile, trustFile])
  const { mintKeyPair } = await import('../../identity/certificate.ts')
  const pair = await mintKeyPair({ type: 'ec', commonName: invitation.identifier, validityYears: VALIDITY_YEARS })
  const caFile = options['outer-layer-ca']
  const ca = caFile === undefined ? undefined : await readCertificates(caFile)
  // Before it is handed in: were the answer lost, the key would be, and the invitation has been used.
  await writeNewFiles([{ path: keyFile, mode: OWNER_ONLY, text: pair.privateKeyPem }], false)
  try {
    const proxy = options.proxy ?? proxyFor(new URL(invitation.url), context.env)
    const joined = await join({ invitation, certificate: pair.certificatePem, ca, proxy })
    if (joined.ca !== undefined) await writeNewFiles([{ path: trustFile, mode: EVERYBODY, text: joined.ca }], false)
    context.stderr.write(`joined as "${joined.identifier}": ${keyFile} is the key, readable by you only; the same line starts it again\n`)
  } catch (error) {
    await rm(keyFile, { force: true })
    if (error instanceof GatewayError && REFUSED.has(error.code)) throw error
    throw new GatewayError(
      'OUTER_LAYER_LOST',
      `${messageOf(error)}; nothing was kept here: try again, with another invitation where this one was used`,
      {
        cause: error,
      },
    )
  }
}
