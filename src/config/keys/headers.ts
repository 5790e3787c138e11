/** `headers`, `preserveHost` and `removeCsps`: header fields on both ways. */
import { z } from 'zod'
import { compileFieldEdits, type FieldEdits } from '../../http/field-edits.ts'
import { expand } from '../../http/template.ts'
import { targetKey, type Effect } from './key.ts'
import { fieldEdits, flag } from './parts.ts'

const PRESERVE_HOST = false

/** Fields as they come, with what stands for the variables. */
function* fieldEffects(key: string, edits: FieldEdits | undefined): Generator<Effect> {
  if (edits === undefined) return
  const added = new Set(edits.added.map(([name]) => name.toLowerCase()))
  const removed = [...edits.removed].filter(name => !added.has(name))
  if (removed.length > 0) yield [key, `without ${removed.join(', ')}`]
  const placeholders = { client: '${client}', host: '${host}', scheme: '${scheme}' }
  for (const [name, value] of edits.added) yield [key, `${name}: ${expand(value, placeholders)}`]
}

/** Fields that are set and removed. */
export const headersKey = targetKey({
  schema: {
    headers: z
      .strictObject(
        { request: fieldEdits('request').optional(), response: fieldEdits('response').optional() },
        { error: 'expected a map with the keys request and response' },
      )
      .optional()
      .meta({ description: 'Header fields to set, add or remove. Values may have ${client}, ${host} and ${scheme} in them.' }),
    preserveHost: flag.optional().meta({ description: 'The origin gets the public host in its Host field.', default: PRESERVE_HOST }),
    removeCsps: flag.optional().meta({ description: 'Removes Content-Security-Policy fields from answers; --remove-csps when absent.' }),
  },
  create: ({ headers, preserveHost = PRESERVE_HOST, removeCsps }) => ({
    requestFields: compileFieldEdits(headers?.request),
    responseFields: compileFieldEdits(headers?.response),
    preserveHost,
    removeCsps,
  }),
  *effects({ treatment }, { host }) {
    if (treatment === undefined) return
    const { preserveHost, requestFields, responseFields, removeCsps } = treatment
    if (preserveHost) yield ['preserveHost', `Host is ${host}`]
    yield* fieldEffects('headers.request', requestFields)
    yield* fieldEffects('headers.response', responseFields)
    if (removeCsps !== undefined) yield ['removeCsps', removeCsps ? 'without Content-Security-Policy' : 'Content-Security-Policy stays']
  },
})
