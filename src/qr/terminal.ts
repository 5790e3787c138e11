import { qrCodeOf } from './qr-code.ts'

/** Light modules around the code. */
const QUIET = 2
/** Upper half and lower half of a character, each light or not. */
const BLOCKS = { '11': '█', '10': '▀', '01': '▄', '00': ' ' } as const
/** Light is bright white, dark is black, whatever the colours of the terminal are. */
const COLORS = '\u001b[97;40m'
const PLAIN = '\u001b[0m'

/**
 * The QR code of a text for a terminal, two rows in a line.
 * @param hasColor  without, it can be read where the terminal writes bright on dark, and by most cameras elsewhere
 * @returns lines with their ends; undefined when the text is too long for it
 */
export function formatQr(text: string, hasColor: boolean): string | undefined {
  const modules = qrCodeOf(text)
  if (modules === undefined) return undefined
  const isLight = (x: number, y: number): '0' | '1' => (modules[y]?.[x] === true ? '0' : '1')
  const from = -QUIET
  const to = modules.length + QUIET
  let lines = ''
  for (let y = from; y < to; y += 2) {
    let line = ''
    // Below an odd last row is nothing: it is as dark as the terminal.
    for (let x = from; x < to; x++) line += BLOCKS[`${isLight(x, y)}${y + 1 < to ? isLight(x, y + 1) : '0'}`]
    lines += hasColor ? `${COLORS}${line}${PLAIN}\n` : `${line}\n`
  }
  return lines
}
