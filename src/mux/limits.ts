import type { Limits } from '../wire/control.ts'

/** The limits that each side announces: 1,024 streams per session, each with 64 KiB of credit at first. */
export const DEFAULT_LIMITS: Limits = Object.freeze({ streams: 1_024, windowBytes: 65_536 })

/** Bytes by which all windows of one process together may outgrow their initial size. */
export const GROWTH_BUDGET_BYTES = 16 * 1_048_576
