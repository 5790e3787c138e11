/** The values behind the addresses of a PROXY header of version 2, by their type: read as §2.2 says it, and no more. */
export function valuesOf(header: Buffer): ReadonlyMap<number, Buffer> {
  const end = 16 + header.readUInt16BE(14)
  const values = new Map<number, Buffer>()
  for (let at = 16 + (header[13] === 0x21 ? 36 : 12); at < end;) {
    const length = header.readUInt16BE(at + 1)
    values.set(header[at]!, header.subarray(at + 3, at + 3 + length))
    at += 3 + length
  }
  return values
}
