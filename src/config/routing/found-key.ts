/** `found`: whose target it is that was found. */
import { z } from 'zod'
import { targetKey } from '../keys/key.ts'

const NAME = 'expected the name of what was found, such as "docker web"'

/** Written by `docker` and `kubernetes`, not by hand. */
export const foundKey = targetKey({
  schema: {
    found: z
      .string({ error: NAME })
      .regex(/^[^\p{C}]{1,600}$/u, { error: NAME })
      .optional()
      .meta({
        description:
          'Name of the container or workload that asked for this target; docker and kubernetes write it. Such a target takes no host of the service itself.',
        examples: ['docker web'],
      }),
  },
  create: ({ found }) => ({ found }),
  *effects({ found }) {
    if (found !== undefined) yield ['found', `asked for by ${found}`]
  },
})
