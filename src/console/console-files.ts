import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname } from 'node:path'
import { gzipSync } from 'node:zlib'

/** Facts that the page needs before it asks for anything. */
export interface ConsoleFacts {
  /** Operators of a layer, users of the service, or whoever looks at the requests of one process. */
  readonly role: 'operator' | 'user' | 'inspector'
  /** Parts of the API that this port has beside what the role has in any case. */
  readonly features: readonly string[]
  /** Of users: the names of the service. */
  readonly service?: { readonly zone: string; readonly api: string; readonly ssh?: string }
  /** Of users: those by whom they log in, beside their password. */
  readonly providers?: readonly { readonly name: string; readonly title: string }[]
}

interface ConsoleFile {
  readonly type: string
  readonly bytes: Buffer
  readonly packed: Buffer
  /** Its name changes with what it holds. */
  readonly isLasting: boolean
}

/** Answers a request for a file of the console; false: it is none of the console's. */
export type ConsoleHandler = (req: IncomingMessage, res: ServerResponse) => boolean

/** Everything comes from the same origin, nothing is inline, nobody frames it, no form leaves it. Images of records are made by the page. */
export const CONSOLE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The same place from `src/console/` and from what it is compiled to: the build puts the files there. */
const FOLDER = new URL('../../dist/console-app/', import.meta.url)
const TYPES = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
])
const NOT_BUILT = '<!doctype html><title>socket-gateway</title><p>The console has not been built. Run: npm run build\n'

/**
 * Creates what serves the built console, `/` and `/assets/…`, on any port. Files are read and packed when somebody first asks.
 * @param facts  they go into the page, so that it needs no first question
 */
export function createConsole(facts: () => ConsoleFacts): ConsoleHandler {
  let files: ReadonlyMap<string, ConsoleFile> | undefined
  return (req, res) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') return false
    const path = (req.url ?? '/').split('?', 1)[0]!
    if (path !== '/' && !path.startsWith('/assets/')) return false
    files ??= readFiles()
    if (path === '/') {
      const page = files.get('/')?.bytes.toString() ?? NOT_BUILT
      const text = page.replace('content="FACTS"', () => `content="${escapeAttribute(JSON.stringify(facts()))}"`)
      send(req, res, fileOf('.html', Buffer.from(text), false))
      return true
    }
    const file = files.get(path)
    if (file === undefined) return false
    send(req, res, file)
    return true
  }
}

function readFiles(): ReadonlyMap<string, ConsoleFile> {
  const files = new Map<string, ConsoleFile>()
  try {
    files.set('/', fileOf('.html', readFileSync(new URL('index.html', FOLDER)), false))
    for (const name of readdirSync(new URL('assets/', FOLDER)))
      files.set(`/assets/${name}`, fileOf(extname(name), readFileSync(new URL(`assets/${name}`, FOLDER)), true))
  } catch {
    // A clone that has not been built has no console; whatever else its ports have works.
    files.clear()
  }
  return files
}

const fileOf = (extension: string, bytes: Buffer, isLasting: boolean): ConsoleFile => ({
  type: TYPES.get(extension) ?? 'application/octet-stream',
  bytes,
  packed: gzipSync(bytes),
  isLasting,
})

function send(req: IncomingMessage, res: ServerResponse, { type, bytes, packed, isLasting }: ConsoleFile): void {
  const isPacked = /\bgzip\b/.test(req.headers['accept-encoding'] ?? '')
  const body = isPacked ? packed : bytes
  res.writeHead(200, {
    'Content-Type': type,
    'Content-Length': body.length,
    ...(isPacked && { 'Content-Encoding': 'gzip' }),
    Vary: 'Accept-Encoding',
    'Cache-Control': isLasting ? 'private, max-age=31536000, immutable' : 'no-store',
    'Content-Security-Policy': CONSOLE_POLICY,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  })
  res.end(req.method === 'HEAD' ? undefined : body)
}

const escapeAttribute = (text: string): string => text.replace(/[&"<>]/g, character => `&#${character.charCodeAt(0)};`)
