/** The table of actions in docs/service.md has what the source writes, and nothing else. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'

const ROOT = join(import.meta.dirname, '..', '..')
const ACTION = /(?:account|session|token|socket|visitor|domain|tunnel|ssh-key|ssh|inner|join-token)\.[a-z-]+/

test('the actions of the audit log are those of the page', () => {
  const files = readdirSync(join(ROOT, 'src/service'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
  // Events that accounts are told of are no lines of the audit log.
  const source = files
    .map(name => readFileSync(join(ROOT, 'src/service', name), 'utf8'))
    .join('\n')
    .replace(/\.tell\(\s*'[^']*'/g, '')
  const written = [...source.matchAll(new RegExp(`'(${ACTION.source})'`, 'g'))].map(match => match[1]!)
  const page = readFileSync(join(ROOT, 'docs/service.md'), 'utf8')
  const [section = ''] = /^## Audit log\n[^]*?(?=^## )/m.exec(page) ?? []
  const told = [...section.matchAll(new RegExp(`\`(${ACTION.source})\``, 'g'))].map(match => match[1]!)
  expect([...new Set(told)].sort()).toEqual([...new Set(written)].sort())
})
