import { connect, type Socket } from 'node:net'
import { messageOf } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import type { DialEvents } from './dialer.ts'
import { StreamLink } from './stream-link.ts'

/** The path at which a port switches to a `StreamLink`, and the name of the protocol. */
export const STREAM_PATH = '/stream-link'
export const STREAM_PROTOCOL = 'socket-gateway-stream'

const CONNECT_MS = 10_000
const MAX_HEAD_BYTES = 4_096
const HEAD_END = '\r\n\r\n'
const SWITCHED = 'HTTP/1.1 101 '

/** The answer of the port that has switched. */
export const SWITCHED_HEAD = `${SWITCHED}Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${STREAM_PROTOCOL}\r\n\r\n`

/** Dials a port of this machine that takes a `StreamLink`, once. The function returned gives up, or destroys the link. */
export function dialStream({ url }: { readonly url: string }, events: DialEvents): () => void {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  new StreamDial(socket, `${hostname}:${port}`, events)
  return () => void socket.destroy()
}

/** Dials a process of this machine that takes a `StreamLink` at a path, once. The function returned gives up, or destroys the link. */
export function dialStreamAtPath(path: string, events: DialEvents): () => void {
  const socket = connect({ path })
  new StreamDial(socket, 'localhost', events)
  return () => void socket.destroy()
}

/** One attempt, until its link is there. */
class StreamDial {
  #head: Buffer[] = []
  #isOver = false
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly socket: Socket,
    host: string,
    private readonly events: DialEvents,
  ) {
    const fail = (thrown: unknown): void => this.#fail(`internal fault: ${messageOf(thrown)}`)
    this.#timer = setTimeout(
      guarded(fail, () => this.#fail(`no answer within ${CONNECT_MS / 1000} s`)),
      CONNECT_MS,
    )
    socket.once(
      'error',
      guarded(fail, (error: Error) => this.#fail(messageOf(error))),
    )
    const closed = (): void => {
      this.#fail('the connection was closed before it was ready')
      events.onGone?.()
    }
    socket.once('close', guarded(fail, closed))
    const read = guarded(fail, (bytes: Buffer) => this.#read(bytes, read))
    socket.on('data', read)
    socket.write(`GET ${STREAM_PATH} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: ${STREAM_PROTOCOL}\r\n\r\n`)
  }

  #read(bytes: Buffer, read: (bytes: Buffer) => void): void {
    this.#head.push(bytes)
    const head = Buffer.concat(this.#head)
    const end = head.indexOf(HEAD_END)
    if (end < 0 && head.length <= MAX_HEAD_BYTES) return
    if (!head.subarray(0, SWITCHED.length).equals(Buffer.from(SWITCHED)) || end < 0)
      return this.#fail(`${head.toString('latin1', 0, 64).split('\r\n')[0]!} instead of a link`)
    if (!this.#end()) return
    this.socket.removeListener('data', read)
    const link = new StreamLink(this.socket)
    this.events.onLink(link)
    link.push(head.subarray(end + HEAD_END.length))
  }

  #fail(reason: string): void {
    this.socket.destroy()
    if (this.#end()) this.events.onFailure(reason)
  }

  #end(): boolean {
    const wasOver = this.#isOver
    this.#isOver = true
    this.#head = []
    clearTimeout(this.#timer)
    this.#timer = undefined
    return !wasOver
  }
}
