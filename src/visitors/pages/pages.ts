import { ERRORS, type ErrorCode } from '../../errors.ts'
import type { VisitorAnswer, VisitorRequest } from '../../outer/access/visitor-check.ts'
import type { VisitorsConfig } from '../config.ts'
import { action, draw, html, type Drawn, type Html } from './layout.ts'
import { textsFor, type Texts } from './texts.ts'

/** A choice on the page of the login. */
export interface Choice {
  readonly title: string
  readonly url: string
}

/** The reasons for which a login fails, as far as people can do something about them. */
export type LoginFailure = 'failed' | 'cookies' | 'unverified' | 'cancelled'

/** Pages for people: each says what is the matter, and what to do next. */
export class Pages {
  constructor(private readonly config: () => VisitorsConfig) {}

  /** Where to log in. @param current  somebody who is logged in already */
  choose(
    request: VisitorRequest,
    { host, choices, current }: { readonly host: string; readonly choices: readonly Choice[]; readonly current?: Choice | undefined },
  ): VisitorAnswer {
    return this.#draw(request, texts => ({
      status: 200,
      title: texts.chooseTitle(host),
      body: html`${current === undefined ? html`<p>${choices.length === 0 ? texts.providersMissing : texts.chooseBody}</p>` : action(current.url, texts.continueAs(current.title))}
        <ul>
          ${choices.map(({ title, url }) => html`<li>${action(url, texts.logInWith(title), current !== undefined)}</li>`)}
        </ul>`,
    }))
  }

  /**
   * The form for an account of the service.
   * @param origin  where the browser goes once it is known: browsers hold redirects behind a form to the policy of its page
   */
  account(
    request: VisitorRequest,
    {
      action: to,
      state,
      origin,
      wasWrong,
    }: { readonly action: string; readonly state: string; readonly origin: string; readonly wasWrong: boolean },
  ): VisitorAnswer {
    return this.#draw(request, texts => ({
      status: 200,
      title: texts.logIn,
      formsLeadTo: origin,
      body: html`${wasWrong ? html`<p class="bad" role="alert">${texts.wrongBody}</p>` : html``}
        <form method="post" action="${to}">
          <input type="hidden" name="RelayState" value="${state}" />
          <p>
            <label for="email">${texts.email}</label>
            <input id="email" name="email" type="email" autocomplete="username" maxlength="254" required />
          </p>
          <p>
            <label for="password">${texts.password}</label>
            <input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" required />
          </p>
          <button class="do">${texts.logIn}</button>
        </form>`,
    }))
  }

  /** Somebody is known, and not let in. */
  denied(
    request: VisitorRequest,
    { who, host, switchUrl }: { readonly who: string; readonly host: string; readonly switchUrl: string },
  ): VisitorAnswer {
    return this.#draw(request, texts => ({
      status: ERRORS.VISITOR_FORBIDDEN.status,
      title: texts.deniedTitle,
      body: html`<p>${texts.deniedBody(who, host)}</p>
        ${action(switchUrl, texts.somebodyElse)} ${codeLine('VISITOR_FORBIDDEN')}`,
    }))
  }

  /** The page to log out by. @param who  undefined: nobody is logged in */
  logout(request: VisitorRequest, { who, action: to }: { readonly who: string | undefined; readonly action: string }): VisitorAnswer {
    return this.#draw(request, texts => ({
      status: 200,
      title: texts.logOutTitle,
      body:
        who === undefined
          ? html`<p>${texts.nobodyBody}</p>`
          : html`<p>${texts.logOutBody(who)}</p>
              <form method="post" action="${to}">
                <button class="do" name="scope" value="here">${texts.logOutHere(request.client.host)}</button>
              </form>
              <form method="post" action="${to}">
                <button class="do also" name="scope" value="everywhere">${texts.logOutEverywhere}</button>
              </form>`,
    }))
  }

  loggedOut(
    request: VisitorRequest,
    {
      isEverywhere,
      again,
      elsewhere = [],
    }: { readonly isEverywhere: boolean; readonly again: string | undefined; readonly elsewhere?: readonly Choice[] },
    fields: readonly string[],
  ): VisitorAnswer {
    return this.#draw(request, texts => ({
      status: 200,
      title: texts.loggedOutTitle,
      body: html`<p>${isEverywhere ? texts.loggedOutEverywhereBody : texts.loggedOutBody(request.client.host)}</p>
        ${again === undefined ? html`` : action(again, texts.logInAgain)}
        ${elsewhere.map(
          ({ title, url }) =>
            html`<p>${texts.stillLoggedIn(title)}</p>
              ${action(url, texts.logOutOf(title), true)}`,
        )}`,
      fields,
    }))
  }

  /** Somebody has come back from a provider, at which they have logged out. */
  loggedOutElsewhere(request: VisitorRequest): VisitorAnswer {
    return this.#draw(request, texts => ({ status: 200, title: texts.loggedOutTitle, body: html`<p>${texts.loggedOutElsewhereBody}</p>` }))
  }

  /** A logout with a provider did not work. @param provider  at which somebody may be logged in still; undefined: nothing was done */
  logoutFailed(request: VisitorRequest, provider: string | undefined, fields: readonly string[] = []): VisitorAnswer {
    return this.#draw(request, texts => ({
      status: ERRORS.VISITOR_LOGIN_FAILED.status,
      title: texts.logoutFailedTitle,
      body: html`<p>${provider === undefined ? texts.logoutFailedBody : texts.logoutUnconfirmedBody(provider)}</p>
        ${codeLine('VISITOR_LOGIN_FAILED')}`,
      fields,
    }))
  }

  /** The provider does not answer. @param again  where to try once more */
  away(request: VisitorRequest, provider: string, again: string): VisitorAnswer {
    return this.#draw(request, texts => ({
      status: ERRORS.VISITOR_PROVIDER_AWAY.status,
      title: texts.awayTitle,
      body: html`<p>${texts.awayBody(provider)}</p>
        ${action(again, texts.tryAgain)} ${codeLine('VISITOR_PROVIDER_AWAY')}`,
      fields: ['Retry-After', '30'],
    }))
  }

  /** The login did not work. @param again  where to begin anew; undefined: nobody knows */
  failed(
    request: VisitorRequest,
    failure: LoginFailure,
    {
      provider = '',
      again,
      fields,
    }: { readonly provider?: string; readonly again?: string | undefined; readonly fields?: readonly string[] } = {},
  ): VisitorAnswer {
    return this.#draw(request, texts => {
      const body = {
        failed: texts.failedBody,
        cookies: texts.cookiesBody,
        unverified: texts.unverifiedBody(provider),
        cancelled: texts.cancelledBody(provider),
      }[failure]
      return {
        status: ERRORS.VISITOR_LOGIN_FAILED.status,
        title: failure === 'cookies' ? texts.cookiesTitle : texts.failedTitle,
        body: html`<p>${body}</p>
          ${again === undefined ? html`` : action(again, texts.tryAgain)} ${codeLine('VISITOR_LOGIN_FAILED')}`,
        ...(fields !== undefined && { fields }),
      }
    })
  }

  /** A page for any other refusal. @param again  where somebody can log in */
  refused(request: VisitorRequest, code: ErrorCode, again?: string, fields: readonly string[] = []): VisitorAnswer {
    return this.#draw(request, texts => {
      const [title, body] = wordsOf(texts, code)
      return {
        status: ERRORS[code].status,
        title,
        body: html`<p>${body}</p>
          ${again === undefined ? html`` : action(again, texts.logIn)} ${codeLine(code)}`,
        fields,
      }
    })
  }

  /** Logins are for https alone. */
  insecure(request: VisitorRequest): VisitorAnswer {
    return this.#draw(request, texts => ({ status: 403, title: texts.insecureTitle, body: html`<p>${texts.insecureBody}</p>` }))
  }

  /** No page is here, or none for the method. */
  missing(request: VisitorRequest, allowed: readonly string[]): VisitorAnswer {
    return this.#draw(request, texts => ({
      status: allowed.length === 0 ? 404 : 405,
      title: texts.missingTitle,
      body: html`<p>${texts.missingBody}</p>`,
      ...(allowed.length > 0 && { fields: ['Allow', allowed.join(', ')] }),
    }))
  }

  #draw({ request }: VisitorRequest, of: (texts: Texts) => Drawn): VisitorAnswer {
    const at = request.names.indexOf('accept-language')
    const texts = textsFor(at < 0 ? undefined : request.fields[2 * at + 1])
    return draw(of(texts), this.config(), texts)
  }
}

const codeLine = (code: ErrorCode): Html => html`<p><small>code: ${code}</small></p>`

function wordsOf(texts: Texts, code: ErrorCode): readonly [string, string] {
  switch (code) {
    case 'VISITOR_CROSS_SITE':
      return [texts.crossTitle, texts.crossBody]
    case 'RATE_LIMITED':
      return [texts.limitedTitle, texts.limitedBody]
    case 'VISITOR_SHARE_OVER':
      return [texts.shareTitle, texts.shareBody]
    case 'VISITOR_REQUIRED':
    case 'VISITOR_SESSION_OVER':
      return [texts.neededTitle, texts.neededBody]
    case 'VISITOR_CREDENTIALS':
      return [texts.credentialsTitle, texts.credentialsBody]
    default:
      return [texts.failedTitle, texts.failedBody]
  }
}
