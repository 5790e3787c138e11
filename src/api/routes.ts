import { isIP } from 'node:net'
import express, { type Express, type Request, type RequestHandler, type Response } from 'express'
import { GatewayError } from '../errors.ts'
import { unmapped } from '../address/mapped.ts'
import type { Service } from '../service/contract.ts'
import { ServiceError } from '../service/input/service-error.ts'
import type { Actor } from '../service/model.ts'
import { compatiblePath } from './compatible-schema.ts'
import { invalid, invalidWith } from './error-answer.ts'
import { streamLines } from './log-stream.ts'
import { pathOf, type ApiContext, type Operation } from './operation.ts'

const MAX_FIELD = 200

/** The things that routes need beside the context of operations. */
export interface RouteOptions {
  readonly context: ApiContext
  readonly isBehindGateway: boolean
  readonly keepAliveMs: number
}

/** Adds a route for each operation, and refusals of other methods of the same paths. */
export function routeOperations(app: Express, operations: readonly Operation[], options: RouteOptions): void {
  // The old client sends the body `null` with GET and DELETE, and not everybody names its type.
  const readers = new Map<number, RequestHandler>()
  for (const operation of operations) {
    const { maxBody: limit } = operation
    const readBody = readers.get(limit) ?? express.json({ strict: false, type: () => true, limit })
    readers.set(limit, readBody)
    app[operation.method](expressPath(operation), authenticated(operation, options), readBody, (req, res) =>
      serve(operation, options, req, res),
    )
  }
  const paths = new Map<string, Operation[]>()
  for (const operation of operations) {
    const path = expressPath(operation)
    paths.set(path, [...(paths.get(path) ?? []), operation])
  }
  for (const [path, those] of paths) app.all(path, refuseOthers(those))
}

/** The path as Express writes it. */
export const expressPath = (operation: Operation): string => pathOf(operation).replace(/\{([^{}]*)\}/g, ':$1')

/** Address of the client, in IPv4 where it is one. */
export function addressOf(req: Request, isBehindGateway: boolean): string {
  const told = isBehindGateway ? req.headers['x-real-ip'] : undefined
  return unmapped(typeof told === 'string' && isIP(told) !== 0 ? told : (req.socket.remoteAddress ?? ''))
}

/** HEAD would change something, or never end. */
const hasHead = ({ isOneTime, isStream }: Operation): boolean => !isOneTime && !isStream

const refuseOthers = (operations: readonly Operation[]): RequestHandler => {
  const methods = operations.flatMap(operation =>
    operation.method === 'get' && hasHead(operation) ? ['GET', 'HEAD'] : [operation.method.toUpperCase()],
  )
  const allow = [...methods, 'OPTIONS'].join(', ')
  return (req, res) => {
    res.setHeader('Allow', allow)
    // No Access-Control-Allow-Origin: pages of other origins may not call.
    if (req.method === 'OPTIONS') return void res.status(204).end()
    throw new ServiceError('METHOD_REFUSED', `This path takes ${allow}.`)
  }
}

const actors = new WeakMap<Request, Actor>()

/** Asks for the token before the body is read. */
const authenticated =
  (operation: Operation, { context, isBehindGateway }: RouteOptions): RequestHandler =>
  async (req, _res, next) => {
    // Express gives HEAD to the handler of GET.
    if (req.method === 'HEAD' && !hasHead(operation)) return next('route')
    if (!operation.isPublic) actors.set(req, await actorOf(operation, context.service, req, addressOf(req, isBehindGateway)))
    next()
  }

async function actorOf({ dialect }: Operation, service: Service, req: Request, address: string): Promise<Actor> {
  const field = dialect === 'compatible' ? req.headers['x-access-token'] : bearerOf(req.headers.authorization)
  if (typeof field !== 'string' || field === '') throw new GatewayError('UNAUTHENTICATED', 'no token')
  return service.sessions.authenticate(field, address)
}

