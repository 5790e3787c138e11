/** Quotes an argument for a message: a name and password in a URL are left out, also where the scheme was forgotten. */
export const shown = (text: string): string =>
  JSON.stringify(text.replace(/\/\/[^/@\s]*@/, '//***@').replace(/^[^/@:\s]*:[^/@\s]+@/, '***@'))
