/** Numbers as people read them. */

/** A span, seconds → "3 min". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 172_800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
  return `${Math.floor(s / 86_400)} d`
}

/** Says how long ago a time was. */
export const ago = (iso: string | number, now = Date.now()): string =>
  duration((now - (typeof iso === 'number' ? iso : Date.parse(iso))) / 1000)

/** Bytes in powers of 1024. */
export function bytes(n: number): string {
  if (n < 1024) return `${Math.round(n)} B`
  if (n < 1_048_576) return `${(n / 1024).toFixed(1)} KiB`
  return n < 1_073_741_824 ? `${(n / 1_048_576).toFixed(1)} MiB` : `${(n / 1_073_741_824).toFixed(1)} GiB`
}

/** Milliseconds; a dash for what was not measured. */
export function ms(n: number | null | undefined): string {
  if (n === null || n === undefined || n === 0) return '–'
  if (n >= 10_000) return `${(n / 1000).toFixed(1)} s`
  return n < 10 ? `${n.toFixed(1)} ms` : `${Math.round(n)} ms`
}

/** 12,345. */
export const count = (n: number): string => n.toLocaleString('en')

/** 1 target, 2 targets. */
export const plural = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`

/** A moment in the time of the reader, to the second. */
export const moment = (iso: string | number): string => {
  const date = new Date(iso)
  return Number.isNaN(date.getTime()) ? '–' : date.toLocaleString('sv')
}

/** The time of the day, to the millisecond. */
export const clockTime = (atMs: number): string => {
  const date = new Date(atMs)
  return `${date.toLocaleTimeString('sv')}.${String(date.getMilliseconds()).padStart(3, '0')}`
}
