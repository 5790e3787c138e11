import { createServer, type RequestListener, type Server } from 'node:http'
import type express from 'express'
import type { ErrorRequestHandler, Express } from 'express'
import { lazily } from '../lazily.ts'
import { listen, listenAtPath } from '../net/listen.ts'
import { createConsole } from '../console/console-files.ts'
import type { EventBook } from '../events/event-book.ts'
import { createCalls, type AdminCall, type RequestAnswerer } from './calls.ts'
import { eventPages } from './event-pages.ts'
import type { Exposition } from './exposition.ts'
import { checkAdminHost, DEFAULT_HOST } from './admin-host.ts'
import { isThisMachine } from '../address/this-machine.ts'
import { requireLocalHost, requirePassword, type Guard } from './guard.ts'
import { answerProbe, type Readiness } from './health.ts'
import type { LayerStatus } from './status.ts'

/** Where the admin port is, and who may look. */
export interface AdminOptions {
  /** 0 picks a free port. */
  readonly port: number
  /** In the place of a port: the primary process asks here, of which this one is a worker. */
  readonly path?: string
  /** Default 127.0.0.1. */
  readonly host?: string
  readonly password?: string
  /** Other parts of the port, such as an inspector. */
  readonly others?: readonly RequestAnswerer[]
  /** Further calls of the API. */
  readonly calls?: readonly AdminCall[]
  /** Names of these parts, for the console. */
  readonly features?: readonly string[]
}

/** The pages of a layer and their data. */
export interface AdminPages {
  readonly readiness: () => Readiness
  readonly status: () => LayerStatus | Promise<LayerStatus>
  readonly metrics: Exposition
  /** The book of events; undefined: this layer tells nothing. */
  readonly events: EventBook | undefined
  readonly calls: readonly AdminCall[]
  /** Asked before anything else behind the guard, such as an inspector; true: it has answered, or will. */
  readonly others: readonly RequestAnswerer[]
  /** Parts of the API that not every layer has, for the console. */
  readonly features: readonly string[]
  /** Milliseconds, rising. */
  readonly clock: () => number
}

const loadExpress = lazily<typeof express>('express')

const TAKEN = 'another layer on this machine may have it: pass --admin-port with another port, 0 for a free one, or none'
/** A browser, a scraper and a few people; whoever opens more of them wants something else. */
const MAX_CONNECTIONS = 100

/**
 * The operator's view: health, metrics, status, and a page of it for people. For eyes of this machine unless there is a password.
 * `close` is idempotent and resolves when nothing is left.
 */
export class AdminServer {
  readonly #server: Server

  /** @throws GatewayError USAGE for an address that others can reach without a password */
  constructor(
    private readonly options: AdminOptions,
    pages: AdminPages,
  ) {
    checkAdminHost(options)
    const { host = DEFAULT_HOST, password } = options
    this.#server = createServer(
      { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 5_000, keepAliveTimeout: 20_000 },
      createListener(pages, { isLocal: isThisMachine(host), password }),
    )
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Opens the port and gives it, 0 for a path. @throws GatewayError LISTEN_FAILED */
  start(): Promise<number> {
    const { path, port, host = DEFAULT_HOST } = this.options
    if (path !== undefined) return listenAtPath(this.#server, path).then(() => 0)
    return listen(this.#server, port, host, { doing: 'open the admin port', taken: TAKEN })
  }

  /** Closes the port and every connection. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}

const FIELDS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', 'Cross-Origin-Resource-Policy': 'same-origin' }

/** Answers probes, and hands everything else to the pages, which are made, with what they need, when somebody asks for the first of them. */
function createListener(
  pages: AdminPages,
  { isLocal, password }: { readonly isLocal: boolean; readonly password: string | undefined },
): RequestListener {
  // With a password a foreign page has nothing to send: the browser keeps it for the name that the operator has typed.
  const isForUs: Guard = isLocal && password === undefined ? requireLocalHost : () => true
  const mayEnter: Guard = password === undefined ? () => true : requirePassword(password, pages.clock)
  let app: Express | undefined
  return (request, response) => {
    for (const [name, value] of Object.entries(FIELDS)) response.setHeader(name, value)
    if (!isForUs(request, response) || answerProbe(request, response, pages.readiness) || !mayEnter(request, response)) return
    try {
      app ??= createApp(pages)
      app(request, response)
    } catch {
      response.writeHead(500, { 'Content-Type': 'text/plain' }).end(FAILED)
    }
  }
}

const FAILED = 'The page failed.\n'

function createApp(pages: AdminPages): Express {
  const app = loadExpress()().disable('x-powered-by').disable('etag')
  app.get('/metrics', async (_req, res) => {
    const { contentType, text } = await pages.metrics.read()
    res.set('Content-Type', contentType).send(text)
  })
  app.get('/status', async (_req, res) => {
    res.json(await pages.status())
  })
  if (pages.events !== undefined) eventPages(app, pages.events)
  const console = createConsole(() => ({ role: 'operator', features: pages.features }))
  const others = [...pages.others, createCalls(pages.calls), console]
  app.use((req, res, next) => {
    if (!others.some(answer => answer(req, res))) next()
  })
  app.use((_req, res) => void res.status(404).type('text').send('Nothing here; see /, /status, /events, /metrics, /healthz and /readyz.\n'))
  const onError: ErrorRequestHandler = (_error, _req, res, _next) => void res.status(500).type('text').send(FAILED)
  app.use(onError)
  return app
}
