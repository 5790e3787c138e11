/** Signatures of the Standard Webhooks specification (standardwebhooks.com, 1.0.0): HMAC-SHA256 over id, time and body. */
import { createHmac, randomBytes } from 'node:crypto'
import { GatewayError } from '../../errors.ts'

const PREFIX = 'whsec_'
/** The specification wants 24 to 64 bytes, and has an example of 18. */
const MIN_BYTES = 16
const MAX_BYTES = 64

/** Makes a secret, as receivers want to be given it. */
export const mintSecret = (): string => `${PREFIX}${randomBytes(32).toString('base64')}`

/** Reads a secret: `whsec_` and base64. @throws GatewayError KEY_INVALID, without the text */
export function readSecret(text: string): Buffer {
  const encoded = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : ''
  const bytes = Buffer.from(encoded, 'base64')
  const isWhole = bytes.toString('base64').replaceAll('=', '') === encoded.replaceAll('=', '')
  if (!isWhole || bytes.length < MIN_BYTES || bytes.length > MAX_BYTES)
    throw new GatewayError('KEY_INVALID', `expected ${PREFIX} and ${MIN_BYTES} to ${MAX_BYTES} bytes in base64`)
  return bytes
}

/** Fields of one attempt to deliver. @param seconds  since 1970, of this attempt: receivers refuse what is old */
export function signedFields(secret: Buffer, id: string, seconds: number, body: string): Readonly<Record<string, string>> {
  const signature = createHmac('sha256', secret).update(`${id}.${seconds}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': `v1,${signature}` }
}
