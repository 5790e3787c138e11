/** Exchanges as programs and pages get to see them: JSON, redacted. docs/inspector.md has each member. */

import type { RecordedMessage, RecordedParts, RecordedRequest } from '../../recorded/request.ts'

export type {
  BodyInfo,
  CloseInfo,
  ExchangeKind,
  InterimAnswer,
  MessageHalf,
  NamedValue,
  Phases,
  ReplayOutcome,
} from '../../recorded/request.ts'

/** One line of the list. */
export interface RequestSummary extends RecordedRequest {
  readonly target: string | null
  readonly innerLayer: string | null
  readonly isImported: boolean
}

/** Everything that is known of one exchange, but for its bytes. */
export interface RequestDetail extends RequestSummary, RecordedParts {
  /** The error in words. */
  readonly reason: string | null
}

/** One message of a WebSocket, an event stream or a gRPC call; for its bytes there is a call of its own. */
export type MessageInfo = RecordedMessage

/** The state of an inspector. */
export interface InspectorState {
  readonly layer: 'inner' | 'outer'
  readonly budgetBytes: number
  readonly heldBytes: number
  readonly bodyLimitBytes: number
  readonly requests: number
  /** Requests that were seen since the start. */
  readonly seen: number
  /** Records that were not made, or were thrown out, since the budget was full. */
  readonly dropped: number
  /** Null: nothing is kept on disk. */
  readonly store: { readonly hours: number; readonly bytes: number; readonly fault: string | null } | null
}
