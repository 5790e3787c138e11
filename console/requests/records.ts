/** The shapes of the API of the inspector: docs/inspector.md. */
export type {
  BodyInfo,
  CloseInfo,
  InspectorState,
  MessageHalf,
  MessageInfo,
  NamedValue,
  Phases,
  RequestDetail,
  RequestSummary,
} from '../../src/inspector/record.ts'

/** Answer of a replay, for each time. */
export interface ReplayResult {
  readonly id: string | null
  readonly status: number | null
  readonly durationMs: number
  readonly error: string | null
}
