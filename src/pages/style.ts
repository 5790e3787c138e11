/** The look of all pages that visitors see, bright and dark. Classes: `facts` (small print), `action` (what to do), `fault`, `quiet` (a lesser button). */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5a6475;--ground:#f6f7f9;--card:#fff;--line:#d9dee6;--accent:#1d5fd0;--on-accent:#fff;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ink:#e7eaf0;--soft:#a1abbb;--ground:#12161d;--card:#1b212b;--line:#343d4b;--accent:#8ab4f8;--on-accent:#0d1420;--bad:#f2a29b}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
main{width:100%;max-width:34rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;overflow-wrap:anywhere}
h1{margin:0 0 .75rem;font-size:1.45rem;line-height:1.25}
h2{margin:1.25rem 0 .25rem;font-size:1rem}
p{margin:.5rem 0}
a{color:var(--accent)}
code,pre{font:.9em ui-monospace,monospace}
pre{margin:.5rem 0;padding:.6rem .8rem;background:var(--ground);border-radius:.4rem;white-space:pre-wrap}
.action{margin-top:1rem;padding:.1rem 0 .1rem .9rem;border-left:3px solid var(--accent)}
.fault{color:var(--bad)}
.facts{margin:1.5rem 0 0;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem;display:grid;grid-template-columns:auto 1fr;gap:.15rem 1rem}
.facts dd{margin:0;font-family:ui-monospace,monospace}
label{display:block;margin:.9rem 0 .25rem}
input:not([type=checkbox],[type=radio],[type=hidden]),select{width:100%;padding:.6rem .7rem;font:inherit;color:inherit;background:var(--ground);border:1px solid var(--soft);border-radius:.4rem}
button,.button{display:inline-block;margin-top:1rem;padding:.6rem 1.1rem;font:inherit;font-weight:600;color:var(--on-accent);background:var(--accent);border:1px solid var(--accent);border-radius:.4rem;text-decoration:none;cursor:pointer}
.quiet{color:var(--accent);background:none;border-color:var(--line)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
`
