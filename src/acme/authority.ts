import { createPrivateKey, generateKeyPair, X509Certificate } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type * as Acme from 'acme-client'
import { GatewayError } from '../errors.ts'
import { lazily } from '../lazily.ts'
import type { AuthorityOptions, ChallengeKind } from './acme-options.ts'
import { AuthorityError, AuthorityHttp, problemOf, retryAfterMs, type AuthorityAnswer } from './authority-http.ts'
import { renewalIdOf, type RenewalWindow } from './renewal.ts'

const load = lazily<typeof Acme>('acme-client')

/** Pauses between two looks at what an authority is doing, milliseconds. */
const FIRST_LOOK_MS = 100
const LONGEST_LOOK_MS = 5_000
/** Time that an authority has for its part, once it was asked for it, milliseconds. */
const AUTHORITY_MS = 120_000
/** Nonces that are kept. */
const MAX_NONCES = 10

/** A question of an authority, and how it is answered. */
export interface Challenge {
  readonly kind: ChallengeKind
  /** The name that it is about, without `*.`. */
  readonly name: string
  readonly token: string
  /** RFC 8555 §8.1. */
  readonly keyAuthorization: string
}

/** Puts the answer to a challenge where it is looked for. @returns takes it away again */
export type Solve = (challenge: Challenge, signal: AbortSignal) => Promise<() => Promise<void>>

/** A certificate with its chain, and its key; PEM. */
export interface IssuedPair {
  readonly cert: string
  readonly key: string
}

/** An order for one name. */
export interface OrderRequest {
  /** A DNS name, or `*.` and one. */
  readonly name: string
  readonly kind: ChallengeKind
  readonly solve: Solve
  /** PEM of the certificate in the place of which the new one comes. */
  readonly replaces: string | undefined
}

/** The parts of acme-client's own HTTP client that are replaced: it has no deadline, no bound and one set of settings for all. */
interface ClientHttp {
  request: (url: string, method: string, options?: { readonly data?: unknown }) => Promise<AuthorityAnswer>
  getNonce: () => Promise<string>
  getDirectory: () => Promise<Readonly<Record<string, unknown>>>
}

const generate = promisify(generateKeyPair)

