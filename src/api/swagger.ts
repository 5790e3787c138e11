/** The description of the compatible dialect as tools of 2021 read it: OpenAPI 2, with the names of operations that they call. */
import { z } from 'zod'
import { VERSION } from '../version.ts'
import { compatibleOperations } from './compatible-operations.ts'
import { compatibleSocket, compatibleSocketRequest, compatibleTunnel } from './compatible-schema.ts'
import type { Operation } from './operation.ts'
import { errorSchema } from './schema.ts'

type Json = Record<string, unknown>

/** The schema of what is sent or received. Sockets are sent and received in one model, all of whose members may be left out. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  if (schema === compatibleSocket || schema === compatibleSocketRequest) return { $ref: '#/definitions/Socket' }
  if (schema === compatibleTunnel) return { $ref: '#/definitions/SocketTunnel' }
  if (schema instanceof z.ZodArray) return { type: 'array', items: schemaOf(schema.element as z.ZodType, io) }
  return inlined(schema, io)
}

/** A schema in itself: zod makes a definition of one that has an id. */
function inlined(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $ref, definitions, ...own } = z.toJSONSchema(schema, { target: 'draft-4', io, unrepresentable: 'any' }) as Json
  const name = typeof $ref === 'string' ? $ref.slice($ref.lastIndexOf('/') + 1) : ''
  return plain((definitions as Json | undefined)?.[name] ?? own) as Json
}

/** OpenAPI 2 knows neither null as a type nor `$schema` and `examples`. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const { $schema: _schema, examples: _examples, anyOf, ...rest } = value as Json
  if (Array.isArray(anyOf)) return plain(anyOf.find(each => (each as Json)['type'] !== 'null') ?? {})
  const { type } = rest
  return {
    ...Object.fromEntries(Object.entries(rest).map(([name, member]) => [name, plain(member)])),
    ...(Array.isArray(type) && { type: (type as unknown[]).find(each => each !== 'null') }),
  }
}

/** `post_tunnel` for POST /socket/{socket_id}/tunnel: the method and the last name of the path that is no parameter; lists have an s. */
function nameOf({ method, path, reply }: Operation): string {
  const last = path.split('/').findLast(part => !part.startsWith('{')) ?? ''
  return `${method}_${last}${method === 'get' && reply instanceof z.ZodArray ? 's' : ''}`
}

function entryOf(operation: Operation): Json {
  const { method, summary, params, body, status, reply, isPublic } = operation
  const path = Object.keys(params.shape).map(name => ({ name, in: 'path', required: true, type: 'string' }))
  // The client of 2021 sends an empty object where there is nothing to say.
  const schema = body === undefined ? { type: 'object' } : schemaOf(body, 'input')
  const payload = method === 'post' ? [{ name: 'payload', in: 'body', required: body !== undefined, schema }] : []
  return {
    operationId: nameOf(operation),
    summary,
    tags: ['default'],
    security: isPublic ? [] : [{ apikey: [] }],
    parameters: [...path, ...payload],
    responses: {
      default: { description: 'A refusal.', schema: { $ref: '#/definitions/Error' } },
      [status]: { description: summary, ...(reply !== undefined && { schema: schemaOf(reply, 'output') }) },
    },
  }
}

/** The whole description. */
export function swagger(): Json {
  const paths = Object.create(null) as Record<string, Json>
  for (const operation of compatibleOperations) (paths[operation.path] ??= {})[operation.method] = entryOf(operation)
  const { properties } = inlined(compatibleSocket, 'output') as { readonly properties: Json }
  return {
    swagger: '2.0',
    basePath: '/',
    info: { title: 'socket-gateway service, compatible dialect', version: VERSION },
    consumes: ['application/json'],
    produces: ['application/json'],
    securityDefinitions: { apikey: { type: 'apiKey', in: 'header', name: 'x-access-token' } },
    tags: [{ name: 'default' }],
    paths,
    definitions: {
      Socket: { type: 'object', properties: { ...properties, tunnels: { type: 'array', items: { $ref: '#/definitions/SocketTunnel' } } } },
      Error: inlined(errorSchema, 'output'),
      SocketTunnel: { type: 'object', properties: inlined(compatibleTunnel, 'output')['properties'] },
    },
  }
}
