/** Bytes as lines: offset, sixteen bytes in hex, the same as characters. @param max  bytes that are shown */
export function hexLines(bytes: Uint8Array, max = 65_536): readonly string[] {
  const lines: string[] = []
  for (let at = 0; at < Math.min(bytes.length, max); at += 16) {
    const row = bytes.subarray(at, Math.min(at + 16, max))
    const hex = Array.from(row, (byte, i) => `${i === 8 ? ' ' : ''}${byte.toString(16).padStart(2, '0')}`).join(' ')
    const text = Array.from(row, byte => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(48)}  ${text}`)
  }
  return lines
}
