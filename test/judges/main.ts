/**
 * `npm run judges [-- --variants N] [--seed S] [--only NAME]`: real servers as origins decide whether the fences of the gateway hold (docs/conformance.md).
 * Ends with 1 when one did not.
 */
import { parseArgs } from 'node:util'
import { cleanUp } from '../support/cleanup.ts'
import { programPath } from '../support/needs.ts'
import { judgeFraming } from './framing.ts'
import { judgeDirectly, judgePaths, startFences } from './paths.ts'
import { hasTomcat, JUDGES } from './servers.ts'

const { values } = parseArgs({
  options: {
    variants: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
  },
})
const say = (text: string): void => void process.stdout.write(`${text}\n`)
let found = 0
for (const name of values.only ?? [...JUDGES.keys()]) {
  const { programs, start } = JUDGES.get(name) ?? { programs: [], start: undefined }
  if (start === undefined) throw new Error(`--only ${name}: there are ${[...JUDGES.keys()].join(', ')}`)
  const absent = programs.find(program => programPath(program) === undefined)
  if (absent !== undefined || (name === 'Tomcat' && !hasTomcat())) {
    say(`${name}: left out, ${absent ?? 'tomcat10-common'} is absent`)
    continue
  }
  const judge = await start()
  const [count, seed] = [Number(values.variants), Number(values.seed)]
  say(`     ${name}, no gateway: ${count} variants, ${await judgeDirectly(judge, count, seed)} are answered with what is protected`)
  const layers = await startFences(judge)
  for await (const { fence, sent, refused, passed, folded, faults } of judgePaths(
    judge,
    layers,
    Number(values.variants),
    Number(values.seed),
  )) {
    say(
      `${faults.length === 0 ? 'ok  ' : 'FAIL'} ${name}, ${fence}: ${sent} variants, ${refused} refused, ${passed} passed, ${folded} by case`,
    )
    for (const fault of faults.slice(0, 10)) say(`  ${fault}`)
    found += faults.length
  }
  await layers.close()
  const framing = await judgeFraming(judge, Math.ceil(count / 10), seed)
  say(
    `${framing.faults.length === 0 ? 'ok  ' : 'FAIL'} ${name}, framing: ${framing.conversations} conversations, ${framing.lines} access lines, ${framing.executed} executed`,
  )
  for (const fault of framing.faults.slice(0, 10)) say(`  ${fault}`)
  found += framing.faults.length
  await cleanUp()
}
say(`judges: ${found} found; --seed ${values.seed} repeats it`)
process.exit(found === 0 ? 0 : 1)
