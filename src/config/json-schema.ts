/** The targets file as a JSON Schema, for completion and checks in editors. */
import { z } from 'zod'
import { targetsFileSchema } from './schema.ts'

/** JSON Schema draft-7 of the targets file. `scripts/targets-schema.ts` writes it to targets.schema.json. */
export const targetsJsonSchema = (): Readonly<Record<string, unknown>> => {
  const { $schema, ...schema } = z.toJSONSchema(targetsFileSchema, { io: 'input', target: 'draft-7' })
  return {
    $schema,
    $id: 'https://unpkg.com/socket-gateway/targets.schema.json',
    title: 'Targets of socket-gateway',
    description: 'Which public host leads to which private origin, and what passes.',
    ...schema,
  }
}
