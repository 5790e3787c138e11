/** Signatures of updates by a shared key, RFC 8945. */
import { createHmac } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { Class, nameBytes, Type, withAdditional } from './dns-message.ts'

/** A key that a server of the DNS knows. */
export interface TsigKey {
  readonly name: string
  readonly algorithm: TsigAlgorithm
  readonly secret: Buffer
}

/** The hash of a key. */
export type TsigAlgorithm = 'sha256' | 'sha384' | 'sha512'

/** The clocks may be so far apart, seconds. */
const FUDGE_S = 300

/**
 * Reads a key as `tsig-keygen` writes it: `key "NAME" { algorithm hmac-sha256; secret "…"; };`.
 * @param source  of the text, for messages, which never have the secret in them
 * @throws GatewayError KEY_INVALID
 */
export function parseTsigKey(text: string, source: string): TsigKey {
  const [, name] = /\bkey\s+"?([\w.-]{1,253})"?\s*\{/.exec(text) ?? []
  const [, algorithm] = /\balgorithm\s+"?hmac-(sha256|sha384|sha512)"?\s*;/i.exec(text) ?? []
  const [, secret] = /\bsecret\s+"([\w+/]{8,}={0,2})"\s*;/.exec(text) ?? []
  if (name === undefined || algorithm === undefined || secret === undefined)
    throw new GatewayError(
      'KEY_INVALID',
      `${source}: expected a key as "tsig-keygen" writes it, key "NAME" { algorithm hmac-sha256; secret "…"; };`,
    )
  return { name, algorithm: algorithm.toLowerCase() as TsigAlgorithm, secret: Buffer.from(secret, 'base64') }
}

const number = (value: number, bytes: number): Buffer => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

/** Signs a message. @param nowMs  milliseconds since 1970 */
export function signed(message: Buffer, { name, algorithm, secret }: TsigKey, nowMs: number): Buffer {
  const [owner, kind] = [nameBytes(name), nameBytes(`hmac-${algorithm}`)]
  const times = Buffer.concat([number(Math.floor(nowMs / 1_000), 6), number(FUDGE_S, 2)])
  const noError = Buffer.alloc(4) // error, and the length of other data
  // RFC 8945 §4.3.3
  const variables = Buffer.concat([owner, number(Class.ANY, 2), number(0, 4), kind, times, noError])
  const mac = createHmac(algorithm, secret).update(message).update(variables).digest()
  const data = Buffer.concat([kind, times, number(mac.length, 2), mac, message.subarray(0, 2), noError])
  const record = Buffer.concat([owner, number(Type.TSIG, 2), number(Class.ANY, 2), number(0, 4), number(data.length, 2), data])
  return withAdditional(message, record)
}
