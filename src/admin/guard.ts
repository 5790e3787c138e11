import { isThisMachine } from '../address/this-machine.ts'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { addressKey } from '../address/address-key.ts'

/** Wrong passwords that one address may send at once, and how fast it gets new ones, milliseconds. */
const MAX_FAILURES = 5
const FORGIVE_MS = 2_000
const MAX_ADDRESSES = 1_000

/** Lets a request pass; false: it has been answered. */
export type Guard = (request: IncomingMessage, response: ServerResponse) => boolean

function refuse(response: ServerResponse, status: number, text: string, fields: Readonly<Record<string, string>> = {}): false {
  const own = { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': String(text.length) }
  response.writeHead(status, { ...fields, ...own }).end(text)
  return false
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** The wrong passwords that addresses have sent lately, counted for each address. */
class Failures {
  readonly #counts = new Map<string, { count: number; atMs: number }>()

  constructor(private readonly clock: () => number) {}

  /** Milliseconds until `address` may try again; 0: now. */
  waitMs(address: string): number {
    const entry = this.#counts.get(address)
    if (entry === undefined) return 0
    const sinceMs = this.clock() - entry.atMs
    const left = entry.count - Math.floor(sinceMs / FORGIVE_MS)
    if (left <= 0) this.#counts.delete(address)
    return left < MAX_FAILURES ? 0 : (left - MAX_FAILURES + 1) * FORGIVE_MS - (sinceMs % FORGIVE_MS)
  }

  add(address: string): void {
    const now = this.clock()
    const entry = this.#counts.get(address)
    const left = entry === undefined ? 0 : Math.max(0, entry.count - Math.floor((now - entry.atMs) / FORGIVE_MS))
    this.#counts.delete(address)
    // Whoever has so many addresses gains five tries with each of them in any case.
    if (this.#counts.size >= MAX_ADDRESSES) this.#counts.delete(this.#counts.keys().next().value!)
    this.#counts.set(address, { count: left + 1, atMs: now })
  }
}

/**
 * Asks for the password (RFC 7617, any user name) before everything behind it. Compared in constant time; an address that was wrong five
 * times has to wait.
 * @param clock  milliseconds, rising
 */
export function requirePassword(password: string, clock: () => number): Guard {
  const expected = digest(password)
  const failures = new Failures(clock)
  return (request, response) => {
    const address = addressKey(request.socket.remoteAddress ?? '')
    const waitMs = failures.waitMs(address)
    if (waitMs > 0)
      return refuse(response, 429, 'Too many wrong passwords; try again later.\n', { 'Retry-After': String(Math.ceil(waitMs / 1000)) })
    const given = passwordOf(request.headers.authorization)
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return true
    // A browser asks without a password first, which is no guess.
    if (given !== undefined) failures.add(address)
    return refuse(response, 401, 'This page needs the admin password.\n', {
      'WWW-Authenticate': 'Basic realm="socket-gateway", charset="UTF-8"',
    })
  }
}

function passwordOf(authorization: string | undefined): string | undefined {
  const [, encoded] = /^basic +([\w+/=-]+)$/i.exec(authorization ?? '') ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  return text.slice(text.indexOf(':') + 1)
}

/**
 * Refuses requests for other names than those of this machine. A page of the Internet can make its own name resolve to 127.0.0.1 and
 * then read, as its own origin, what only this machine should see (DNS rebinding); the Host field still has that name.
 */
export const requireLocalHost: Guard = (request, response) => {
  const host = (request.headers.host ?? '').toLowerCase()
  const name = /^\[([^\]]*)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, '')
  return isThisMachine(name) || refuse(response, 421, 'This page answers to localhost, 127.0.0.1 and [::1] only.\n')
}
