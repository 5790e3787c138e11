import type { DirectoryChange, DirectoryMessage, DirectorySnapshot } from '../directory/directory.ts'
import type { Usage } from '../directory/owner.ts'
import type { RequestsAnswer, RequestsChange, RequestsFollowing, RequestsQuestion } from '../directory/socket-requests.ts'
import { GatewayError } from '../errors.ts'
import type { Tell } from '../events/turning-states.ts'
import type { LogLine } from '../payload/log-note.ts'
import type { DataPlane } from '../service/contract.ts'
import type {
  AccountAnswer,
  AccountCredentials,
  ApplyFailure,
  CertificateAnswer,
  FromService,
  HolderRequest,
  OperatorAnswer,
  OperatorRequest,
  ServiceLink,
  SocketLogin,
  ToService,
} from '../service-host/ipc.ts'
import type { CertificatesAnswer, CertificatesRequest } from '../service-host/kept-certificates.ts'
import { Questions } from '../service-host/questions.ts'
import { createLog, type Log, type LogFields, type LogLevel } from '../telemetry/log.ts'

/** Whatever is not acknowledged by then was said to an outer layer that is gone or hangs. */
const APPLIED_WITHIN_MS = 5_000
/** The same for an answer. */
const ANSWER_MS = 10_000
/** The same for requests that are sent again: the outer layer answers before. */
const REPLAYED_MS = 30_000
/** Numbers of those questions begin here, so that they are no others'. */
const REPLAY_IDS = 2 ** 40

const AWAY: RequestsAnswer = { kind: 'refused', code: 'OVERLOADED', why: 'the records cannot be read now; try again in a while' }

/** The process at the other end, as the command line gives it. */
export interface HostProcess {
  send(message: unknown): void
  onMessage(listener: (message: unknown) => void): void
  onEnd(listener: () => void): void
}

/** Told of what the host says. */
export interface HostListeners {
  readonly onLink: (link: ServiceLink) => void
  readonly onTunnels: (up: readonly { readonly id: string; readonly address: string }[], down: readonly string[]) => void
  readonly onKeys: (up: readonly { readonly id: string; readonly address: string }[], down: readonly string[]) => void
  readonly onUsage: (rows: readonly Usage[]) => void
  /** Visitors of a socket that is watched. */
  readonly onVisitors: (socketId: string, lines: readonly LogLine[]) => void
  readonly onSocketLogin: (login: SocketLogin) => void
  /** Whose credentials they are. Never rejects. */
  readonly onWho: (credentials: AccountCredentials) => Promise<AccountAnswer>
  /** Does what an operator wants. Never rejects. */
  readonly onOperate: (request: OperatorRequest) => Promise<OperatorAnswer>
  /** The service of another outer layer has told something. */
  readonly onTold: (topic: string, message: unknown) => void
  /** A certificate for somebody. Never rejects. */
  readonly onCertify: (request: HolderRequest) => Promise<CertificateAnswer>
  /** Finds and keeps certificates of hosts. Never rejects. */
  readonly onCertificates: (request: CertificatesRequest) => Promise<CertificatesAnswer>
  /** The host asks for the end, or is gone. */
  readonly onStop: () => void
}

interface Waiting {
  readonly resolve: (failures: readonly ApplyFailure[]) => void
  readonly timer: NodeJS.Timeout
}

/** The channel to the outer layer: the directory goes there, what happens at the tunnels comes back. */
export class HostChannel implements DataPlane {
  readonly #waiting = new Map<number, Waiting>()
  readonly #requests = new Questions<RequestsAnswer>(ANSWER_MS, () => AWAY)
  readonly #replays = new Questions<RequestsAnswer>(REPLAYED_MS, () => AWAY, REPLAY_IDS)
  readonly #followed = new Map<number, (changes: readonly RequestsChange[]) => void>()
  #nextId = 1
  #isGone = false

