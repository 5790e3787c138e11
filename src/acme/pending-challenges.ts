import { createSecureContext, type SecureContext } from 'node:tls'
import type * as Acme from 'acme-client'
import { lazily } from '../lazily.ts'
import type { ChallengeAnswers } from '../tls/challenge-answers.ts'
import { TLS_SETTINGS } from '../tls/settings.ts'
import { mintKey, type Challenge } from './authority.ts'
import type { AnswersElsewhere } from './exchange.ts'

const load = lazily<typeof Acme>('acme-client')

const textPlace = (token: string): string => `text ${token}`
const tlsPlace = (name: string): string => `tls ${name}`

/** The challenges that are to be answered at the moment, by HTTP and TLS. */
export class PendingChallenges implements ChallengeAnswers {
  /** Place → key authorization. */
  readonly #pending = new Map<string, string>()
  readonly #contexts = new Map<string, SecureContext>()

  /** @param exchange  of nodes or processes: an authority asks whichever it comes to; undefined: there is no other */
  constructor(private readonly exchange?: AnswersElsewhere) {}

  get isAskedByTls(): boolean {
    return this.#contexts.size > 0 || this.exchange !== undefined
  }

  /** Answers a challenge until the returned function is called. */
  async add({ kind, name, token, keyAuthorization }: Challenge): Promise<() => Promise<void>> {
    const place = kind === 'tls-alpn-01' ? tlsPlace(name) : textPlace(token)
    if (kind === 'tls-alpn-01') this.#contexts.set(place, await certificateFor(name, keyAuthorization))
    this.#pending.set(place, keyAuthorization)
    await this.exchange?.publish(place, keyAuthorization)
    return async () => {
      this.#pending.delete(place)
      this.#contexts.delete(place)
      await this.exchange?.withdraw(place)
    }
  }

  async textOf(token: string): Promise<string | undefined> {
    const place = textPlace(token)
    return this.#pending.get(place) ?? (await this.exchange?.answerAt(place))
  }

  async contextOf(serverName: string): Promise<SecureContext | undefined> {
    const place = tlsPlace(serverName)
    const known = this.#contexts.get(place)
    if (known !== undefined || this.exchange === undefined) return known
    const found = await this.exchange.answerAt(place)
    return found === undefined ? undefined : await certificateFor(serverName, found)
  }
}

/** A certificate that says the answer, RFC 8737 §3. */
async function certificateFor(name: string, keyAuthorization: string): Promise<SecureContext> {
  const authorization = { identifier: { type: 'dns', value: name } } as Acme.Authorization
  const [key, cert] = await load().crypto.createAlpnCertificate(authorization, keyAuthorization, await mintKey())
  return createSecureContext({ ...TLS_SETTINGS, key, cert })
}
