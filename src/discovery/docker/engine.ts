import { request, type IncomingMessage } from 'node:http'
import { GatewayError, messageOf } from '../../errors.ts'

/** The place at which an engine listens: a socket of this machine, or a host. */
export type EnginePlace = { readonly socketPath: string } | { readonly host: string; readonly port: number }

/** The part of a container that is asked for. https://docs.docker.com/reference/api/engine/ (ContainerList) */
export interface Container {
  readonly Id: string
  readonly Names?: readonly string[]
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly Ports?: readonly { readonly PrivatePort: number; readonly Type?: string }[] | null
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, { readonly IPAddress?: string; readonly GlobalIPv6Address?: string } | null>> | null
  }
}

const TIMEOUT_MS = 20_000
/** More than a list of some thousand containers has. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** Events after which a container may be elsewhere. */
const EVENTS: readonly string[] = ['start', 'die', 'stop', 'destroy', 'rename', 'update', 'pause', 'unpause', 'connect', 'disconnect']

/**
 * Reads `unix:///var/run/docker.sock` or `tcp://127.0.0.1:2375`, as DOCKER_HOST has it.
 * @throws GatewayError USAGE for anything else
 */
export function parseEngine(text: string): EnginePlace {
  const path = /^unix:\/\/(\/.+)$/.exec(text)?.[1]
  if (path !== undefined) return { socketPath: path }
  const url = /^tcp:\/\//.test(text) && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.port === '')
    throw new GatewayError('USAGE', `--engine ${JSON.stringify(text)}: expected unix:///var/run/docker.sock or tcp://HOST:PORT`)
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) }
}

/** A container engine (Docker, Podman) as far as it is read; nothing in it is changed. */
export class Engine {
  constructor(
    private readonly place: EnginePlace,
    private readonly text: string,
    /** The default suits everything but tests. */
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  /** Running containers. @throws GatewayError SERVICE_UNREACHABLE */
  async containers(signal: AbortSignal): Promise<readonly Container[]> {
    const response = await this.#get('/containers/json', AbortSignal.any([signal, AbortSignal.timeout(this.timeoutMs)]))
    let text = ''
    response.setEncoding('utf8')
    try {
      for await (const part of response) {
        text += part as string
        if (text.length > MAX_ANSWER_BYTES) throw this.#fault('the list of containers is longer than 64 MiB')
      }
    } catch (cause) {
      throw this.#fault(messageOf(cause), cause)
    }
    const list: unknown = this.#json(text)
    if (!Array.isArray(list)) throw this.#fault('the list of containers is none; is this a container engine?')
    return list.filter(
      (entry): entry is Container => typeof entry === 'object' && entry !== null && typeof (entry as Container).Id === 'string',
    )
  }

  /** Something that is heard of each change from the moment it resolves. It ends when the engine goes away. @throws GatewayError SERVICE_UNREACHABLE */
  async changes(signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    const filters = encodeURIComponent(JSON.stringify({ type: ['container', 'network'], event: EVENTS }))
    return this.#parts(await this.#get(`/events?filters=${filters}`, signal))
  }

  /** Yields for each event, whose content is not looked at, so that none is put together in memory. */
  async *#parts(response: IncomingMessage): AsyncGenerator<undefined, void, undefined> {
    try {
      for await (const _part of response) yield undefined
    } catch (cause) {
      throw this.#fault(messageOf(cause), cause)
    }
  }

  #get(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const call = request({ ...this.place, path, signal, headers: { Host: 'localhost', Accept: 'application/json' }, agent: false })
      // Headers come at once, also before the first event.
      call.setTimeout(this.timeoutMs, () => call.destroy(new Error(`no answer within ${this.timeoutMs / 1_000} s`)))
      call.on('error', cause => reject(this.#fault(messageOf(cause), cause)))
      call.on('response', response => {
        call.setTimeout(0)
        if (response.statusCode === 200) return resolve(response)
        response.destroy()
        reject(this.#fault(`answered ${response.statusCode ?? 0} to GET ${path.split('?')[0]}`))
      })
      call.end()
    })
  }

  #json(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch {
      return undefined
    }
  }

  #fault(why: string, cause?: unknown): GatewayError {
    const remedy = why.includes('EACCES')
      ? '; let this user read the socket, for example by the group docker'
      : why.includes('ENOENT')
        ? '; is the engine running, and is --engine right?'
        : ''
    return new GatewayError('SERVICE_UNREACHABLE', `the container engine at ${this.text}: ${why}${remedy}`, { cause })
  }
}
