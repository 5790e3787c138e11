import { describe, expect, test } from '@jest/globals'
import { tempFile } from '../support/temp.ts'
import { run } from './context.ts'

const FILE = `targets: {}
tcp:
  2222: {hostname: ssh.lan, port: 22, allow: [10.0.0.0/8], deny: 10.6.6.6, idle: 10m, proxyProtocol: 2}
  443:
    tls: passthrough
    names:
      a.example: {hostname: "::1", identifier: [x, y]}
      "*.b.example": {hostname: b.lan, port: 8443}
  20000-20002: {hostname: games.lan, port: 30000-30002}
`

const file = tempFile('t.yaml', FILE)
const lines = (text: string): string[] => text.split('\n').map(line => line.trimEnd())

test('targets check prints the ports, an entry or a name of it per line', async () => {
  const { status, stdout } = await run(['targets', 'check', file])
  expect(status).toBe(0)
  expect(lines(stdout)).toEqual([
    'TCP PORT     NAME         ORIGIN                 TLS             INNER LAYER',
    '443          a.example    [::1]:443              passed through  x, y',
    '443          *.b.example  b.lan:8443             passed through  any',
    '2222                      ssh.lan:22             –               any',
    '20000-20002               games.lan:30000-30002  –               any',
    '',
    `${file}: valid, 0 targets, 0 warnings`,
    '',
  ])
})

describe('targets explain FILE TCP', () => {
  const explain = (authority: string) => run(['targets', 'explain', file, 'TCP', authority])

  test('says where a connection would go, and who may make it', async () => {
    const { status, stdout } = await explain('gateway.example.com:2222')
    expect(status).toBe(0)
    expect(lines(stdout)).toEqual([
      `port         2222, ${file}:3`,
      'origin       ssh.lan:22',
      'by           any inner layer',
      'clients      10.0.0.0/8, but not 10.6.6.6',
      'connections  at most 1000 at a time, cut after 600000 ms of silence',
      'proxy        PROXY protocol version 2',
      '',
      'allowed: connections are carried as they are',
      '',
    ])
  })

  test('finds names and ports of ranges', async () => {
    expect(lines((await explain('x.b.example:443')).stdout).slice(0, 4)).toEqual([
      `port         443, ${file}:4`,
      'tls          passed through',
      'name         x.b.example (*.b.example)',
      'origin       b.lan:8443',
    ])
    expect((await explain(':20001')).stdout).toContain(`20001, ${file}:9 (20000-20002)\norigin       games.lan:30001`)
  })

  test.each([
    ['c.example:443', 'refused: no entry of names matches (UNKNOWN_HOST)'],
    [':443', 'refused: no entry of names matches (UNKNOWN_HOST)'],
    [':80', 'refused: no entry of tcp has the port 80'],
    ['nonsense', 'refused: no entry of tcp has the port nonsense'],
  ])('%s is refused with status 1', async (authority, verdict) => {
    const { status, stdout } = await explain(authority)
    expect(status).toBe(1)
    expect(lines(stdout).at(-2)).toBe(verdict)
  })
})
