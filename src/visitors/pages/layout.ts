import { createHash } from 'node:crypto'
import type { VisitorAnswer } from '../../outer/access/visitor-check.ts'
import type { VisitorsConfig } from '../config.ts'
import type { Texts } from './texts.ts'

/** A piece of HTML: texts become one only by `html`, which escapes them. */
export class Html {
  constructor(readonly text: string) {}
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
])

const escaped = (text: string): string => text.replace(/[&<>"']/g, character => ENTITIES.get(character)!)

type Piece = string | Html | readonly Html[]

const textOf = (piece: Piece): string => {
  if (piece instanceof Html) return piece.text
  return typeof piece === 'string' ? escaped(piece) : piece.map(each => each.text).join('')
}

/** HTML with texts in it, each of them escaped. */
export const html = (parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html =>
  new Html(parts.map((part, i) => part + (i < pieces.length ? textOf(pieces[i]!) : '')).join(''))

const STYLE = `:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#57606a;--line:#d0d7de;--act:#0a5bc4;--on-act:#fff;--bad:#a40e26}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9da7b3;--line:#30363d;--act:#2f81f7;--on-act:#0d1117;--bad:#ff9492}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{max-width:30rem;margin:12vh auto 4rem;padding:0 1.25rem}header{margin-bottom:1.5rem;color:var(--soft);display:flex;align-items:center;gap:.75rem}
header img{max-height:3rem;max-width:10rem}h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}p{overflow-wrap:anywhere}
ul{list-style:none;padding:0}li,form{margin:.6rem 0}.do{display:block;width:100%;padding:.75rem 1rem;border:1px solid var(--act);border-radius:.5rem;background:var(--act);color:var(--on-act);font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}
.bad{color:var(--bad);font-weight:600}label{display:block}input{width:100%;padding:.65rem .75rem;border:1px solid var(--soft);border-radius:.5rem;background:var(--paper);color:var(--ink);font:inherit}
.also{background:transparent;color:var(--act);border-color:var(--line)}:focus-visible{outline:3px solid var(--act);outline-offset:3px}small{color:var(--soft)}`

// One piece: the policy names the bytes between the tags, in which a line break would be another style.
const STYLE_ELEMENT = new Html(`<style>${STYLE}</style>`)

const policyOf = (formsLeadTo: string | undefined): string =>
  [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    'img-src data:',
    `form-action 'self'${formsLeadTo === undefined ? '' : ` ${formsLeadTo}`}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ')

/** A page, before it is drawn. */
export interface Drawn {
  readonly status: number
  readonly title: string
  readonly body: Html
  readonly fields?: readonly string[]
  /** Another origin to which a form of the page leads in the end. */
  readonly formsLeadTo?: string
}

/** Draws a page: plain HTML, whose policy lets it do nothing but look like something. */
export function draw(
  { status, title, body, fields = [], formsLeadTo }: Drawn,
  { name, logo }: Pick<VisitorsConfig, 'name' | 'logo'>,
  texts: Texts,
): VisitorAnswer {
  const picture = logo === undefined ? html`` : html`<img src="data:${logo.type};base64,${logo.bytes.toString('base64')}" alt="" />`
  const page = html`<!doctype html>
    <html lang="${texts.language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} – ${name}</title>
        ${STYLE_ELEMENT}
      </head>
      <body>
        <main>
          <header>${picture}<span>${name}</span></header>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html> `
  const bytes = Buffer.from(page.text)
  return {
    status,
    fields: [
      ...['Content-Type', 'text/html; charset=utf-8', 'Content-Length', String(bytes.length), 'Content-Language', texts.language],
      ...['Cache-Control', 'no-store', 'Vary', 'Accept-Language', 'Content-Security-Policy', policyOf(formsLeadTo)],
      // Not no-referrer: forms of the page would come without their Origin then.
      ...['Referrer-Policy', 'same-origin', 'X-Content-Type-Options', 'nosniff', 'X-Frame-Options', 'DENY'],
      ...fields,
    ],
    body: bytes,
  }
}

/** The next step: a link that looks like a button. */
export const action = (href: string, text: string, isSecond = false): Html =>
  html`<p><a class="${isSecond ? 'do also' : 'do'}" href="${href}">${text}</a></p>`
