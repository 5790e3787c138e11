import { GatewayError } from '../errors.ts'

/** A letter to one person, plain text. */
export interface Letter {
  /** One address, without a name. */
  readonly to: string
  readonly subject: string
  readonly text: string
}

const MAX_SUBJECT = 200
const MAX_TEXT = 64 * 1_024
const MAX_ADDRESS = 254
/** Characters that would end a header field, begin another one, or add a recipient (RFC 5322 §2.2, §3.4). */
const UNSAFE_ADDRESS = /[\p{Cc}\p{Cf}\p{Z}<>()[\]\\,;:"]/u
const UNSAFE_LINE = /[\p{Cc}\p{Zl}\p{Zp}]/u
const UNSAFE_TEXT = /[^\P{Cc}\n\t]/u

const refuse = (why: string): never => {
  throw new GatewayError('INVALID', `the letter is not sent: ${why}`)
}

/**
 * Refuses what could become more than one letter to one person. Whoever writes letters checks what people type; this is behind it.
 * @throws GatewayError INVALID, without the address
 */
export function checkLetter({ to, subject, text }: Letter): void {
  const at = to.lastIndexOf('@')
  if (at < 1 || at === to.length - 1 || to.length > MAX_ADDRESS || UNSAFE_ADDRESS.test(to)) refuse('this is not one plain address')
  if (subject === '' || subject.length > MAX_SUBJECT || UNSAFE_LINE.test(subject)) refuse('its subject is not one line')
  if (text.length > MAX_TEXT || UNSAFE_TEXT.test(text)) refuse('its text is too long or has control characters')
}

/** Checks the address of the sender: `NAME <ADDRESS>` or an address. @throws GatewayError CONFIG_INVALID */
export function checkSender(from: string): void {
  const address = /^[^<>]*<([^<>]+)>$/.exec(from)?.[1] ?? from
  const at = address.lastIndexOf('@')
  if (UNSAFE_LINE.test(from) || at < 1 || at === address.length - 1 || UNSAFE_ADDRESS.test(address))
    throw new GatewayError('CONFIG_INVALID', 'mail.from: expected an address such as gateway@example.com, or NAME <ADDRESS>')
}
