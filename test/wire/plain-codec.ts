/** The codec again, written for the eye: slow, and in no line like the one under test. */

export interface PlainFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Uint8Array
}

const bigEndian = (value: number, bytes: number): number[] => {
  const digits: number[] = []
  for (let i = bytes - 1; i >= 0; i--) digits.push(Math.floor(value / 256 ** i) % 256)
  return digits
}

const number = (bytes: readonly number[]): number => bytes.reduce((value, byte) => value * 256 + byte, 0)

/** Frames → one message. */
export const plainEncode = (frames: readonly PlainFrame[]): number[] =>
  frames.flatMap(({ type, flags, stream, payload }) => [...bigEndian(payload.length, 3), type, flags, ...bigEndian(stream, 4), ...payload])

/** One message → its frames, or 'invalid'. */
export const plainDecode = (message: readonly number[]): PlainFrame[] | 'invalid' => {
  const frames: PlainFrame[] = []
  let rest = message
  while (rest.length > 0) {
    if (rest.length < 9) return 'invalid'
    const length = number(rest.slice(0, 3))
    const stream = number(rest.slice(5, 9))
    if (length > 65_536 || stream >= 2 ** 31 || rest.length < 9 + length) return 'invalid'
    frames.push({ type: rest[3]!, flags: rest[4]!, stream, payload: Uint8Array.from(rest.slice(9, 9 + length)) })
    rest = rest.slice(9 + length)
  }
  return frames.length === 0 || frames.length > 1_024 ? 'invalid' : frames
}
