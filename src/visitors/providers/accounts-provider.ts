import { GatewayError } from '../../errors.ts'
import type { ProviderConfig } from '../config.ts'
import { personOf } from './person.ts'
import type { LoginEnd, LoginReturn, LoginStart, LoginWish, Provider } from './provider.ts'

/** Whose address and password something is. */
export type AccountAnswer =
  | { readonly kind: 'account'; readonly accountId: string; readonly email: string; readonly name: string; readonly role: string }
  | { readonly kind: 'refused' }
  | { readonly kind: 'limited'; readonly waitS: number }
  | { readonly kind: 'away'; readonly why: string }

/** Asks the service of this gateway. It counts what is wrong, by address and by account. Never rejects. */
export type AccountCheck = (credentials: {
  readonly email: string
  readonly password: string
  readonly address: string
}) => Promise<AccountAnswer>

/** The page of the auth host on which people type their address and password. */
export const ACCOUNT_PATH = '/account'

/** Accounts of the service of this gateway: a page of ours instead of a way to somebody else. */
export class AccountsProvider implements Provider {
  readonly comesBackBy = 'own-form'

  /** @param ask  undefined: there is no service */
  constructor(
    readonly config: ProviderConfig,
    private readonly ask: AccountCheck | undefined,
  ) {}

  check(): Promise<void> {
    if (this.ask !== undefined) return Promise.resolve()
    const text = `provider ${this.config.name}: kind accounts needs a service beside the outer layer; give --service`
    return Promise.reject(new GatewayError('CONFIG_INVALID', text))
  }

  begin({ redirectUri, state, wasWrong = false }: LoginWish): Promise<LoginStart> {
    const url = new URL(ACCOUNT_PATH, redirectUri)
    url.searchParams.set('provider', this.config.name)
    url.searchParams.set('state', state)
    if (wasWrong) url.searchParams.set('wrong', '1')
    return Promise.resolve({ url: url.href, secret: '' })
  }

  async finish({ form, address }: LoginReturn): Promise<LoginEnd> {
    const [email, password] = [form.get('email'), form.get('password')]
    if (email === undefined || password === undefined) return { kind: 'failed', failure: 'failed', reason: 'no address, or no password' }
    const answer = (await this.ask?.({ email, password, address })) ?? { kind: 'away', why: 'there is no service' }
    switch (answer.kind) {
      case 'account': {
        const { accountId, name, role } = answer
        // The service has sent a letter to the address, and got an answer, before there was an account.
        return personOf(this.config, { sub: accountId, email: answer.email, email_verified: true, name, [this.config.groupsClaim]: [role] })
      }
      case 'refused':
        return { kind: 'failed', failure: 'credentials', reason: 'no such account with this password' }
      case 'limited':
        return { kind: 'limited', waitS: answer.waitS, reason: 'too many wrong passwords' }
      case 'away':
        throw new GatewayError('VISITOR_PROVIDER_AWAY', `the service: ${answer.why}`)
    }
  }
}
