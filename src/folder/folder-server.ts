/** A folder as a web site: its files with their types, ranges and dates, index.html or a list of names, and no way out of it. */
import { realpath, stat } from 'node:fs/promises'
import { createServer, STATUS_CODES, type Server } from 'node:http'
import express, { type ErrorRequestHandler, type Request, type Response } from 'express'
import { GatewayError, messageOf } from '../errors.ts'
import { markup } from '../pages/markup.ts'
import { policyOf, renderPage } from '../pages/page.ts'
import { findFile, type Root } from './find-file.ts'
import { listingOf } from './listing.ts'

/** Options of a folder that is served. */
export interface FolderOptions {
  readonly path: string
  /** Files whose names begin with a dot as well. */
  readonly showsHidden: boolean
}

const GONE = 'There is no such file in this folder.'

/** Makes the server, which listens nowhere yet. @throws GatewayError FILE_UNREADABLE when there is no such folder */
export async function createFolderServer({ path, showsHidden }: FolderOptions): Promise<Server> {
  const root: Root = { path: await folderAt(path), showsHidden }
  const app = express().disable('x-powered-by').set('query parser', false).set('env', 'production')
  app.use((_, response, next) => {
    response.set({ 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-cache' })
    next()
  })
  app.use(async (request, response) => serve(root, request, response))
  const failed: ErrorRequestHandler = (error: { readonly status?: unknown }, _request, response, _next) => {
    if (response.headersSent) response.destroy()
    else if (error.status === 416) refuse(response, 416, 'The file does not have that range.')
    else if (error.status === 404) refuse(response, 404, GONE)
    else refuse(response, 500, 'This file could not be read.')
  }
  app.use(failed)
  return createServer(app)
}

async function folderAt(path: string): Promise<string> {
  try {
    if (!(await stat(path)).isDirectory())
      throw new GatewayError('FILE_UNREADABLE', `${path}: this is a file; give the folder that it is in`)
    return await realpath(path)
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    throw new GatewayError('FILE_UNREADABLE', `${path}: ${messageOf(cause)}; give the folder that is to be served`, { cause })
  }
}

async function serve(root: Root, request: Request, response: Response): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.set('Allow', 'GET, HEAD')
    return refuse(response, 405, 'This is a folder of files, which can be read and nothing else.')
  }
  const [path = '/', query] = request.url.split('?', 2)
  const found = await findFile(root, path)
  switch (found.kind) {
    case 'file':
      return sendFile(root, found.path, response)
    case 'folder':
      return sendPage(response, 200, await listingOf(root, found.path, decodeURIComponent(path)))
    case 'redirect':
      return response.redirect(302, `${found.to}${query === undefined ? '' : `?${query}`}`)
    case 'nothing':
      return refuse(response, 404, GONE)
  }
}

/** With ranges (RFC 9110 §14), conditions (§13), its type and its date. */
const sendFile = (root: Root, path: string, response: Response): Promise<void> =>
  new Promise((resolve, reject) => {
    // The path is what was found, hidden or not: nothing is judged a second time.
    response.sendFile(path, { root: root.path, dotfiles: 'allow', cacheControl: false }, error => {
      // Whoever left in the middle is no fault.
      if (error === undefined || response.destroyed || response.writableEnded) resolve()
      else reject(error)
    })
  })

function sendPage(response: Response, status: number, page: string): void {
  response
    .status(status)
    .set({ 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': policyOf() })
    .end(response.req.method === 'HEAD' ? undefined : page)
}

const refuse = (response: Response, status: number, text: string): void =>
  sendPage(response, status, renderPage({ title: `${status} ${STATUS_CODES[status] ?? ''}`, body: markup`<p>${text}</p>` }))
