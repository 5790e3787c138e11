/** One part of a multipart body. */
export interface Part {
  readonly name: string
  readonly filename: string | undefined
  readonly type: string
  readonly bytes: Uint8Array
}

/** Takes a multipart body apart (RFC 2046 §5.1). @returns undefined when the type has no boundary */
export function readMultipart(bytes: Uint8Array, type: string): readonly Part[] | undefined {
  const boundary = /boundary="?([^";]{1,70})/i.exec(type)?.[1]
  if (boundary === undefined) return undefined
  // A character for each byte, so that indexes are the same.
  const text = latin1(bytes)
  const mark = `--${boundary}`
  const parts: Part[] = []
  let at = text.indexOf(mark)
  while (at >= 0) {
    const head = at + mark.length
    if (text.startsWith('--', head)) break
    const next = text.indexOf(`\n${mark}`, head)
    const bodyAt = text.indexOf('\r\n\r\n', head)
    const end = next < 0 ? text.length : text[next - 1] === '\r' ? next - 1 : next
    if (bodyAt < 0 || bodyAt > end) break
    const fields = text.slice(head, bodyAt)
    parts.push({
      name: parameterOf(fields, 'name') ?? '',
      filename: parameterOf(fields, 'filename'),
      type: /^content-type:[ \t]*([^\r\n]*)/im.exec(fields)?.[1] ?? 'text/plain',
      bytes: bytes.subarray(bodyAt + 4, Math.max(bodyAt + 4, end)),
    })
    at = next < 0 ? -1 : next + 1
  }
  return parts
}

function parameterOf(fields: string, name: string): string | undefined {
  const line = /^content-disposition:[^\r\n]*/im.exec(fields)?.[0] ?? ''
  const found = new RegExp(`;[ \\t]*${name}="([^"]*)"`, 'i').exec(line)?.[1]
  return found === undefined ? undefined : utf8(Uint8Array.from(found, character => character.charCodeAt(0)))
}

/** Bytes as a text with a character for each. */
export function latin1(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return text
}

/** Bytes as UTF-8, with a sign for what is none. */
export const utf8 = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
