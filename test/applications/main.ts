/**
 * `npm run applications [-- --only TEXT]`: applications that are there, each asked by its own client directly and through the gateway (docs/conformance.md).
 * PATH has to have their programs. Ends with 1 when one says something else through the gateway.
 */
import { parseArgs } from 'node:util'
import { cleanUp } from '../support/cleanup.ts'
import { programPath } from '../support/needs.ts'
import { compare } from './application.ts'
import { LARGE } from './large.ts'
import { SMALL } from './small.ts'

const { values } = parseArgs({ options: { only: { type: 'string' } } })
const say = (text: string): void => void process.stdout.write(`${text}\n`)
let failed = 0
for (const create of [...SMALL, ...LARGE]) {
  const application = create()
  const { name, programs } = application
  if (values.only !== undefined && !name.toLowerCase().includes(values.only.toLowerCase())) continue
  const absent = programs.filter(program => programPath(program) === undefined)
  if (absent.length > 0) {
    say(`left out: ${name}, without ${absent.join(', ')}`)
    continue
  }
  try {
    const { direct, through } = await compare(application)
    const isSame = JSON.stringify(direct) === JSON.stringify(through)
    say(`${isSame ? 'same' : 'FAIL'}: ${name}, ${direct.length} results`)
    if (!isSame) say(JSON.stringify({ direct, through }, undefined, 1).slice(0, 4_000))
    if (!isSame) failed++
  } catch (error) {
    failed++
    say(`FAIL: ${name}: ${(error as Error).message.slice(0, 4_000)}`)
  }
  // Children of theirs may still be writing.
  await cleanUp().catch((error: unknown) => say(String(error)))
}
process.exit(failed === 0 ? 0 : 1)
