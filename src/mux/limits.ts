import { GatewayError } from '../errors.ts'
import type { Limits } from '../wire/control.ts'
import { MAX_PAYLOAD_BYTES } from '../wire/frame.ts'

/** The limits that each side announces: 1,024 streams per session, each with 64 KiB of credit at first. */
export const DEFAULT_LIMITS: Limits = Object.freeze({ streams: 1_024, windowBytes: 65_536 })

/** Bytes by which all windows of one process together may outgrow their initial size. */
export const GROWTH_BUDGET_BYTES = 16 * 1_048_576

/** @throws GatewayError HEADERS_TOO_LARGE when `payload` does not fit into a frame */
export function assertFits(payload: Uint8Array): void {
  // The peer would end the session over a longer frame.
  if (payload.length > MAX_PAYLOAD_BYTES) throw new GatewayError('HEADERS_TOO_LARGE', `a head of ${payload.length} bytes`)
}
