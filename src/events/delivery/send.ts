import { request as requestHttp, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { messageOf } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import { AGENT } from '../../version.ts'

/** The outcome of one attempt: taken; not taken, try this one or all of them later; or the receiver wants no more at all. */
export type Outcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'later'; readonly reason: string; readonly isAboutAll: boolean; readonly afterMs?: number }
  | { readonly kind: 'gone'; readonly reason: string }

/** Sends one body. Never rejects. */
export type Send = (body: string, fields: Readonly<Record<string, string>>) => Promise<Outcome>

/** The longest time for one attempt, milliseconds. */
const TIMEOUT_MS = 15_000
const MAX_AFTER_MS = 3_600_000

/** Answers that say nothing about the one event that was sent. */
const ABOUT_ALL: ReadonlySet<number> = new Set([401, 403, 404, 405, 408, 425, 429])

/**
 * Sends to a URL of the operator, who may name hosts of a private network. Redirects are not followed: the place that was named is the one that gets
 * the events. Nothing of the answer is read but its status and Retry-After.
 */
export const sendTo =
  (url: URL, timeoutMs = TIMEOUT_MS): Send =>
  (body, fields) =>
    new Promise(resolve => {
      const later = (reason: string): void => resolve({ kind: 'later', reason, isAboutAll: true })
      const bytes = Buffer.from(body)
      const headers = { 'Content-Type': 'application/json', 'Content-Length': bytes.length, 'User-Agent': AGENT, ...fields }
      let sent: ClientRequest
      try {
        const request = url.protocol === 'https:' ? requestHttps : requestHttp
        sent = request(url, { method: 'POST', headers, agent: false })
      } catch (thrown) {
        return later(messageOf(thrown))
      }
      const fail = (thrown: unknown): void => {
        later(messageOf(thrown))
        sent.destroy()
      }
      const timer = setTimeout(
        guarded(fail, () => fail(new Error(`no answer within ${timeoutMs / 1000} s`))),
        timeoutMs,
      )
      sent.on('error', error => later(error.message))
      sent.on('close', () => {
        clearTimeout(timer)
        later('the connection was closed without an answer')
      })
      sent.on(
        'response',
        guarded(fail, (response: IncomingMessage) => {
          resolve(outcomeOf(response))
          response.on('error', () => undefined)
          sent.destroy()
        }),
      )
      sent.end(bytes)
    })

function outcomeOf({ statusCode: status = 0, headers }: IncomingMessage): Outcome {
  if (status >= 200 && status < 300) return { kind: 'taken' }
  if (status === 410) return { kind: 'gone', reason: 'it answers 410 (Gone), so it wants no more' }
  const redirect = status >= 300 && status < 400 ? ', a redirect, which is not followed' : ''
  const seconds = /^\d{1,6}$/.test(headers['retry-after'] ?? '') ? Number(headers['retry-after']) : undefined
  return {
    kind: 'later',
    reason: `it answers ${status}${redirect}`,
    isAboutAll: status >= 500 || status < 400 || ABOUT_ALL.has(status),
    ...(seconds !== undefined && { afterMs: Math.min(seconds * 1_000, MAX_AFTER_MS) }),
  }
}
