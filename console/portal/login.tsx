import { useState } from 'preact/hooks'
import type { ConsoleFacts } from '../../src/console/console-files.ts'
import { go, useRoute } from '../app/route.ts'
import { call } from '../api/client.ts'
import { Field, Form, textOf } from '../ui/form.tsx'
import { v1 } from './v1.ts'

/** Properties of the page of logins. */
export interface LoginProps {
  readonly providers: NonNullable<ConsoleFacts['providers']>
  readonly onDone: () => void
}

/** Ends the login by a provider as well, where there may be one: the next login asks who it is. */
export const leaveProvider = (): Promise<unknown> =>
  fetch('/.sg/logout', { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } }).catch(() => undefined)

/** The form that somebody logs in with, and the providers by whom they do. */
export function Login({ providers, onDone }: LoginProps) {
  const [said, setSaid] = useState('')
  const { path } = useRoute()
  const isUnknown = path[0] === 'no-account'
  const enter = (): void => {
    if (isUnknown) go('#/', true)
    onDone()
  }
  return (
    <main class="login" id="main">
      <h1>Log in</h1>
      {isUnknown && <NoAccount />}
      {providers.length > 0 && (
        <ul class="providers" aria-label="By somebody who knows you">
          {providers.map(({ name, title }) => (
            <li key={name}>
              <a class="button" href={`/portal/sign-in/${encodeURIComponent(name)}`}>
                Log in with {title}
              </a>
            </li>
          ))}
        </ul>
      )}
      <Form
        verb="Log in"
        act={form => call('POST', 'portal/session', { body: { email: textOf(form, 'email'), password: form.get('password') } })}
        onDone={enter}
      >
        <Field label="E-mail address" name="email" type="email" isRequired autocomplete="username" />
        <Field label="Password" name="password" type="password" isRequired autocomplete="current-password" />
      </Form>
      <p role="status">{said}</p>
      <details>
        <summary>Forgotten the password</summary>
        <Form
          verb="Send a link"
          act={form => v1('POST', 'password-reset', { body: { email: textOf(form, 'email') } })}
          onDone={() => setSaid(SENT)}
        >
          <Field label="E-mail address of the account" name="email" type="email" isRequired autocomplete="username" />
        </Form>
      </details>
      <details>
        <summary>No account yet</summary>
        <Form
          verb="Ask for an account"
          act={form =>
            v1('POST', 'accounts', { body: { name: textOf(form, 'name'), email: textOf(form, 'email'), password: form.get('password') } })
          }
          onDone={() => setSaid(SENT)}
        >
          <Field label="Name" name="name" isRequired autocomplete="name" />
          <Field label="Your e-mail address" name="email" type="email" isRequired autocomplete="email" />
          <Field label="New password" name="password" type="password" isRequired autocomplete="new-password" hint="at least 8 characters" />
        </Form>
      </details>
    </main>
  )
}

/** There is no account for whom a provider has vouched. */
function NoAccount() {
  return (
    <div class="fault" role="alert">
      <p>
        <strong>There is no account with your address.</strong> The login has worked, but nobody has an active account here with the address
        that it gives. Ask for an account with that address, or ask an admin of the service for an invitation.
      </p>
      <button type="button" onClick={() => void leaveProvider().then(() => location.replace('/'))}>
        Log in as somebody else
      </button>
    </div>
  )
}

const SENT = 'A mail is on its way; its link does the rest.'
