/** Puts together what records the requests of sockets for their owners. */
import { performance } from 'node:perf_hooks'
import type { RequestsAnswer, RequestsQuestion } from '../../directory/socket-requests.ts'
import { SecretNames } from '../../inspector/redact/secret-names.ts'
import { answerRequests } from '../../inspector/sockets/answer-requests.ts'
import { SocketInspectors } from '../../inspector/sockets/socket-inspectors.ts'
import type { Taps } from '../../tap/tap.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ValuesOf } from '../command/option.ts'
import type { outerInspectOptions } from '../options/inspect.ts'

/** One account may have such a part of the memory. */
const ACCOUNT_PART = 16
/** Answers go through another process whole. */
const MAX_BODY_BYTES = 262_144

/** The options that count for sockets: their requests are neither kept on disk nor shown to the operator. */
export type SocketKeeping = Pick<
  ValuesOf<typeof outerInspectOptions>,
  'inspect-memory' | 'inspect-body' | 'inspect-redact' | 'inspect-show'
>

/** The recorder of requests of sockets, which shows them to their owners. */
export interface SocketInspection {
  readonly taps: Taps
  readonly answer: (question: RequestsQuestion) => RequestsAnswer
  close(): Promise<void>
}

/** Begins to record. @param isInspected  says whether the owner of a socket wants it */
export function createSocketInspection(values: SocketKeeping, isInspected: (socketId: string) => boolean, log: Log): SocketInspection {
  const memory = values['inspect-memory']
  const inspectors = new SocketInspectors({
    budgetBytes: memory,
    accountBytes: Math.max(1_048_576, Math.floor(memory / ACCOUNT_PART)),
    bodyLimitBytes: Math.min(values['inspect-body'], MAX_BODY_BYTES),
    names: new SecretNames({ more: values['inspect-redact'], shown: values['inspect-show'] }),
    isInspected,
    clock: () => performance.now(),
    nowMs: Date.now,
    onFault: thrown => log.error({ err: thrown }, 'internal fault in the inspector of sockets; what it looks at goes on'),
  })
  return { taps: inspectors, answer: question => answerRequests(inspectors, question), close: () => inspectors.close() }
}
