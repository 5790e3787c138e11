/**
 * `text` as one word of a POSIX shell, whatever is in it: in single quotes nothing means anything but the quote that ends them.
 */
export const shellWord = (text: string): string => `'${text.replaceAll('\0', '').replaceAll("'", `'\\''`)}'`

/** `text` as a literal of JavaScript that also stands in HTML. */
export const scriptText = (text: string): string =>
  JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029').replaceAll('<', '\\u003c')