/** A fresh key, PKCS #8 in PEM. */
export async function mintKey(): Promise<string> {
  const { privateKey } = await generate('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** An authority that certifies names by ACME (RFC 8555), with an account there. */
export class Authority {
  readonly #http: ClientHttp
  readonly #client: Acme.Client
  readonly #acme: typeof Acme
  readonly #nonces: string[] = []
  #registered: Promise<unknown> | undefined

  /**
   * @param accountKey  PEM
   * @param signal      ends everything
   * @throws GatewayError USAGE where the package is not installed
   */
  constructor(
    private readonly options: AuthorityOptions,
    accountKey: string,
    private readonly signal: AbortSignal,
    private readonly nowMs: () => number = Date.now,
  ) {
    this.#acme = loaded()
    const { binding, directory, ca } = options
    this.#client = new this.#acme.Client({
      directoryUrl: directory,
      accountKey,
      ...(binding !== undefined && { externalAccountBinding: { kid: binding.kid, hmacKey: binding.key } }),
    })
    this.#http = (this.#client as unknown as { readonly http: ClientHttp }).http
    const { send } = new AuthorityHttp(ca, signal, nowMs)
    const fetchNonce = this.#http.getNonce.bind(this.#http)
    this.#http.request = async (url, method, more) => {
      const answer = await send(url, method, more)
      const nonce = answer.headers['replay-nonce']
      // That of a refused one is used by the package itself, for the same request.
      const isFree = method !== 'head' && answer.status < 400
      if (typeof nonce === 'string' && isFree && this.#nonces.length < MAX_NONCES) this.#nonces.push(nonce)
      return answer
    }
    // Each answer has one for the next request, which spares a round trip.
    this.#http.getNonce = async () => this.#nonces.pop() ?? (await fetchNonce())
  }

  /**
   * Orders a certificate for one name.
   * @throws GatewayError CERTIFICATE_REFUSED; AuthorityError where the authority has said why
   */
  async order({ name, kind, solve, replaces }: OrderRequest): Promise<IssuedPair> {
    await this.#register()
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(2 * AUTHORITY_MS)])
    const identifiers = [{ type: 'dns', value: name }]
    const renewal = replaces === undefined || !(await this.#hasRenewalInfo()) ? undefined : renewalIdOf(replaces)
    const order = await this.#createOrder(identifiers, renewal)
    for (const authorization of await this.#client.getAuthorizations(order)) {
      if (!isPartOf(authorization.identifier.value, name))
        throw new GatewayError('CERTIFICATE_REFUSED', `the authority wants another name to be proven than ${name}`)
      if (authorization.status !== 'valid') await this.#prove(order, authorization, { kind, solve }, signal)
    }
    const key = await mintKey()
    const [, request] = await this.#acme.crypto.createCsr({ altNames: [name] }, key)
    await this.#poll<Acme.Order>(
      signal,
      () => this.#client.getOrder(order),
      ({ status }) => status !== 'pending',
    )
    const begun = await this.#client.finalizeOrder(order, request)
    const done = await this.#poll<Acme.Order>(
      signal,
      async last => (last === undefined ? begun : await this.#client.getOrder(order)),
      ({ status }) => status !== 'processing' && status !== 'ready',
    )
    if (done.status !== 'valid')
      throw new AuthorityError(`the order for ${name} is ${done.status}: ${reasonOf(done.error)}`, typeOf(done.error), undefined)
    const cert = await this.#client.getCertificate(done)
    check(cert, key, name)
    return { cert, key }
  }

  /** Asks when a certificate should be renewed (RFC 9773); undefined: this authority does not say. @param cert  PEM */
  async renewalWindow(cert: string): Promise<(RenewalWindow & { readonly retryAfterMs: number | undefined }) | undefined> {
    const id = renewalIdOf(cert)
    const { renewalInfo } = await this.#http.getDirectory()
    if (typeof renewalInfo !== 'string' || id === undefined) return undefined
    const { data, headers } = await this.#http.request(`${renewalInfo.replace(/\/$/, '')}/${id}`, 'get')
    const { suggestedWindow: { start, end } = {} } = (data ?? {}) as {
      readonly suggestedWindow?: { readonly start?: unknown; readonly end?: unknown }
    }
    const [startMs, endMs] = [Date.parse(String(start)), Date.parse(String(end))]
    if (!(startMs <= endMs)) return undefined
    return { startMs, endMs, retryAfterMs: retryAfterMs(headers['retry-after'], this.nowMs()) }
  }

  async #hasRenewalInfo(): Promise<boolean> {
    return typeof (await this.#http.getDirectory())['renewalInfo'] === 'string'
  }

  /** Makes the account, or finds it by its key; once, unless that fails. */
  async #register(): Promise<void> {
    const { email } = this.options
    this.#registered ??= this.#client.createAccount({ termsOfServiceAgreed: true, contact: [`mailto:${email}`] })
    try {
      await this.#registered
    } catch (error) {
      this.#registered = undefined
      throw error
    }
  }

  /** An authority that does not want to hear of the certificate before gets the order without it (RFC 9773 §5). */
  async #createOrder(identifiers: { type: string; value: string }[], replaces: string | undefined): Promise<Acme.Order> {
    try {
      return await this.#client.createOrder({ identifiers, ...(replaces !== undefined && { replaces }) })
    } catch (error) {
      if (replaces === undefined || !(error instanceof AuthorityError) || !['alreadyReplaced', 'malformed'].includes(error.type))
        throw error
      return await this.#client.createOrder({ identifiers })
    }
  }

  async #prove(
    order: Acme.Order,
    authorization: Acme.Authorization,
    { kind, solve }: Pick<OrderRequest, 'kind' | 'solve'>,
    signal: AbortSignal,
  ): Promise<void> {
    const { value: name } = authorization.identifier
    const challenge = authorization.challenges.find(({ type }) => type === kind)
    if (challenge === undefined) {
      const offered = authorization.challenges.map(({ type }) => type).join(', ')
      throw new GatewayError('CERTIFICATE_REFUSED', `the authority does not prove ${name} by ${kind}, but by ${offered}`)
    }
    // For dns-01 the package would give its digest.
    const keyAuthorization = await this.#client.getChallengeKeyAuthorization({ ...challenge, type: 'http-01' })
    const { token } = challenge as { readonly token: string }
    const undo = await solve({ kind, name, token, keyAuthorization }, signal)
    try {
      await this.#client.completeChallenge(challenge)
      const found = await this.#poll(
        signal,
        async () => (await this.#client.getAuthorizations(order)).find(({ url }) => url === authorization.url),
        each => each?.status !== 'pending',
      )
      if (found?.status === 'valid') return
      const { error } = (found?.challenges.find(({ type }) => type === kind) ?? {}) as { readonly error?: unknown }
      throw new AuthorityError(`${name} could not be proven by ${kind}: ${reasonOf(error)}`, typeOf(error), undefined)
    } finally {
      await undo()
    }
  }

  /** Looks until it is over. @throws GatewayError CERTIFICATE_REFUSED when that takes too long */
  async #poll<T>(signal: AbortSignal, look: (last: T | undefined) => Promise<T>, isOver: (found: T) => boolean): Promise<T> {
    const endMs = this.nowMs() + AUTHORITY_MS
    let last: T | undefined
    for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_LOOK_MS)) {
      last = await look(last)
      if (isOver(last)) return last
      if (this.nowMs() > endMs)
        throw new GatewayError('CERTIFICATE_REFUSED', `the authority has not come to an end within ${AUTHORITY_MS / 1_000} s`)
      await delay(pauseMs, undefined, { signal })
    }
  }
}

/**
 * Does whoever proves this prove `name`, a host or `*.` and one? What an authority says goes into records of the DNS and to a program of the operator.
 * @param proven  the name itself, or a domain that it is in
 */
export const isPartOf = (proven: string, name: string): boolean => {
  const bare = name.replace(/^\*\./, '')
  return bare === proven || (proven !== '' && bare.endsWith(`.${proven}`))
}

const reasonOf = (error: unknown): string => {
  const { detail } = problemOf(error)
  return detail === '' ? 'the authority does not say why' : detail
}
const typeOf = (error: unknown): string => problemOf(error).type

/** @throws GatewayError CERTIFICATE_REFUSED for a certificate that is not the one that was ordered */
function check(cert: string, key: string, name: string): void {
  const refuse = (why: string): never => {
    throw new GatewayError('CERTIFICATE_REFUSED', `the certificate that the authority gave for ${name} ${why}`)
  }
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(cert)
  } catch {
    return refuse('cannot be read')
  }
  if (certificate.checkHost(name.replace(/^\*/, 'any')) === undefined) refuse('is not for that name')
  if (!certificate.checkPrivateKey(createPrivateKey(key))) refuse('is for another key')
}

function loaded(): typeof Acme {
  try {
    return load()
  } catch (cause) {
    throw new GatewayError('USAGE', '--acme needs the package acme-client, which is not installed; run: npm install acme-client', { cause })
  }
}
