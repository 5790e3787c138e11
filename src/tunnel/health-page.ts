import type { ServerResponse } from 'node:http'
import type { ConnectionCount } from './connection-count.ts'

/** The answer of `/health`, at either end. `connections-used-percent` is a fraction, whatever its name says: programs rely on it. */
export const healthText = ({ active, max }: ConnectionCount): string =>
  `${JSON.stringify({ connections: active, 'max-connections': max, 'connections-used-percent': active / max }, null, 2)}\n`

/** Answers with text, as sokken does. */
export function answerText(response: ServerResponse, status: number, text: string, fields: readonly string[] = []): void {
  for (let i = 0; i + 1 < fields.length; i += 2) response.setHeader(fields[i]!, fields[i + 1]!)
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    ...(status !== 200 && { 'X-Content-Type-Options': 'nosniff' }),
    'Content-Length': Buffer.byteLength(text),
  })
  response.end(text)
}
