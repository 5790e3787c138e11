import { GatewayError, messageOf } from '../../errors.ts'
import { PROVIDER_MS } from './provider.ts'

/** No answer of theirs that we want is longer. */
const MAX_BYTES = 262_144

/** The answer of a provider: JSON, or none that could be read. */
export interface OAuthAnswer {
  readonly status: number
  readonly value: unknown
}

/**
 * One call of a provider that has no library of its own. Redirects are not followed.
 * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection
 */
export async function callProvider(
  url: URL,
  init: { readonly method?: string; readonly headers: Record<string, string>; readonly body?: string },
): Promise<OAuthAnswer> {
  try {
    const answer = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(PROVIDER_MS) })
    if (answer.status >= 500) throw new Error(`status ${answer.status}`)
    return { status: answer.status, value: parsed(await textOfAnswer(answer)) }
  } catch (cause) {
    throw new GatewayError('VISITOR_PROVIDER_AWAY', `${url.origin}: ${messageOf(cause)}`, { cause })
  }
}

/** The text of an answer. @throws Error for one that is too long, as a rejection */
export async function textOfAnswer(answer: Response, maxBytes = MAX_BYTES): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  if (answer.body === null) return ''
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error('an answer that is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The map that an answer is; an empty one for everything else. */
export const mapOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : {}
