/** The things that an inner layer has joined with: the key, and the certificate to trust beside it. */
import { access } from 'node:fs/promises'
import { parseJoinText } from '../../enrolment/join-text.ts'
import { GatewayError } from '../../errors.ts'

/** Options that a joined inner layer need not give. */
export interface JoinValues {
  readonly join: string | undefined
  readonly 'private-key': string | undefined
  readonly 'outer-layer': readonly string[]
  readonly 'outer-layer-ca': string | undefined
  readonly identifier: string | undefined
}

/** The file of the key where none is named. */
export const KEY_FILE = 'innerLayer.key'

/** Says whether there is such a file. */
export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** The certificate to trust stands beside the key. */
export const trustFileOf = (keyFile: string): string => `${keyFile.replace(/\.key$/, '')}.outer-layer.crt`

/**
 * The options of an inner layer that has joined by this text, for a look at them: nobody joins.
 * @throws GatewayError USAGE while it has not
 */
export async function afterJoining<Values extends JoinValues>(options: Values): Promise<Values> {
  const { join: text, 'private-key': key = KEY_FILE } = options
  if (text === undefined) return options
  if (await exists(key)) return asJoined(options, text)
  throw new GatewayError('USAGE', `${key} is not there: nobody has joined with this --join yet; start inner-layer with it first`)
}

/** The options with what the text and the files beside the key give. @throws GatewayError USAGE */
export async function asJoined<Values extends JoinValues>(
  options: Values,
  text: string,
): Promise<Values & { readonly 'private-key': string }> {
  const { 'private-key': given = KEY_FILE, 'outer-layer-ca': caFile } = options
  const invitation = parseJoinText(text)
  const trustFile = trustFileOf(given)
  const isTrusted = caFile === undefined && (await exists(trustFile))
  return {
    ...options,
    'private-key': given,
    'outer-layer': options['outer-layer'].length > 0 ? options['outer-layer'] : [invitation.url],
    identifier: options.identifier ?? invitation.identifier,
    'outer-layer-ca': isTrusted ? trustFile : caFile,
  }
}
