/** `headers`, `preserveHost`, `trustFields`, `via` and `removeCsps`: header fields on both ways. */
import { z } from 'zod'
import { checkTrustField, compileTrustFields } from '../../http/believed-fields.ts'
import { compileFieldEdits, type FieldEdits } from '../../http/field-edits.ts'
import { expand } from '../../http/template.ts'
import type { Effect } from '../document/effect.ts'
import { listOf, targetKey } from './key.ts'
import { fieldEdits, flag, parsedBy, text } from './parts.ts'

const PRESERVE_HOST = false
const VIA = false

const TRUST_FIELDS = 'expected the name of a header field such as X-Remote-User, or a list of them'
const trustField = text(TRUST_FIELDS).check(parsedBy(name => checkTrustField(name, 'target')))

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
    trustFields: z
      .union([trustField, z.array(trustField)], { error: TRUST_FIELDS })
      .optional()
      .meta({
        description:
          'Fields that say who the user is, such as X-Remote-User: they pass from proxies in --trust-proxy, and from nobody else. Beside those of --trust-fields.',
        examples: [['X-Remote-User']],
      }),
    via: flag.optional().meta({
      description: 'The gateway names itself in the Via field of requests; nginx origins stop compressing then, by default.',
      default: VIA,
    }),
    removeCsps: flag.optional().meta({ description: 'Removes Content-Security-Policy fields from answers; --remove-csps when absent.' }),
  },
  create: ({ headers, preserveHost = PRESERVE_HOST, trustFields, via, removeCsps }) => ({
    requestFields: compileFieldEdits(headers?.request),
    responseFields: compileFieldEdits(headers?.response),
    preserveHost,
    trustFields: compileTrustFields(listOf(trustFields), 'target'),
    addsVia: via === true ? (true as const) : undefined,
    removeCsps,
  }),
  *effects({ treatment }, { host }) {
    if (treatment === undefined) return
    const { preserveHost, trustFields, addsVia, requestFields, responseFields, removeCsps } = treatment
    if (preserveHost) yield ['preserveHost', `Host is ${host}`]
    if (trustFields !== undefined) yield ['trustFields', `${[...trustFields.spelled].join(', ')} of trusted proxies`]
    if (addsVia === true) yield ['via', 'the origin is told of the gateway']
    yield* fieldEffects('headers.request', requestFields)
    yield* fieldEffects('headers.response', responseFields)
    if (removeCsps !== undefined) yield ['removeCsps', removeCsps ? 'without Content-Security-Policy' : 'Content-Security-Policy stays']
  },
})
