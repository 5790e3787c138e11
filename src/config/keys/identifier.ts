/** `identifier`: the inner layers that may serve a target. */
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
