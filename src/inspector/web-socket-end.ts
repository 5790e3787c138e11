import type { ErrorCode } from '../errors.ts'
import type { TapEnd } from '../tap/tap.ts'
import type { CloseInfo } from './kept/record.ts'
import type { CloseFrame } from './messages/web-socket-reader.ts'

/** The end of a WebSocket, as far as it was seen. */
export interface SeenEnd {
  /** In the order in which they came. */
  readonly frames: readonly CloseFrame[]
  /** The side whose half of the connection ended first. */
  readonly firstToEnd: 'client' | 'origin' | undefined
  readonly end: TapEnd
}

/** Meanings of RFC 6455 §7.4.1 and of the registry of IANA. */
const MEANINGS: ReadonlyMap<number, string> = new Map([
  [1000, 'its purpose is fulfilled'],
  [1001, 'it is going away: a page that was left, a server that stops'],
  [1002, 'a protocol error'],
  [1003, 'data of a kind that it does not take'],
  [1005, 'no status was given'],
  [1007, 'text that is not UTF-8, or data that does not fit its message'],
  [1008, 'a rule of its own was broken'],
  [1009, 'a message that was too big'],
  [1010, 'the other side did not agree to an extension'],
  [1011, 'an error inside the server'],
  [1012, 'the server restarts'],
  [1013, 'the server is overloaded: try again later'],
  [1014, 'a server behind it failed'],
])

const GATEWAY_CODES: ReadonlyMap<ErrorCode, string> = new Map<ErrorCode, string>([
  [
    'IDLE_TIMEOUT',
    'The gateway ended it: nothing was sent for longer than its idle timeout. Send pings, or raise timeouts.idle of the target (--idle-timeout).',
  ],
  [
    'INNER_LAYER_LOST',
    'The connection between the gateway and its inner layer was lost, and this one with it. Neither side closed it; connect again.',
  ],
  [
    'LINK_DEAD',
    'The connection between the gateway and its inner layer went silent and was given up, and this one with it. Neither side closed it; connect again.',
  ],
  ['DRAINING', 'The gateway was stopped or started anew. Neither side closed it; connect again.'],
  ['GOING_AWAY', 'A part of the gateway was stopped. Neither side closed it; connect again.'],
  ['KEY_REMOVED', 'The gateway took its inner layer out of service. Neither side closed it.'],
  ['TAKEN_OVER', 'A newer login of the tunnel took its place. Neither side closed it; connect again.'],
  ['VISITOR_SESSION_OVER', 'The session of the visitor was over, so the gateway ended it. Log in again.'],
  ['INTERNAL', 'A fault of the gateway ended it; its log says more.'],
])

/** Says who ended a WebSocket, and why. */
export function webSocketEnd({ frames, firstToEnd, end }: SeenEnd): CloseInfo {
  const [first, second] = frames
  if (first !== undefined) return withFrame(first, second)
  const code = 1006
  const gateway = end.error === undefined ? undefined : GATEWAY_CODES.get(end.error)
  if (gateway !== undefined) return { code, reason: '', by: 'gateway', isClean: false, explanation: gateway }
  const why = end.reason === undefined || end.reason === '' ? '' : ` (${end.reason})`
  if (end.error?.startsWith('ORIGIN_') === true || (end.error === undefined && firstToEnd === 'origin'))
    return {
      code,
      reason: '',
      by: 'origin',
      isClean: false,
      explanation: `The origin ended its connection without a close frame${why}: its process died or was stopped, or a server in between cut it, often for its own idle timeout. Look into the log of the origin at this time.`,
    }
  if (end.error === 'CANCELLED' || (end.error === undefined && firstToEnd === 'client'))
    return {
      code,
      reason: '',
      by: 'client',
      isClean: false,
      explanation: `The client's connection ended without a close frame${why}: the page was closed or left, the network was lost, or a proxy on the way cut it.`,
    }
  return {
    code,
    reason: '',
    by: 'unknown',
    isClean: false,
    explanation: `It ended without a close frame${end.error === undefined ? '' : `, with ${end.error}`}${why}.`,
  }
}

function withFrame({ from, code, reason }: CloseFrame, answer: CloseFrame | undefined): CloseInfo {
  const meaning = MEANINGS.get(code) ?? (code >= 4000 && code < 5000 ? 'a status of the application' : 'a status that no standard has')
  const side = from === 'client' ? 'client' : 'origin'
  const said = reason === '' ? '' : `, saying "${reason}"`
  const heard = answer === undefined ? ' The other side did not answer with a close frame of its own before the connection was gone.' : ''
  return {
    code,
    reason,
    by: side,
    isClean: answer !== undefined,
    explanation: `The ${side} closed it with ${code} (${meaning})${said}.${heard}`,
  }
}
