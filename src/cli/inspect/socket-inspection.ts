/** Puts together what records the requests of sockets for their owners. */
import { performance } from 'node:perf_hooks'
import type { RequestsAnswer, RequestsChange, RequestsFollowing, RequestsQuestion } from '../../directory/socket-requests.ts'
import { GatewayError } from '../../errors.ts'
import { SecretNames } from '../../inspector/redact/secret-names.ts'
import type { SendAtEdge } from '../../inspector/replay/edge-replayer.ts'
import { answerRequests } from '../../inspector/sockets/answer-requests.ts'
import { RequestFollower } from '../../inspector/sockets/request-follower.ts'
import { SocketInspectors } from '../../inspector/sockets/socket-inspectors.ts'
import { SocketReplays } from '../../inspector/sockets/socket-replays.ts'
import type { Taps } from '../../tap/tap.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ValuesOf } from '../command/option.ts'
import type { outerInspectOptions } from '../options/inspect.ts'

/** One account may have such a part of the memory. */
const ACCOUNT_PART = 16
/** Answers go through another process whole. */
const MAX_BODY_BYTES = 262_144
/** Those who follow sockets at a time. */
const MAX_FOLLOWERS = 1_000

/** The options that count for sockets: their requests are neither kept on disk nor shown to the operator. */
export type SocketKeeping = Pick<
  ValuesOf<typeof outerInspectOptions>,
  'inspect-memory' | 'inspect-body' | 'inspect-redact' | 'inspect-show'
>

/** The sockets, as far as it matters here. */
export interface InspectedSockets {
  /** Does the owner of a socket want it? Undefined: the socket is gone. */
  isInspected(socketId: string): boolean | undefined
  /** The socket that a host is of now. @param host  in lower case */
  socketAt(host: string): string | undefined
}

/** The recorder of requests of sockets, which shows them to their owners. */
export interface SocketInspection {
  readonly taps: Taps
  /** Never rejects. */
  readonly answer: (question: RequestsQuestion) => Promise<RequestsAnswer>
  /** Tells what changes. @returns ends it @throws GatewayError INVALID for the filter, OVERLOADED */
  readonly follow: (following: RequestsFollowing, tell: (changes: readonly RequestsChange[]) => void) => () => void
  /** The layer that sends again what was recorded. */
  serves(layer: { readonly replay: SendAtEdge }): void
  close(): Promise<void>
}

/** Begins to record. @param tag  behind the ids of records, where several processes record */
export function createSocketInspection(values: SocketKeeping, sockets: InspectedSockets, log: Log, tag?: string): SocketInspection {
  const memory = values['inspect-memory']
  const inspectors = new SocketInspectors({
    budgetBytes: memory,
    accountBytes: Math.max(1_048_576, Math.floor(memory / ACCOUNT_PART)),
    bodyLimitBytes: Math.min(values['inspect-body'], MAX_BODY_BYTES),
    names: new SecretNames({ more: values['inspect-redact'], shown: values['inspect-show'] }),
    isInspected: socketId => sockets.isInspected(socketId),
    ...(tag !== undefined && { tag }),
    clock: () => performance.now(),
    nowMs: Date.now,
    onFault: thrown => log.error({ err: thrown }, 'internal fault in the inspector of sockets; what it looks at goes on'),
  })
  // The layer is made with the taps.
  let send: SendAtEdge | undefined
  const replays = new SocketReplays(
    inspectors,
    host => sockets.socketAt(host),
    request => (send === undefined ? Promise.reject(new GatewayError('DRAINING')) : send(request)),
  )
  const followers = new Set<RequestFollower>()
  return {
    taps: inspectors,
    answer: async question => (question.kind === 'replay' ? replays.answer(question) : answerRequests(inspectors, question)),
    follow: (following, tell) => {
      if (followers.size >= MAX_FOLLOWERS) throw new GatewayError('OVERLOADED', 'too many follow requests of sockets')
      const follower = new RequestFollower(inspectors, following, tell)
      followers.add(follower)
      return () => {
        follower.end()
        followers.delete(follower)
      }
    },
    serves: layer => void (send = request => layer.replay(request)),
    close: () => {
      for (const follower of followers) follower.end()
      return inspectors.close()
    },
  }
}
