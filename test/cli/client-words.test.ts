/** Words of commands for users where a stranger would be at a loss. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { startApi, type RunningApi } from '../support/api.ts'
import { tempDir } from '../support/temp.ts'
import { run as runWith, type Outcome } from './context.ts'

let api: RunningApi

beforeAll(async () => {
  api = await startApi()
})

const run = (argv: readonly string[], token: string): Promise<Outcome> =>
  runWith(argv, { XDG_CONFIG_HOME: tempDir(), SG_SERVER: api.url, SG_API_TOKEN: token })

describe('an invitation', () => {
  test('that is over says whom to ask, also who has to become the first admin', async () => {
    const argv = ['account', 'create', '--invitation', `sgo_${'A'.repeat(43)}`, '-n', 'Kim', '-p', 'long enough']
    const { status, stderr } = await run(argv, '')
    expect([status, stderr]).toEqual([1, expect.stringMatching(/ask an admin of the service .* with: socket-gateway service admin-link\n/)])
  })

  test('comes with whether a letter goes along', async () => {
    const invite = async (): Promise<string> => (await run(['admin', 'invite', 'letters@example.com'], api.tokens.root)).stdout
    expect(await invite()).toMatch(/^Invitation of letters@example\.com: \S+#sgo_\S+\nA letter with it goes to them as well/)
    await invite()
    await invite()
    expect(await invite()).toMatch(/\nNo letter goes to them, .*: hand the link on yourself/)
  })
})

describe('a token that is none', () => {
  test('is said to be that, and what else there is', async () => {
    const { status, stderr } = await run(['socket', 'ls'], 'sga_none')
    expect([status, stderr]).toEqual([1, expect.stringContaining('\n  next: another token in SG_API_TOKEN')])
  })

  test('is not shown where it is not even one word', async () => {
    expect(await run(['socket', 'ls'], 'sga_none\nof two lines')).toEqual({
      status: 2,
      stdout: '',
      stderr: 'socket-gateway: --api-token or SG_API_TOKEN: expected a token such as sga_…, one word in one line\n',
    })
  })
})

describe('an id that nobody has', () => {
  beforeAll(async () => {
    await run(['socket', 'create', '--name', 'lost'], api.tokens.root)
  })

  test.each([
    [['tunnel', 'delete', '--socket-id', 'lost', '--tunnel-id', 'nope'], 'socket-gateway tunnel ls --socket-id SOCKET'],
    [['tunnel', 'connect', '--socket-id', 'lost', '--tunnel-id', 'nope', '--port', '1'], 'socket-gateway tunnel ls --socket-id SOCKET'],
    [['inner', 'revoke', 'nope'], 'socket-gateway inner ls'],
    [['admin', 'suspend', 'nope'], 'socket-gateway admin accounts'],
    [['socket', 'delete', '--socket-id', '00000000-0000-4000-8000-000000000000'], 'socket-gateway socket ls'],
  ])('of %j: where those are that there are', async (argv, next) => {
    const { status, stderr } = await run(argv, api.tokens.root)
    expect([status, stderr]).toEqual([1, expect.stringContaining(`\n  next: ${next}\n  code NOT_FOUND`)])
  })
})

test('when to come again is said once', async () => {
  await run(['admin', 'limits', 'ada@example.com', '--creations-per-hour', '1'], api.tokens.root)
  await run(['socket', 'create', '--name', 'first'], api.tokens.ada)
  const { status, stderr } = await run(['socket', 'create', '--name', 'second'], api.tokens.ada)
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(/^socket-gateway: .*; try again in \d+ s\.\n {2}code RATE_LIMITED, request id/),
  ])
})
