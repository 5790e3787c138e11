/** The OpenAPI document as zod-openapi reads it: `scripts/openapi.ts` writes docs/openapi.json from it. */
import { z } from 'zod'
import { ERRORS, type ErrorCode } from '../errors.ts'
import { VERSION } from '../version.ts'
import { pathOf, type Operation } from './operation.ts'
import { errorSchema } from './schema.ts'

/** Codes that any call may be refused with, and those of calls with a token. */
const ALWAYS: readonly ErrorCode[] = ['INVALID', 'BODY_TOO_LARGE', 'INTERNAL', 'STORE_UNAVAILABLE']
const WITH_TOKEN: readonly ErrorCode[] = ['UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED']

const SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'Token of a login, or a token for programs.' },
  accessToken: { type: 'apiKey', in: 'header', name: 'x-access-token', description: 'The same tokens, as the client of 2021 sends them.' },
} as const

type Json = Record<string, unknown>

/** Returns the document of these operations, with schemas of zod in it. */
export function openApiOf(operations: readonly Operation[]): Json {
  const paths = Object.create(null) as Record<string, Json>
  for (const operation of operations) (paths[pathOf(operation)] ??= {})[operation.method] = entryOf(operation)
  return {
    openapi: '3.1.0',
    info: {
      title: 'socket-gateway service',
      version: VERSION,
      description:
        'Accounts, sockets and tunnels. Paths below /api/v1 are for new programs; those at the root are what the client of 2021 speaks.',
    },
    servers: [{ url: '/', description: 'The host of the API.' }],
    tags: [
      { name: 'v1', description: 'JSON, unknown members are refused.' },
      { name: 'compatible', description: 'For the client of 2021; unknown members are ignored.' },
    ],
    components: { securitySchemes: SCHEMES },
    paths,
  }
}

function entryOf(operation: Operation): Json {
  const { dialect, id, summary, params, query, body, fields, isPublic } = operation
  const security = dialect === 'v1' ? [{ bearer: [] }] : [{ accessToken: [] }]
  const parameters = {
    ...(Object.keys(params.shape).length > 0 && { path: params }),
    ...(Object.keys(query.shape).length > 0 && { query }),
    ...(Object.keys(fields).length > 0 && { header: headersOf(fields) }),
  }
  return {
    operationId: id,
    summary,
    tags: [dialect],
    security: isPublic ? [] : security,
    ...(Object.keys(parameters).length > 0 && { requestParams: parameters }),
    ...(body !== undefined && { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: responsesOf(operation),
  }
}

const headersOf = (fields: Readonly<Record<string, string>>): z.ZodObject =>
  z.object(Object.fromEntries(Object.entries(fields).map(([name, description]) => [name, z.string().optional().meta({ description })])))

function responsesOf({ status, reply, errors, isPublic, isStream, etagOf }: Operation): Json {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of errors) byStatus.set(ERRORS[code].status, [...(byStatus.get(ERRORS[code].status) ?? []), code])
  const usual = [...ALWAYS, ...(isPublic ? [] : WITH_TOKEN)].map(code => `${ERRORS[code].status} ${code}`)
  const content = reply === undefined ? {} : { content: { [isStream ? 'application/x-ndjson' : 'application/json']: { schema: reply } } }
  const success = {
    description: isStream ? 'One such object a line.' : status === 204 ? 'Done.' : 'The result.',
    ...content,
    ...(etagOf !== undefined && { headers: z.object({ ETag: z.string().meta({ description: 'For If-Match.' }) }) }),
  }
  const refusals = [...byStatus]
    .sort(([a], [b]) => a - b)
    .map(([number, codes]) => [number, { description: codes.join(', '), content: { 'application/json': { schema: errorSchema } } }])
  const others = { description: `Any other refusal: ${usual.join(', ')}.`, content: { 'application/json': { schema: errorSchema } } }
  return { [status]: success, ...(Object.fromEntries(refusals) as Json), default: others }
}
