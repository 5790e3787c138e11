/** `respond` and `maintenance`: answers that need no origin. */
import { z } from 'zod'
import { createFixedAnswer, type FixedAnswer } from '../../route/fixed-answer.ts'
import { counted, mapIn, reachesOrigin, targetKey, type KeyFault, type RawKeys, type TargetPlace } from './key.ts'
import { answerFields, file, integer, off, text } from './parts.ts'

const ANSWER = 'expected a map with the keys status, headers and body'

const answerWith = (status: number) =>
  z.union(
    [
      off,
      z.strictObject(
        {
          status: integer(200, 599).default(status),
          headers: answerFields.optional().meta({ description: 'Header fields of the answer.' }),
          body: text('expected a text').max(1_048_576, { error: 'expected at most 1 MiB' }).optional().meta({ description: 'Its body.' }),
          file: file.optional().meta({ description: 'A file with its body, at most 1 MiB, in UTF-8.' }),
        },
        { error: ANSWER },
      ),
    ],
    { error: ANSWER },
  )

type Source = z.output<ReturnType<typeof answerWith>> | undefined

function answerOf(source: Source, key: string, { read }: TargetPlace): FixedAnswer | undefined {
  if (source === undefined || source === false) return undefined
  const body = source.file === undefined ? source.body : read(source.file, 'text', [key, 'file'])
  return createFixedAnswer({ status: source.status, headers: source.headers, body })
}

function* twoBodies(keys: RawKeys, key: string): Generator<KeyFault> {
  const answer = mapIn(keys, key)
  if (answer?.['body'] !== undefined && answer['file'] !== undefined) yield [[key, 'file'], 'expected either body or file, not both']
}

/** An answer whatever is asked for. */
export const respondKey = targetKey({
  schema: { respond: answerWith(200).optional().meta({ description: 'Answers what the policy allows without any origin.' }) },
  create: ({ respond }, place) => ({ answer: answerOf(respond, 'respond', place) }),
  faults: keys => twoBodies(keys, 'respond'),
  *effects({ treatment }) {
    const { answer } = treatment ?? {}
    if (answer?.kind === 'respond') yield ['respond', `${answer.status}, ${counted(Buffer.byteLength(answer.body), 'byte')}`]
  },
})

/** The answer of a bad day. */
export const maintenanceKey = targetKey({
  schema: {
    maintenance: answerWith(503)
      .optional()
      .meta({ description: 'The answer while no inner layer for the target is connected, instead of 502.' }),
  },
  create: ({ maintenance }, place) => ({ maintenance: answerOf(maintenance, 'maintenance', place) }),
  faults: keys => twoBodies(keys, 'maintenance'),
  *effects(target) {
    const { maintenance } = target
    if (maintenance !== undefined && reachesOrigin(target)) yield ['maintenance', `${maintenance.status} while no inner layer is connected`]
  },
})
