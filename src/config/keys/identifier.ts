/** `identifier`: the inner layers that may serve a target. */
import { z } from 'zod'
import { listOf, targetKey } from './key.ts'
import { identifiers } from './parts.ts'

/** Which inner layers may be asked. */
export const identifierKey = targetKey({
  schema: {
    identifier: identifiers.optional().meta({
      description: 'Inner layers that may serve the target; any connected one when absent.',
      examples: ['inner-layer', ['lan-1', 'lan-2']],
    }),
  },
  create: ({ identifier }) => ({ identifiers: identifier === undefined ? undefined : Object.freeze([...new Set(listOf(identifier))]) }),
  effects: () => [], // shown beside the address that is asked for
})

/** The key `inspect`: requests are shown to the inspector. */
export const inspectKey = targetKey({
  schema: {
    inspect: z.boolean({ error: 'expected true or false' }).optional().meta({
      description: 'Requests and answers are kept for a while for the inspector of the outer layer (--inspect), redacted.',
      default: false,
    }),
  },
  create: ({ inspect }) => ({ isInspected: inspect === true ? (true as const) : undefined }),
  *effects(target) {
    if (target.isInspected === true) yield ['inspect', 'requests and answers are shown to the inspector, where the outer layer has one']
  },
})
