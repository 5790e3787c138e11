/** HTML whose texts are escaped where they come in: nothing else makes it but `markup`, so a text cannot become an element by mistake. */
export class Markup {
  private constructor(readonly html: string) {}

  /** @param html  written by us, to the last character */
  static trusted(html: string): Markup {
    return new Markup(html)
  }
}

/** A part of a page: a text, which is escaped, markup, or several of them. */
export type Part = string | number | Markup | undefined | readonly Part[]

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
])

/** A text as it stands between tags, and within quotes in one. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, character => ENTITIES.get(character)!)

function htmlOf(part: Part): string {
  if (part === undefined) return ''
  if (part instanceof Markup) return part.html
  return typeof part === 'object' ? part.map(htmlOf).join('') : escapeHtml(String(part))
}

/** HTML with parts in it: ``markup`<p>${text}</p>` ``. An attribute with a part in it has quotes. */
export const markup = (strings: TemplateStringsArray, ...parts: readonly Part[]): Markup =>
  Markup.trusted(strings.reduce((html, string, index) => html + htmlOf(parts[index - 1]) + string))
