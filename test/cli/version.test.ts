/** `version check` and `version upgrade`, with a service and without one. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { VERSION } from '../../src/version.ts'
import { startApi, type RunningApi } from '../support/api.ts'
import { tempDir } from '../support/temp.ts'
import { run } from './context.ts'

let api: RunningApi

beforeAll(async () => {
  api = await startApi()
})

describe('version', () => {
  test('check says that this release is that of the service', async () => {
    expect(await run(['version', 'check', '--server', api.url])).toEqual({
      status: 0,
      stdout: `You are up to date!\nYou're running version ${VERSION}\n`,
      stderr: '',
    })
  })

  test('without a service, upgrade says how to get the newest release, and check names both ways to one', async () => {
    const credentials = ['--credentials', join(tempDir(), 'none.json')]
    const upgrade = await run(['version', 'upgrade', ...credentials])
    expect(upgrade).toMatchObject({ status: 0, stderr: '' })
    expect(upgrade.stdout).toMatch(/^This is [^]*npm install --global socket-gateway@latest\n[^]*docker pull socket-gateway:latest\n/)
    const { ways, newest } = JSON.parse((await run(['version', 'upgrade', '--json', ...credentials])).stdout) as Record<string, unknown>
    expect([newest, ways]).toMatchObject([null, { npm: 'npm install --global socket-gateway@latest' }])
    expect(await run(['version', 'check', ...credentials])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/--server, or log in with/),
    })
  })

  test('upgrade checks the sum of an archive', async () => {
    const archive = join(tempDir(), 'a.tgz')
    writeFileSync(archive, 'abc')
    const sum = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(await run(['version', 'upgrade', '--archive', archive, '--sha256', sum])).toMatchObject({
      status: 0,
      stdout: `The sum is right.\nnext: npm install --global '${archive}'\n`,
    })
    expect(await run(['version', 'upgrade', '--archive', archive, '--sha256', 'abc'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('64 hexadecimal digits'),
    })
    expect(await run(['version', 'upgrade', '--server', api.url, '--sha256', sum])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--archive FILE too'),
    })
    expect(await run(['version', 'upgrade', '--archive', archive, '--sha256', sum.replace('b', 'c')])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('is not what was published'),
    })
  })
})