/** RFC 6750 §2.1. */
const bearerOf = (field: string | undefined): string | undefined => /^bearer +([\w.~+/=-]+) *$/i.exec(field ?? '')?.[1]

async function serve(operation: Operation, options: RouteOptions, req: Request, res: Response): Promise<void> {
  const { context, isBehindGateway, keepAliveMs } = options
  const gone = new AbortController()
  res.on('close', () => gone.abort())
  const call = {
    params: parsed(operation.params, req.params, 'path'),
    query: parsed(operation.query, req.query, 'query'),
    body: bodyOf(operation, req.body),
    address: addressOf(req, isBehindGateway),
    field: (name: string) => fieldOf(req, name),
    signal: gone.signal,
  }
  const reply = await operation.run(context, call as never, actors.get(req)!).catch((thrown: unknown) => {
    throw withNamesOf(operation, thrown)
  })
  if (operation.isStream) {
    const unfollow = followRights(operation, options, req, () => {
      res.end()
      gone.abort()
    })
    gone.signal.addEventListener('abort', unfollow, { once: true })
    return streamLines(res, reply as AsyncIterable<unknown>, { signal: gone.signal, keepAliveMs })
  }
  if (operation.etagOf !== undefined) res.setHeader('ETag', `"${operation.etagOf(reply)}"`)
  if (operation.status === 204) res.status(204).end()
  else res.status(operation.status).json(reply)
}

/**
 * Asks from time to time whether the caller may still do what a reply that goes on and on gives, and ends it when the token was revoked, the
 * session ended, the account suspended or its role changed. A database that is away ends nothing.
 * @returns ends the asking
 */
function followRights(
  operation: Operation,
  { context, isBehindGateway, keepAliveMs }: RouteOptions,
  req: Request,
  end: () => void,
): () => void {
  const before = actors.get(req)
  const look = async (): Promise<void> => {
    try {
      const actor = await actorOf(operation, context.service, req, addressOf(req, isBehindGateway))
      if (actor.role !== before?.role) end()
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.code === 'UNAUTHENTICATED') end()
    }
  }
  const timer = setInterval(() => void look(), keepAliveMs)
  return () => clearInterval(timer)
}

function parsed(schema: Operation['params'], value: unknown, where: 'path' | 'query'): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  // An id of the wrong form is one that does not exist.
  throw where === 'path' ? new GatewayError('NOT_FOUND', 'no such id') : invalid(where, result.error)
}

function bodyOf({ body, dialect }: Operation, value: unknown): unknown {
  if (body === undefined) {
    const isNothing = value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)
    if (dialect === 'v1' && !isNothing) throw invalidWith('body', [{ path: '', message: 'this call takes none' }])
    return undefined
  }
  if (value === undefined) throw invalidWith('body', [{ path: '', message: 'it is missing; expected a JSON object' }])
  const result = body.safeParse(value)
  if (result.success) return result.data
  throw invalid('body', result.error)
}

function fieldOf(req: Request, name: string): string | undefined {
  const value = req.headers[name]
  if (typeof value !== 'string' || value === '') return undefined
  if (value.length > MAX_FIELD || !/^[\x20-\x7e]*$/.test(value))
    throw invalidWith('request', [{ path: name, message: `expected at most ${MAX_FIELD} characters of ASCII` }])
  return value
}

/** Names of the rules that v1 has otherwise. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['ephemeralMs', 'ephemeralSeconds'],
  ['key', 'line'],
])

/** Faults that the rules have found, in the names of the dialect. */
function withNamesOf({ dialect, path }: Operation, thrown: unknown): unknown {
  if (!(thrown instanceof GatewayError) || thrown.code !== 'INVALID' || thrown.details.length === 0) return thrown
  const nameOf = (fault: string): string => (dialect === 'compatible' ? compatiblePath(fault, path) : (NAMES.get(fault) ?? fault))
  return invalidWith(
    'request',
    thrown.details.map(fault => ({ path: nameOf(fault.path), message: fault.message })),
  )
}
