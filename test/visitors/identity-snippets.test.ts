/** Whoever pastes what docs/visitors.md says of X-SG-Identity takes the tokens of this gateway, and no others. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { answersOf, PROGRAMS, serveKeys, snippetOf, TOKENS } from '../support/identity-snippets.ts'
import { tempDir } from '../support/temp.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const EXPECTED = TOKENS.map(([what], i) => `${what}: ${i === 0 ? 'yes' : 'no'}`)

let jwks: string
let close: () => void
beforeAll(async () => ({ jwks, close } = await serveKeys()))
afterAll(() => close())

/** A command that has the library; undefined where none has. */
function having(commands: readonly string[], ...args: string[]): string | undefined {
  return commands.find(command => {
    try {
      execFileSync(command, args, { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

const judged = async (command: readonly string[], cwd: string): Promise<readonly string[]> => {
  const answers = await answersOf(command, cwd)
  return TOKENS.map(([what], i) => `${what}: ${answers[i] ?? 'nothing'}`)
}

describe('the snippet', () => {
  test('in JavaScript', async () => {
    // jose comes with this package: it is looked for from there.
    const program = PROGRAMS.js.of(snippetOf('js', jwks))
    expect(await judged([process.execPath, '--input-type=module', '-e', program], ROOT)).toEqual(EXPECTED)
  })

  // Debian's own programs have Debian's libraries.
  const others = [
    {
      language: 'python',
      command: having(['python3', '/usr/bin/python3'], '-c', 'import jwt, cryptography'),
      packages: 'python3-jwt python3-cryptography',
    },
    { language: 'ruby', command: having(['ruby', '/usr/bin/ruby'], '-rjwt', '-e', '1'), packages: 'ruby-jwt' },
  ] as const
  for (const { language, command, packages } of others) {
    const isPromised = process.env['CI'] === 'true' && language === 'python'
    if (command === undefined && !isPromised)
      process.stderr.write(`skipped in ${language}, its library is absent: apt-get install ${packages}\n`)
    const run = command === undefined && !isPromised ? test.skip : test
    run(`in ${language}`, async () => {
      if (command === undefined) throw new Error(`apt-get install ${packages}`)
      const folder = tempDir()
      writeFileSync(join(folder, 'run'), PROGRAMS[language].of(snippetOf(language, jwks)))
      expect(await judged([command, 'run'], folder)).toEqual(EXPECTED)
    })
  }
})

test.each(Object.keys(PROGRAMS))('there is one in %s', language => {
  expect(snippetOf(language, jwks)).toContain(jwks)
})
