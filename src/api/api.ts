import { randomUUID } from 'node:crypto'
import express, { type ErrorRequestHandler, type Express } from 'express'
import { GatewayError } from '../errors.ts'
import { accountOperations } from './account-operations.ts'
import { adminOperations } from './admin-operations.ts'
import { defaultUrlOf, type ApiOptions } from './api-options.ts'
import { compatibleOperations } from './compatible-operations.ts'
import { answerError, asAnswer } from './error-answer.ts'
import type { Operation } from './operation.ts'
import { downloadPages, formPages, openApiPages } from './pages.ts'
import { portalPages } from './portal/portal.ts'
import { addressOf, routeOperations } from './routes.ts'
import { socketOperations } from './socket-operations.ts'

/** Every operation of both dialects. */
export const OPERATIONS: readonly Operation[] = [...compatibleOperations, ...accountOperations, ...socketOperations, ...adminOperations]

const KEEP_ALIVE_MS = 15_000
/** Nothing of an API is a page; the pages that there are say otherwise. */
const POLICY = "default-src 'none'; frame-ancestors 'none'"

/**
 * The API of a service: what a server of node:http gives its requests to. It answers every request and never throws; faults of its own are logged
 * with the id that the client gets.
 */
export function createApi(options: ApiOptions): Express {
  const { service, log, isBehindGateway, downloads = () => undefined, keepAliveMs = KEEP_ALIVE_MS } = options
  const { urlOf = defaultUrlOf, clientVersion = () => undefined, logs } = options
  const app = express().disable('x-powered-by').disable('etag').set('query parser', 'simple').set('env', 'production')
  app.use((_req, res, next) => {
    res.set({
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Content-Security-Policy': POLICY,
      'Referrer-Policy': 'no-referrer',
      'X-Request-Id': randomUUID(),
    })
    next()
  })
  const { portal } = options
  // Without the gateway before it, nobody has asked the providers, and anybody could say what they have said.
  const pages = portal === undefined || isBehindGateway ? portal : { ...portal, providers: [] }
  if (pages !== undefined) portalPages(app, pages, { sessions: service.sessions, addressOf: req => addressOf(req, isBehindGateway) })
  openApiPages(app)
  formPages(app)
  routeOperations(app, OPERATIONS, { context: { service, urlOf, clientVersion, logs }, isBehindGateway, keepAliveMs })
  downloadPages(app, { clientVersion }, downloads)
  app.use(() => {
    throw new GatewayError('NOT_FOUND', 'no such path')
  })
  const onError: ErrorRequestHandler = (thrown, req, res, _next) => answerError(asAnswer(thrown), req, res, log)
  app.use(onError)
  return app
}
