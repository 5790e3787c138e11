/** docs/api.md: its tables and its examples. */
import { describe, expect, test } from '@jest/globals'
import { withTables } from '../../scripts/api-page.ts'
import { blocksOf, readPage } from '../readme/markdown.ts'
import { startApi } from '../support/api.ts'
import { programPath, testWith } from '../support/needs.ts'
import { runProcess } from '../support/process.ts'

const page = readPage('docs/api.md')

describe('docs/api.md', () => {
  test('has the tables that scripts/api-page.ts writes', () => {
    expect(withTables(page)).toBe(page)
  })

  testWith(['curl'], 'has examples that do what they say', async () => {
    const api = await startApi({
      logs: {
        watch: async function* () {
          yield { text: 'GET /' }
        },
      },
    })
    const examples = blocksOf(page, 'sh')
      .join('echo\n')
      .replace('https://api.example.com', api.url)
      .replaceAll('curl -sS', 'curl -sS --fail-with-body --noproxy "*" -w "\\n%{http_code}\\n"')
      .replaceAll(/^TOKEN=.*$/gm, line => line.replace(' -w "\\n%{http_code}\\n"', ''))
    const [first, ...rest] = examples.split('\n').flatMap(line => (line === 'echo' ? [] : [line]))
    // What a reader puts in for himself, from the answer before.
    const socket = `read -r ID ETAG <<< "$(curl -sS --noproxy '*' $API/api/v1/sockets -H "Authorization: Bearer $TOKEN" | sed -E 's/.*"id":"([^"]*)".*"etag":"([^"]*)".*/\\1 "\\2"/')"`
    const script = ['set -euo pipefail', first, ...rest.map(line => (line.includes('-X PATCH') ? `${socket}\n${line}` : line))].join('\n')
    // The log is watched after its socket was deleted there, which a reader would not do.
    const ordered = script.replace(/^(.*-X DELETE.*)\n(.*\/log .*)$/m, '$2\n$1')
    const { code, stdout, stderr } = await runProcess(['-c', ordered], { program: programPath('bash')! })
    expect([stderr, code]).toEqual(['', 0])
    const statuses = stdout.split('\n').filter(line => /^\d{3}$/.test(line))
    expect(statuses).toEqual(['201', '200', '200', '201', '200', '204', '200', '200'])
    expect(stdout).toContain('"password":{"user":"guest","password":"let me in"}')
  })
})
