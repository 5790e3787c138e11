/** Hands letters over to a server, one connection each. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Transporter } from 'nodemailer'
import { GatewayError, messageOf } from '../errors.ts'
import type { Letter } from './letter.ts'
import type { SmtpPlace } from './smtp-url.ts'

/** Limits, milliseconds. */
export interface SmtpTimes {
  /** Until there is a connection, and until the server greets. */
  readonly connectMs: number
  /** Without a byte from the server. */
  readonly silentMs: number
  /** For one letter, all in all. */
  readonly totalMs: number
}

export const SMTP_TIMES: SmtpTimes = { connectMs: 10_000, silentMs: 30_000, totalMs: 90_000 }

/** A failure to deliver a letter. `never`: the server does not want this one. `later`: this one not now. `server`: none goes now. */
export class DeliveryFault extends Error {
  constructor(
    readonly again: 'never' | 'later' | 'server',
    message: string,
  ) {
    super(message)
  }
}

/** A letter on its way, which is the same letter whenever it is tried: whoever gets it twice can tell by its id. */
export interface Delivery {
  readonly letter: Letter
  readonly messageId: string
}

/** Brings one letter to where it has to go. @throws DeliveryFault */
export type Deliver = (delivery: Delivery) => Promise<void>

/** Returns an id for the Message-ID field, without the name of this machine. */
export const messageIdOf = (from: string): string => `<${randomUUID()}@${from.slice(from.lastIndexOf('@') + 1).replace(/>$/, '')}>`

/** @throws GatewayError CONFIG_INVALID where the certificates cannot be read */
export async function createSmtp(
  place: SmtpPlace,
  from: string,
  { connectMs, silentMs, totalMs }: SmtpTimes,
): Promise<{ readonly deliver: Deliver; readonly close: () => void }> {
  const ca = place.caFile === undefined ? undefined : await readCertificates(place.caFile)
  const { createTransport } = await import('nodemailer')
  const transport: Transporter = createTransport({
    host: place.host,
    port: place.port,
    secure: place.tls === 'immediate',
    requireTLS: place.tls === 'starttls',
    ignoreTLS: place.tls === 'off',
    ...(place.user !== undefined && { auth: { user: place.user, pass: place.password ?? '' } }),
    tls: { minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) },
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    dnsTimeout: connectMs,
    socketTimeout: silentMs,
    socketCloseTimeout: 1_000,
    maxResponseSize: 64 * 1_024,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const deliver: Deliver = async ({ letter: { to, subject, text }, messageId }) => {
    try {
      await transport.sendMail({
        from,
        to,
        subject,
        text,
        messageId,
        // A long link keeps whole: each reader undoes soft line breaks, not each one the flowed format.
        textEncoding: 'quoted-printable',
        // RFC 3834: nobody's holiday answers.
        headers: { 'Auto-Submitted': 'auto-generated' },
        signal: AbortSignal.timeout(totalMs),
      })
    } catch (thrown) {
      throw faultOf(thrown)
    }
  }
  return { deliver, close: () => transport.close() }
}

async function readCertificates(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new GatewayError('CONFIG_INVALID', `mail.smtp: ${file}: the certificates cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** Codes of nodemailer for what concerns one letter; the others are about the server, its name, TLS or the login. */
const OF_THE_LETTER = new Set(['EENVELOPE', 'EMESSAGE'])

/** RFC 5321 §4.2.1: a reply of 5yz is for good, one of 4yz for now. */
function faultOf(thrown: unknown): DeliveryFault {
  const { code, responseCode } = thrown as { code?: unknown; responseCode?: unknown }
  const message = messageOf(thrown)
  if (!OF_THE_LETTER.has(String(code))) return new DeliveryFault('server', message)
  return new DeliveryFault(typeof responseCode === 'number' && responseCode < 500 ? 'later' : 'never', message)
}