  constructor(
    private readonly host: HostProcess,
    listeners: HostListeners,
    log: Log,
  ) {
    host.onMessage(message => {
      try {
        this.#onMessage(message as ToService, listeners)
      } catch (thrown) {
        log.error({ err: thrown }, 'internal fault while handling a message of the outer layer')
      }
    })
    host.onEnd(() => {
      this.#isGone = true
      for (const id of [...this.#waiting.keys()]) this.#applied(id, [])
      listeners.onStop()
    })
  }

  /** @throws GatewayError LISTEN_FAILED with the reason of the first socket that cannot be served */
  async apply(change: DirectoryChange): Promise<void> {
    const [failure] = await this.#send(change)
    if (failure !== undefined) throw new GatewayError('LISTEN_FAILED', failure.message)
  }

  /** Replaces all that the data plane knows. @returns sockets that it cannot serve */
  replace(snapshot: DirectorySnapshot): Promise<readonly ApplyFailure[]> {
    return this.#send(snapshot)
  }

  /** Asks for recorded requests of a socket. Never rejects. */
  requests(question: RequestsQuestion): Promise<RequestsAnswer> {
    const questions = question.kind === 'replay' ? this.#replays : this.#requests
    return questions.ask(id => this.#say({ type: 'requests', id, question }))
  }

  /** Follows the requests of a socket. @returns ends it */
  followRequests(following: RequestsFollowing, tell: (changes: readonly RequestsChange[]) => void): () => void {
    const id = this.#nextId++
    this.#followed.set(id, tell)
    this.#say({ type: 'follow', id, following })
    return () => {
      if (this.#followed.delete(id)) this.#say({ type: 'unfollow', id })
    }
  }

  ready(): void {
    this.#say({ type: 'ready' })
  }

  /** Nothing is answered until this is done. */
  busy(what: string): void {
    this.#say({ type: 'busy', what })
  }

  failed(message: string): void {
    this.#say({ type: 'failed', message })
  }

  /** Asks for the visitors of a socket, or no longer. */
  watch(socketId: string, isWatched: boolean): void {
    this.#say({ type: 'watch', socketId, isWatched })
  }

  /** Tells the operator what has happened to an account. */
  readonly event: Tell = (name, note, happening) => this.#say({ type: 'event', name, note, happening })

  /** Tells the services of other outer layers something of a topic. */
  tell(topic: string, message: unknown): void {
    this.#say({ type: 'tell', topic, message })
  }

  health(isHealthy: boolean): void {
    this.#say({ type: 'health', isHealthy })
  }

  #say(message: FromService): void {
    this.host.send(message)
  }

  #send(message: DirectoryMessage): Promise<readonly ApplyFailure[]> {
    if (this.#isGone) return Promise.resolve([])
    const id = this.#nextId++
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#applied(id, []), APPLIED_WITHIN_MS)
      this.#waiting.set(id, { resolve, timer })
      this.#say({ type: 'directory', id, message })
    })
  }

  #applied(id: number, failures: readonly ApplyFailure[]): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    clearTimeout(waiting.timer)
    waiting.resolve(failures)
  }

  #onMessage(message: ToService, listeners: HostListeners): void {
    const { onLink, onTunnels, onKeys, onUsage, onVisitors, onSocketLogin, onWho, onCertify, onCertificates, onOperate, onTold, onStop } =
      listeners
    switch (message.type) {
      case 'link':
        return onLink(message.link)
      case 'applied':
        return this.#applied(message.id, message.failures)
      case 'tunnels':
        return onTunnels(message.up, message.down)
      case 'keys':
        return onKeys(message.up, message.down)
      case 'usage':
        return onUsage(message.rows)
      case 'visitors':
        return onVisitors(message.socketId, message.lines)
      case 'socket-login':
        return onSocketLogin(message.login)
      case 'who':
        return void onWho(message.credentials).then(answer => this.#say({ type: 'who', id: message.id, answer }))
      case 'operate':
        return void onOperate(message.request).then(answer => this.#say({ type: 'operated', id: message.id, answer }))
      case 'certify':
        return void onCertify(message.request).then(answer => this.#say({ type: 'certified', id: message.id, answer }))
      case 'certificates':
        return void onCertificates(message.request).then(answer => this.#say({ type: 'certificates', id: message.id, answer }))
      case 'requests':
        this.#requests.answered(message.id, message.answer)
        return this.#replays.answered(message.id, message.answer)
      case 'followed':
        return this.#followed.get(message.id)?.(message.changes)
      case 'told':
        return onTold(message.topic, message.message)
      case 'ping':
        return this.#say({ type: 'pong' })
      case 'stop':
        return onStop()
    }
  }
}

/** A log whose lines are said to the host, which has the one log of both processes. */
export function createHostLog(host: HostProcess, level: LogLevel): Log {
  const write = (text: string): void => {
    for (const line of text.split('\n')) {
      if (line === '') continue
      const { level: of, msg, time: _, ...fields } = JSON.parse(line) as LogFields & { level: LogLevel; msg?: string }
      host.send({ type: 'log', level: of, fields, message: msg ?? '' } satisfies FromService)
    }
  }
  return createLog({ level, format: 'json', destination: { write } })
}
