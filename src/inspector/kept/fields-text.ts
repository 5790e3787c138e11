import type { Fields } from '../../http/fields.ts'
import type { NamedValue } from './record.ts'

/**
 * Fields as one text, a line for each name and each value. A text of its own: a value that was cut out of a larger one would keep all of
 * that in memory, with what was redacted in it.
 */
export function fieldsText(fields: Fields): string {
  // Of fewer than two it would be no text of its own.
  const text = fields.length < 2 ? fields.map(ownText).join('') : fields.join('\n')
  return countLines(text) === Math.max(1, fields.length) ? text : fields.map(field => field.replaceAll('\n', ' ')).join('\n')
}

/** Names and values have no line of their own, but for those of a file that somebody has written. */
function countLines(text: string): number {
  let lines = 1
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++
  return lines
}

/** The fields of a text made by `fieldsText`. */
export function fieldsOf(text: string): string[] {
  return text === '' ? [] : text.split('\n')
}

/** The same by twos. */
export function namedValues(text: string): NamedValue[] {
  const fields = fieldsOf(text)
  const pairs: NamedValue[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) pairs.push([fields[i]!, fields[i + 1]!])
  return pairs
}

/** The first value of the field `name` (lower case) in a text made by `fieldsText`; undefined: there is none. */
export function fieldIn(text: string, name: string): string | undefined {
  const fields = fieldsOf(text)
  for (let i = 0; i + 1 < fields.length; i += 2) if (fields[i]!.toLowerCase() === name) return fields[i + 1]
  return undefined
}

/** `text` in memory of its own, which a part of another text has not. */
export const ownText = (text: string): string => {
  let isLatin1 = true
  for (let i = 0; i < text.length && isLatin1; i++) isLatin1 = text.charCodeAt(i) < 256
  return isLatin1 ? Buffer.from(text, 'latin1').toString('latin1') : Buffer.from(text, 'utf16le').toString('utf16le')
}
