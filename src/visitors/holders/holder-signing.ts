/*
 * Certificates for programs whose user has logged in, as later clients of MySocket ask for them with their token (x-access-token):
 *
 *   POST /mtls-ca/socket/HOST/csr        csr: PEM             → client_certificate
 *   POST /mtls-ca/socket/HOST/ssh        ssh_public_key       → signed_ssh_cert
 *   POST /api/v1/organizations/csr, /api/v1/organizations/sign_ssh_key, GET /api/v1/client/resource/HOST   the same, of the last clients
 */
import { addressKey } from '../../address/address-key.ts'
import type { OwnAnswer } from '../../outer/access/visitor-check.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import { emailKey } from '../../route/access.ts'
import { credentialsOf } from '../credential.ts'
import { fieldOf } from '../fields.ts'
import type { LoginContext } from '../login/login-context.ts'
import type { Page, PageCall } from '../page.ts'
import { isDeviceToken, openDeviceToken } from '../session/device-token.ts'
import type { Session } from '../session/session.ts'
import { isFor, whyNotHeld, type HeldSocket } from './held-socket.ts'
import { holderUri, openHolderToken, type HolderGrant } from './holder-grant.ts'
import { CLIENT_ROOTS, hostIn, type HolderLoginParts } from './holder-login.ts'

/** More than a request of RSA 8192 has. */
const MAX_BODY_BYTES = 32_768
/** A certificate opens connections for so long; the session has to last for longer than it. */
const CERTIFICATE_MS = 3_600_000
/** Each costs two signatures. */
const SIGNATURES = { perSecond: 1, burst: 30 } as const
const TOKEN_FIELD = 'x-access-token'

// RFC 9110 §11.6.1: a 401 has at least one challenge.
const CHALLENGE = ['WWW-Authenticate', 'SG-Login']

type Signed = 'tls' | 'ssh'
const MEMBERS = {
  tls: { asked: 'csr', given: 'client_certificate' },
  ssh: { asked: 'ssh_public_key', given: 'signed_ssh_cert' },
} as const

/** Certificates for programs, by what their user has logged in for. */
export class HolderSigning {
  readonly #signatures: RateMeter

  /** @param steady  ms, rising */
  constructor(
    private readonly context: Pick<LoginContext, 'config' | 'sessions' | 'clock'>,
    private readonly parts: Omit<HolderLoginParts, 'pages'>,
    steady: () => number,
  ) {
    this.#signatures = new RateMeter(SIGNATURES, steady)
  }

