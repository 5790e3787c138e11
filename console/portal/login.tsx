import { useState } from 'preact/hooks'
import { call } from '../api/client.ts'
import { Field, Form, textOf } from '../ui/form.tsx'
import { v1 } from './v1.ts'

/** The form that somebody logs in with. */
export function Login({ onDone }: { readonly onDone: () => void }) {
  const [said, setSaid] = useState('')
  return (
    <main class="login" id="main">
      <h1>Log in</h1>
      <Form
        verb="Log in"
        act={form => call('POST', 'portal/session', { body: { email: textOf(form, 'email'), password: form.get('password') } })}
        onDone={onDone}
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

const SENT = 'A mail is on its way; its link does the rest.'
