/** The targets file as a JSON Schema, for completion and checks in editors. */
import { z } from 'zod'
import { targetsFileSchema } from './schema.ts'

const SHORTHAND = {
  type: 'string',
  pattern: '^[hH][tT][tT][pP][sS]?://[^/]+/?$',
  description: 'The URL of the origin, without a path.',
} as const

/** JSON Schema draft-7 of the targets file. `scripts/targets-schema.ts` writes it to targets.schema.json. */
export const targetsJsonSchema = (): Readonly<Record<string, unknown>> => {
  const { $schema, ...schema } = z.toJSONSchema(targetsFileSchema, { io: 'input', target: 'draft-7' })
  // The schema of zod sees targets written out.
  const targets = schema.properties?.['targets']
  if (typeof targets === 'object' && typeof targets.additionalProperties === 'object')
    targets.additionalProperties = { anyOf: [{ ...SHORTHAND, examples: ['http://127.0.0.1:8080'] }, targets.additionalProperties] }
  return {
    $schema,
    $id: 'https://unpkg.com/socket-gateway/targets.schema.json',
    title: 'Targets of socket-gateway',
    description: 'Which public host leads to which private origin, and what passes.',
    ...schema,
  }
}
