/** The time for the whole answer. */
export const DEADLINE_MS = 5_000
const MAX_BYTES = 262_144

/**
 * Gets a document of an issuer: from this very URL, since redirects would lead to places that nobody has configured.
 * @throws Error, with a reason for the log
 */
export async function fetchJson(url: string): Promise<unknown> {
  const answer = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(DEADLINE_MS),
  })
  if (answer.status !== 200) {
    await answer.body?.cancel()
    throw new Error(`status ${answer.status}`)
  }
  return jsonOf((answer.body ?? []) as AsyncIterable<Uint8Array>)
}

/** Reads a document, up to a bound. @throws Error, with a reason for the log */
export async function jsonOf(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
}
