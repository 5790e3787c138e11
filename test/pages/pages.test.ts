import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { escapeHtml, markup } from '../../src/pages/markup.ts'
import { facts, policyOf, renderPage } from '../../src/pages/page.ts'

describe('markup', () => {
  test('escapes every text, once', () => {
    expect(markup`<p title="${'"><script>'}">${'a & b'}</p>`.html).toBe('<p title="&quot;&gt;&lt;script&gt;">a &amp; b</p>')
    expect(markup`${[markup`<b>${1}</b>`, undefined, "it's"]}`.html).toBe('<b>1</b>it&#39;s')
  })

  test('no text brings an element, or leaves its quotes', () => {
    fc.assert(fc.property(fc.string(), text => !/[<>"']/.test(escapeHtml(text))))
  })
})

describe('page', () => {
  const page = renderPage({ title: 'A <title>', body: [markup`<p>text</p>`, facts([['code', 'X']])] })

  test('has its title twice, escaped, and its body', () => {
    expect(page.match(/A &lt;title&gt;/g)).toHaveLength(2)
    expect(page).toContain('<p>text</p><dl class="facts"><dt>code</dt><dd>X</dd></dl>')
  })

  test('has a policy that allows the style that is in it, and neither scripts nor frames', () => {
    const style = /<style>([^]*)<\/style>/.exec(page)?.[1] ?? ''
    expect(policyOf()).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`)
    expect(policyOf()).toContain("default-src 'none'")
    expect(policyOf()).not.toContain('script-src')
    expect(policyOf("'self'")).toContain("form-action 'self'; frame-ancestors 'none'")
  })

  test('loads nothing', () => expect(page).not.toMatch(/<script|<link|<img|url\(|@import|https?:/))
})
