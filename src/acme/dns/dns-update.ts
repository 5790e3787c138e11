import { randomInt } from 'node:crypto'
import { Socket } from 'node:net'
import { formatHostPort } from '../../address/host-port.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import type { DnsRecords } from '../acme-options.ts'
import { readAnswer, soaQuery, txtUpdate, type DnsAnswer } from './dns-message.ts'
import { signed, type TsigKey } from './tsig.ts'

/** Time for an answer, milliseconds. */
const ANSWER_MS = 30_000
const LENGTH_BYTES = 2

/**
 * Records that a DNS server takes by updates (RFC 2136), over TCP. That its answers are not signed back is not looked at: whoever says falsely that a record
 * is there makes an order fail, and nothing else.
 */
export class DnsUpdate implements DnsRecords {
  /** @param key  signs the updates; undefined: the server knows whom it takes them of by address */
  constructor(
    private readonly server: { readonly host: string; readonly port: number },
    private readonly key: TsigKey | undefined,
    private readonly nowMs: () => number = Date.now,
  ) {}

  add(name: string, text: string, signal: AbortSignal): Promise<void> {
    return this.#update('add', name, text, signal)
  }

  remove(name: string, text: string, signal: AbortSignal): Promise<void> {
    return this.#update('remove', name, text, signal)
  }

  async #update(action: 'add' | 'remove', name: string, text: string, signal: AbortSignal): Promise<void> {
    const { zones } = await this.#ask(id => soaQuery(id, name), signal)
    const [zone] = zones
    if (zone === undefined || !(name === zone || name.endsWith(`.${zone}`))) throw this.#refused(`has no zone for ${name}`)
    const { fault } = await this.#ask(id => {
      const message = txtUpdate(id, zone, action, { name, text })
      return this.key === undefined ? message : signed(message, this.key, this.nowMs())
    }, signal)
    if (fault !== undefined) throw this.#refused(`does not ${action} ${name} in ${zone}: ${fault}`)
  }

  async #ask(make: (id: number) => Buffer, signal: AbortSignal): Promise<DnsAnswer> {
    const id = randomInt(0x10000)
    const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    let answer: DnsAnswer
    try {
      answer = readAnswer(await exchange(this.server, make(id), within))
    } catch (cause) {
      throw this.#refused(`gave no answer: ${within.aborted ? `none within ${ANSWER_MS / 1_000} s` : messageOf(cause)}`, cause)
    }
    if (answer.id !== id) throw this.#refused('gave the answer to another question')
    return answer
  }

  readonly #refused = (why: string, cause?: unknown): GatewayError =>
    new GatewayError('CERTIFICATE_REFUSED', `--acme-dns-server ${formatHostPort(this.server)} ${why}`, { cause })
}

/** Sends one message and reads the first one that comes, each behind its length (RFC 1035 §4.2.2). */
function exchange(server: { readonly host: string; readonly port: number }, message: Buffer, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ signal })
    let bytes: Buffer = Buffer.alloc(0)
    const leave = (error: unknown): void => {
      socket.destroy()
      reject(error instanceof Error ? error : new Error(String(error)))
    }
    const read = guarded(leave, (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      const length = bytes.length < LENGTH_BYTES ? undefined : bytes.readUInt16BE(0)
      if (length === undefined || bytes.length < LENGTH_BYTES + length) return
      socket.destroy()
      resolve(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length))
    })
    socket.on('data', read)
    socket.once('error', leave)
    socket.once('close', () => leave(new Error('the connection was closed')))
    socket.connect(server.port, server.host)
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt16BE(message.length)
    socket.write(Buffer.concat([length, message]))
  })
}