  get pages(): readonly Page[] {
    const post = { method: 'POST', maxBodyBytes: MAX_BODY_BYTES } as const
    return (['auth', 'api'] as const).flatMap(place =>
      CLIENT_ROOTS.flatMap((root): Page[] => [
        { ...post, place, path: `${root}/mtls-ca/socket/*/csr`, answer: call => this.#forSocket(call, 'tls') },
        { ...post, place, path: `${root}/mtls-ca/socket/*/ssh`, answer: call => this.#forSocket(call, 'ssh') },
        { ...post, place, path: `${root}/organizations/csr`, answer: call => this.#forAll(call, 'tls') },
        { ...post, place, path: `${root}/organizations/sign_ssh_key`, answer: call => this.#forAll(call, 'ssh') },
        { place, path: `${root}/client/resource/*`, method: 'GET', answer: call => this.#resource(call) },
      ]),
    )
  }

  /** For one socket, whatever the login was for besides. */
  async #forSocket(call: PageCall, kind: Signed): Promise<OwnAnswer> {
    const grant = this.#grantOf(call)
    if ('status' in grant) return grant
    const socket = this.#socketOf(hostIn(call.path), grant)
    if (socket === undefined) return refuse(403, 'VISITOR_FORBIDDEN', 'this login may not have that socket')
    return this.#sign(call, kind, { ...grant, scope: { kind: 'socket', name: socket.name } })
  }

  /** For all that the login was for. */
  async #forAll(call: PageCall, kind: Signed): Promise<OwnAnswer> {
    const grant = this.#grantOf(call)
    if ('status' in grant) return grant
    return this.#sign(call, kind, grant)
  }

  #resource(call: PageCall): OwnAnswer {
    const grant = this.#grantOf(call)
    if ('status' in grant) return grant
    const socket = this.#socketOf(call.path.slice(call.path.lastIndexOf('/') + 1).toLowerCase(), grant)
    if (socket === undefined) return refuse(404, 'NOT_FOUND', 'there is no such socket, or this login may not have it')
    return json(200, { socket_type: 'tls', socket_name: socket.host, socket_ports: [socket.port], domains: [socket.host] })
  }

  async #sign(call: PageCall, kind: Signed, grant: HolderGrant): Promise<OwnAnswer> {
    const { config, clock } = this.context
    const { seal, sockets } = this.parts
    const waitMs = this.#signatures.take(addressKey(call.client.address))
    if (waitMs > 0) return refuse(429, 'RATE_LIMITED', 'too many certificates', ['Retry-After', String(Math.ceil(waitMs / 1000))])
    const { asked, given } = MEMBERS[kind]
    const text = textIn(call.body, asked)
    if (text === undefined) return refuse(400, 'INVALID', `expected JSON with a text "${asked}"`)
    const { session } = grant
    const { email } = session.person
    const { authHost, sessionMs } = config()
    const answer = await sockets.certify({
      kind,
      text,
      who: nameOf(session),
      names: [...(isPlain(email) ? [email] : []), ...(kind === 'tls' ? [holderUri(seal, authHost, grant)] : [])],
      validUntil: Math.min(clock() + CERTIFICATE_MS, session.loggedInMs + sessionMs),
    })
    if (answer.kind === 'certificate') return json(200, { [given]: answer.text })
    if (answer.kind === 'refused') return refuse(400, 'INVALID', answer.why)
    return refuse(503, 'SERVICE_AWAY', 'nothing can be signed at the moment', ['Retry-After', '5'])
  }

  /** The login of the program, which is not over. */
  #grantOf({ request }: PageCall): HolderGrant | OwnAnswer {
    const { config, sessions } = this.context
    const { seal } = this.parts
    const { authHost } = config()
    const own = fieldOf(request, TOKEN_FIELD)
    const grant = own === undefined ? this.#deviceOf(request) : openHolderToken(seal, authHost, own)
    const over = grant === undefined ? 'no token of a login, or none of ours' : sessions.whyEnded(grant.session)
    return grant === undefined || over !== undefined ? refuse(401, 'VISITOR_SESSION_OVER', over ?? '', CHALLENGE) : grant
  }

  /** `forward --login` has a token of its own, for what it has named. */
  #deviceOf(request: PageCall['request']): HolderGrant | undefined {
    const text = credentialsOf(request).find(each => isDeviceToken(each.text))?.text
    const device = text === undefined ? undefined : openDeviceToken(this.parts.seal, this.context.config().authHost, text)
    const [name, more] = device?.tunnels ?? []
    if (device === undefined || name === undefined || more !== undefined) return undefined
    return { session: device.session, scope: { kind: 'socket', name } }
  }

  #socketOf(host: string, { session, scope }: HolderGrant): HeldSocket | undefined {
    const socket = this.parts.sockets.find(host)
    if (socket === undefined || !isFor(scope, socket)) return undefined
    return whyNotHeld(this.parts.ruleOf(socket.access), session) === undefined ? socket : undefined
  }
}

const nameOf = ({ person }: Session): string => person.email ?? person.name ?? person.subject

/** RFC 5280 §4.2.1.6: an rfc822Name is ASCII. */
const isPlain = (email: string | undefined): email is string =>
  email !== undefined && emailKey(email) !== undefined && /^[\x21-\x7e]+$/.test(email)

function textIn(body: Buffer, member: string): string | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    const text: unknown = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[member] : undefined
    return typeof text === 'string' ? text : undefined
  } catch {
    return undefined
  }
}

const refuse = (status: number, code: string, detail: string, more: readonly string[] = []): OwnAnswer =>
  json(status, { code, error_message: detail }, more)

function json(status: number, value: object, more: readonly string[] = []): OwnAnswer {
  const body = `${JSON.stringify(value)}\n`
  return {
    status,
    fields: [
      ...['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(body))],
      ...['Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff', ...more],
    ],
    body,
  }
}
