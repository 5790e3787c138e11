/** Pages that visitors see in a browser: one look, no script, nothing that is loaded. */
import { createHash } from 'node:crypto'
import { markup, Markup, type Part } from './markup.ts'
import { STYLE } from './style.ts'

/** One page. */
export interface Page {
  /** In the tab, and above the rest. */
  readonly title: string
  readonly body: Part
}

/** The page as HTML, whole. */
export const renderPage = ({ title, body }: Page): string =>
  markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${Markup.trusted(STYLE)}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`.html

/** Facts in small print: names with their values. */
export const facts = (rows: readonly (readonly [string, string])[]): Markup =>
  markup`<dl class="facts">${rows.map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

/**
 * Returns the Content-Security-Policy of a page: our style and nothing else, in nobody's frame.
 * @param formAction  sources that forms may send to, and be redirected to from there, such as `'self'`
 */
export const policyOf = (formAction = "'none'"): string =>
  `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action ${formAction}; frame-ancestors 'none'`
