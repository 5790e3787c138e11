import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { ROOT } from '../support/process.ts'
import { tempFile } from '../support/temp.ts'
import { run } from './context.ts'

const EXAMPLE = join(ROOT, 'targets.example.yaml')
const FILE = `targets:
  api.example.com:
    hostname: my.private.api
    policy:
      "/exact": [GET]
      "^/v1/.*": "*"
    identifier: [lan-a, lan-b]
  "*":
    protocol: http
    hostname: "::1"
    port: 8080
`

describe('targets check', () => {
  test('prints host, origin, policy and inner layer of each target', async () => {
    const { status, stdout, stderr } = await run(['targets', 'check', tempFile('t.yaml', FILE)])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'HOST             ORIGIN                  POLICY      INNER LAYER',
      'api.example.com  https://my.private.api  2 rules     lan-a, lan-b',
      '*                http://[::1]:8080       everything  any',
    ])
    expect(stdout).toMatch(/t\.yaml: valid, 2 targets, \d warnings?\n$/)
  })

  test('takes the example', async () => {
    expect(await run(['targets', 'check', EXAMPLE])).toMatchObject({ status: 0, stdout: expect.stringContaining('0 warnings') })
  })

  test('warns of what is dangerous, with the line', async () => {
    const file = tempFile('t.yaml', 'targets:\n  a.example:\n    protocol: http\n    hostname: 169.254.169.254\n')
    const { status, stdout } = await run(['targets', 'check', file])
    expect(status).toBe(0)
    expect(stdout).toContain(`${file}:2: warning: a.example`)
    expect(stdout).toContain('1 warning\n')
  })

  test('ends with 1 and every fault with its place', async () => {
    const file = tempFile('t.yaml', 'targets:\n  a.example:\n    hostnam: x\n    port: 99999\n')
    const { status, stdout, stderr } = await run(['targets', 'check', file])
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain(`${file}:3:`)
    expect(stderr).toContain('did you mean "hostname"?')
    expect(stderr).toContain(`${file}:4:`)
  })

  test('ends with 1 when there is no such file', async () => {
    expect(await run(['targets', 'check', '/nowhere.yaml'])).toMatchObject({
      status: 1,
      stderr: 'socket-gateway: /nowhere.yaml: no such file; write one (see targets.example.yaml)\n',
    })
  })
})

describe('targets explain', () => {
  const file = tempFile('t.yaml', FILE)
  const explain = (method: string, url: string): ReturnType<typeof run> => run(['targets', 'explain', file, method, url])

  test('prints target and rule with their lines and ends with 0 for what is allowed', async () => {
    const { status, stdout } = await explain('DELETE', 'https://API.example.com:444/v1/users?id=7')
    expect(status).toBe(0)
    expect(stdout).toContain(`"api.example.com", ${file}:2 (exact)`)
    expect(stdout).toMatch(/:6 +\^\/v1\/\.\* +\* +allows it: this one decides/)
    expect(stdout).toMatch(/:5 +\/exact +GET +path does not match/)
    expect(stdout).toContain('https://my.private.api/v1/users?id=7')
    expect(stdout).toContain('inner layer lan-a or lan-b')
    expect(stdout).toMatch(/\nallowed: .*\n$/)
  })

  test('ends with 1 for what is refused, with the reason and its code', async () => {
    const { status, stdout } = await explain('POST', 'http://api.example.com/exact')
    expect(status).toBe(1)
    expect(stdout).toContain('method does not match')
    expect(stdout).toMatch(/\nrefused: .*\(POLICY_REFUSED\)\n$/)
  })

  test.each([
    ['GET', 'http://api.example.com/v1/%2e%2e%2fx', /ambiguous/],
    ['CONNECT', 'http://api.example.com/v1/', /METHOD_REFUSED/],
    ['GET', 'http://[/', /BAD_HOST/],
    ['GET', 'http://api.example.com/\u001b[2J', /refused/],
  ])('%s %s is refused and prints no control characters', async (method, url, reason) => {
    const { status, stdout } = await explain(method, url)
    expect(status).toBe(1)
    expect(stdout).toMatch(reason)
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
  })
})

test('targets explain takes header fields for conditions of routes', async () => {
  const file = tempFile(
    't.yaml',
    "targets:\n  a.example:\n    hostname: one\n    routes: [{ path: /, match: { headers: { x-version: '2' } }, hostname: two }]\n",
  )
  const { stdout } = await run(['targets', 'explain', file, 'GET', 'http://a.example/', '--header', 'X-Version: 2'])
  expect(stdout).toMatch(/match +x-version: 2\n/)
  expect(stdout).toMatch(/origin +https:\/\/two\/\n/)
  expect((await run(['targets', 'explain', file, 'GET', 'http://a.example/'])).stdout).toMatch(/origin +https:\/\/one\/\n/)
  expect(await run(['targets', 'explain', file, 'GET', 'http://a.example/', '--header', 'nonsense'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('a header field such as "X-Version: 2"'),
  })
})
