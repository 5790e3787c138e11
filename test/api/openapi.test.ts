/** The document, the schemas and the routes say the same. */
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import type { Express } from 'express'
import { createDocument, type ZodOpenApiObject } from 'zod-openapi'
import { createApi, OPERATIONS } from '../../src/api/api.ts'
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
const PAGES = ['/api/v1/openapi.json', '/invitation', '/password', '/latest_version.txt', '/:platform/:file']

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
    const app = createApi({ service: {} as Service, log: silentLog, isBehindGateway: true, downloads: '/nowhere' })
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
