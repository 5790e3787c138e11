import type { ResponseHead } from '../../http/message.ts'

const FIELD = 'Server-Timing'
/** The field that the inner layer adds behind the fields of the origin, where its profile of the origin asks for that. */
const TIMING = /^connect;dur=(\d{1,9}\.\d), origin;dur=\d{1,9}\.\d$/

/** The time that a connection to the origin took, as the inner layer says; undefined: it does not say. */
export function connectMsOf({ fields }: ResponseHead): number | undefined {
  if (fields.at(-2) !== FIELD) return undefined
  const ms = TIMING.exec(fields.at(-1) ?? '')?.[1]
  return ms === undefined ? undefined : Number(ms)
}

/** The head without it. */
export const withoutInnerTiming = (head: ResponseHead): ResponseHead => ({ ...head, fields: head.fields.slice(0, -2) })
