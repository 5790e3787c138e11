/** Blind names, as the commands of the outer layer see them. */
import { describe, expect, test } from '@jest/globals'
import { unservedOf } from '../../src/cli/command/unserved.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { tempFile } from '../support/temp.ts'
import { run } from './context.ts'

describe('a name that is blind', () => {
  test('is one of those that doctor and targets check name when no inner layer has it', () => {
    const table = parseTargets('targets: {}\nblind:\n  a.example: { identifier: [one, two] }\n  b.example: { identifier: three }\n', 't')
    const [missing, ...others] = unservedOf(table, new Set(['three', 'four']))
    expect(missing).toMatchObject({ name: 'blind a.example', line: 3, wants: ['one', 'two'] })
    expect(others).toEqual([])
  })

  test('is explained by who has it', async () => {
    const file = tempFile('blind.yaml', 'targets: {}\nblind: { "*.a.example": { identifier: [one, two] } }\n')
    const { status, stdout } = await run(['targets', 'explain', file, 'GET', 'https://x.a.example/'])
    expect(status).toBe(1)
    expect(stdout).toContain(
      'x.a.example is blind: its TLS ends at the inner layer one or two (--tls-for), by rules that only that one knows',
    )
  })
})
