/**
 * Runs what docs/visitors.md says of X-SG-Identity, in each language whose program and library are in FOLDER, against keys and tokens of this
 * gateway: the good token has to be taken, and each bad one refused. By hand, since the libraries come from five registries (a test does it with those
 * that Debian and this package have):
 *
 *     node --import tsx scripts/identity-snippets.ts FOLDER
 *
 * FOLDER holds node/node_modules/jose, py/jwt (pip install --target), go/go.mod with both modules, java/lib/nimbus-jose-jwt-*.jar, and a folder rb where the gem jwt is installed.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answersOf, PROGRAMS, serveKeys, snippetOf, TOKENS } from '../test/support/identity-snippets.ts'

const folder = process.argv[2] ?? '.'
const out = (text: string): void => void process.stdout.write(`${text}\n`)
const { jwks, close } = await serveKeys()
let isWrong = false
for (const [language, { has, file, of, run }] of Object.entries(PROGRAMS)) {
  if (!existsSync(join(folder, has))) {
    out(`${language}: ${has} is not there`)
    continue
  }
  const [directory = '', name = ''] = file.split('/')
  mkdirSync(join(folder, directory), { recursive: true })
  writeFileSync(join(folder, file), of(snippetOf(language, jwks)))
  const answers = await answersOf(run(name), join(folder, directory))
  TOKENS.forEach(([what], i) => {
    const expected = i === 0 ? 'yes' : 'no'
    if (answers[i] === expected) return
    isWrong = true
    out(`${language}: the token ${what}: ${answers[i] ?? 'nothing'} instead of ${expected}`)
  })
  out(`${language}: ${answers.join(' ')}`)
}
close()
process.exitCode = isWrong ? 1 : 0
