/** Who would come in, without anybody coming. */
import { expect, test } from '@jest/globals'
import { run } from '../cli/context.ts'
import { writeVisitorsFiles } from '../support/lanes.ts'
import { tempFile } from '../support/temp.ts'

const TARGETS = `
targets:
  wiki.test:
    hostname: wiki.internal
    access: {tokens: true, login: {emails: [ada@example.test], domains: [corp.test]}, public: ['^/open/.*']}
    routes:
      - {path: /admin, access: {login: {domains: [corp.test], groups: [ops]}}}
      - {path: /free, access: false}
`

test('targets explain says which lane decides on somebody, and why', async () => {
  const file = tempFile('targets.yaml', TARGETS)
  const visitors = writeVisitorsFiles()
  const made = await run(['service-token', 'create', '--visitors', visitors, '--name', 'ci', '--target', 'wiki.test', '--methods', 'GET'])
  const token = /sgv_[\w-]{43}/.exec(made.stdout)![0]
  const explain = async (path: string, args: readonly string[], method = 'GET'): Promise<readonly [number, string | undefined]> => {
    const { status, stdout } = await run(['targets', 'explain', file, method, `https://wiki.test${path}`, '--visitors', visitors, ...args])
    expect(stdout).not.toContain('sgv_')
    return [status, /^visitor {2}(.*)$/m.exec(stdout)?.[1]]
  }
  expect(await explain('/x', [])).toEqual([0, undefined])
  expect(await explain('/x', ['--as', 'Ada@example.test'])).toEqual([0, 'login: let in'])
  expect(await explain('/x', ['--as', 'eve@example.test'])).toEqual([1, expect.stringMatching(/^login: refused, .*VISITOR_FORBIDDEN/)])
  expect(await explain('/x', ['--as', 'eve@corp.test.evil.test'])).toEqual([1, expect.stringMatching(/^login: refused/)])
  expect(await explain('/admin', ['--as', 'x@corp.test'])).toEqual([0, expect.stringMatching(/^login: let in, where the provider says/)])
  expect(await explain('/admin', ['--token', token])).toEqual([1, expect.stringMatching(/^none: refused/)])
  expect(await explain('/free', ['--as', 'eve@example.test'])).toEqual([0, 'everybody: the target has no access'])
  expect(await explain('/open/a', ['--as', 'eve@example.test'])).toEqual([0, 'public: the path is for all'])
  expect(await explain('/x', ['--token', token])).toEqual([0, 'token: let in'])
  expect(await explain('/x', ['--token', token], 'POST')).toEqual([1, expect.stringMatching(/^token: refused, .*method/)])
  expect(await explain('/x', ['--token', `sgv_${'A'.repeat(43)}`])).toEqual([1, expect.stringMatching(/^token: refused/)])
})
