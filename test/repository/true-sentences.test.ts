/** Sentences of the pages that a change of the code could make untrue. */
import { expect, test } from '@jest/globals'
import { ERRORS } from '../../src/errors.ts'
import { DEFAULT_EDGE_LIMITS } from '../../src/outer/access/client-limits.ts'
import { readPage } from '../readme/markdown.ts'

const flat = (path: string): string => readPage(path).replace(/\s+/g, ' ')
const number = (value: number): string => value.toLocaleString('en-US')

test('limits of clients are those of the code', () => {
  const { connections, connectionsPerAddress, uploadBytesPerSecond, uploadGraceMs } = DEFAULT_EDGE_LIMITS
  const security = flat('docs/security.md')
  expect(security).toContain(`\`--max-connections-per-address\`, ${number(connectionsPerAddress)}`)
  expect(security).toContain(`\`--max-connections\`, ${number(connections)}; ${number(connectionsPerAddress)} of one address`)
  const upload = `\`--min-upload-rate\` (${uploadBytesPerSecond} bytes/s)`
  for (const page of ['docs/reliability.md', 'docs/errors.md']) {
    expect(flat(page)).toContain(upload)
    expect(flat(page)).toContain(`${uploadGraceMs / 1000} s`)
  }
})

test('what can be skipped, passed through, moved and reloaded is said', () => {
  expect(flat('docs/security.md')).toContain('`tls: { verify: false }` of a target skips the check')
  expect(flat('docs/security.md')).not.toMatch(/unopened is planned|No limits of requests|nothing else; use the means/)
  expect(flat('docs/reliability.md').includes('(`ORIGIN_TLS`) | moves')).toBe(ERRORS.ORIGIN_TLS.retry === 'idempotent')
  expect(flat('docs/deployment.md')).toContain('`--tls-certificate` and `--socket-tls-certificate`, and `--socket-client-ca`')
})
