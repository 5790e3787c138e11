/** The document, the schemas and the routes say the same. */
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import type { Express } from 'express'
import { createDocument, type ZodOpenApiObject } from 'zod-openapi'
import { createApi, OPERATIONS } from '../../src/api/api.ts'
import { compatibleSocket } from '../../src/api/compatible-schema.ts'
import { openApiOf } from '../../src/api/open-api.ts'
import { expressPath } from '../../src/api/routes.ts'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import type { Service } from '../../src/service/contract.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { startApi } from '../support/api.ts'

interface Entry {
  readonly operationId: string
  readonly responses: Readonly<Record<string, { readonly description: string }>>
}
const document = JSON.parse(await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8')) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Entry>>>>
}
const entries = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, entry]) => ({ path, method, entry })),
)

/** Pages for people and files, which are no calls. */
const PAGES = ['/api/v1/openapi.json', '/swagger.json', '/invitation', '/password', '/latest_version.txt', '/:platform/:file']

/** No path has more of them. */
const OPERATION_METHODS = 5

interface Layer {
  readonly route?: { readonly path: string; readonly stack: readonly { readonly method?: string }[] }
}

/** METHOD path of each route that Express has, without those that refuse other methods. */
function routesOf(app: Express): string[] {
  const { stack } = app.router as unknown as { readonly stack: readonly Layer[] }
  return stack.flatMap(({ route }) => {
    if (route === undefined || PAGES.includes(route.path)) return []
    const methods = [...new Set(route.stack.map(({ method }) => method))]
    if (methods.length > OPERATION_METHODS) return [] // what refuses all others
    return methods.map(method => `${method} ${route.path}`)
  })
}

describe('docs/openapi.json', () => {
  test('is what scripts/openapi.ts writes', () => {
    const written: unknown = JSON.parse(JSON.stringify(createDocument(openApiOf(OPERATIONS) as unknown as ZodOpenApiObject)))
    expect(document).toEqual(written)
  })

  test('has an entry for each route of Express, and Express a route for each entry', () => {
    const app = createApi({ service: {} as Service, log: silentLog, isBehindGateway: true, downloads: () => '/nowhere' })
    const documented = entries.map(({ method, path }) => `${method} ${path.replace(/\{([^{}]*)\}/g, ':$1')}`)
    expect(documented.sort()).toEqual(routesOf(app).sort())
    expect(OPERATIONS.map(operation => `${operation.method} ${expressPath(operation)}`).sort()).toEqual(documented)
  })

  test('names each operation once', () => {
    const ids = entries.map(({ entry }) => entry.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('names codes of the catalogue only, below their status', () => {
    for (const { entry } of entries)
      for (const [status, { description }] of Object.entries(entry.responses))
        if (/^[45]/.test(status)) for (const code of description.split(', ')) expect(ERRORS[code as ErrorCode].status).toBe(Number(status))
  })

  test('is served', async () => {
    const api = await startApi()
    const answer = await api.v1('GET', '/openapi.json', { token: null })
    expect([answer.status, answer.json]).toEqual([200, document])
  })
})

describe('/swagger.json', () => {
  interface Swagger {
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string; readonly tags: readonly string[] }>>>>
    readonly definitions: Readonly<Record<string, { readonly properties: object }>>
  }

  test('has the calls of the compatible dialect by the names that scripts of 2021 call, and the models of their wire', async () => {
    const api = await startApi()
    const { status, json } = await api.old('GET', '/swagger.json', { token: null })
    const { paths, definitions } = json as Swagger
    expect(status).toBe(200)
    const calls = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map(method => `${method} ${path}`))
    expect(calls.sort()).toEqual(
      OPERATIONS.filter(({ dialect }) => dialect === 'compatible')
        .map(({ method, path }) => `${method} ${path}`)
        .sort(),
    )
    const ids = Object.values(paths).flatMap(methods => Object.values(methods).map(({ operationId }) => operationId))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids).toEqual(expect.arrayContaining(['get_sockets', 'post_socket', 'delete_socket', 'post_tunnel', 'delete_tunnel']))
    expect(Object.keys(definitions['Socket']!.properties)).toEqual(Object.keys(compatibleSocket.shape))
    expect(Object.keys(definitions['SocketTunnel']!.properties)).toEqual(['tunnel_id', 'local_port', 'tunnel_server'])
    // What OpenAPI 2 does not know.
    expect(JSON.stringify(json)).not.toMatch(/"(?:anyOf|oneOf|\$schema|examples|const)"|#\/\$?defs|"null"/)
  })
})
