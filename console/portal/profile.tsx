import { useState } from 'preact/hooks'
import { CopyLine } from '../ui/copy.tsx'
import { useConfirm } from '../ui/dialog.tsx'
import { Field, Form, textOf } from '../ui/form.tsx'
import { ago, moment } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { limitsInWords } from './account-limits.tsx'
import { useHere } from './portal.tsx'
import type { ApiToken, SshKey } from '../../src/client/wire.ts'
import { useList, v1 } from './v1.ts'

const SCOPES = ['read', 'sockets', 'connect', 'account', 'admin'] as const

/** The own account: name, password, keys, tokens, logins. */
export function Profile() {
  const { account, refresh, leave } = useHere()
  const [ask, question] = useConfirm()
  const endAll = (): void =>
    ask({
      title: 'Log out everywhere?',
      text: 'Every login of this account ends, this one too. Tokens of programs stay.',
      verb: 'Log out everywhere',
      act: () => v1('DELETE', 'sessions'),
      onDone: leave,
    })
  return (
    <>
      {question}
      <h1>Profile, keys, tokens</h1>
      <dl class="facts">
        <div>
          <dt>e-mail</dt>
          <dd>{account.email}</dd>
        </div>
        <div>
          <dt>role</dt>
          <dd>{account.role}</dd>
        </div>
        <div>
          <dt>user for SSH</dt>
          <dd>
            <code>{account.sshUser}</code>
          </dd>
        </div>
        <div>
          <dt>since</dt>
          <dd>{moment(account.createdAt)}</dd>
        </div>
      </dl>
      <div class="halves">
        <section class="panel" aria-label="Name">
          <h2>Name</h2>
          <Form verb="Save" act={form => v1('PATCH', 'account', { body: { name: textOf(form, 'name') } })} onDone={refresh}>
            <Field label="Name" name="name" value={account.name} isRequired autocomplete="name" />
          </Form>
        </section>
        <section class="panel" aria-label="Password">
          <h2>Password</h2>
          <Form
            verb="Change"
            act={form => v1('PUT', 'account/password', { body: { current: form.get('current'), next: form.get('next') } })}
            onDone={leave}
          >
            <input type="text" name="account" autocomplete="username" value={account.email} hidden readOnly />
            <Field label="Password of now" name="current" type="password" isRequired autocomplete="current-password" />
            <Field
              label="New password"
              name="next"
              type="password"
              isRequired
              autocomplete="new-password"
              hint="every login ends, this one too"
            />
          </Form>
          <button type="button" class="danger" onClick={endAll}>
            Log out everywhere
          </button>
        </section>
      </div>
      <Keys />
      <Tokens />
      <Limits />
    </>
  )
}

function Keys() {
  const keys = useList<SshKey>('account/ssh-keys')
  const [ask, question] = useConfirm()
  return (
    <section aria-label="Keys for SSH">
      {question}
      <h2>Keys for SSH</h2>
      <Stale polled={keys} />
      {keys.data !== undefined && (
        <Table
          caption="Keys for SSH"
          rows={keys.data}
          keyOf={({ id }) => id}
          empty="None: ssh -R needs one."
          columns={[
            { name: 'fingerprint', cell: row => <code>{row.fingerprint}</code>, isLong: true },
            { name: 'used', cell: row => (row.usedAt === null ? 'never' : `${ago(row.usedAt)} ago`), isNumber: true },
            { name: 'kind', cell: row => row.algorithm },
            { name: 'comment', cell: row => row.comment, isLong: true },
            { name: 'since', cell: row => ago(row.createdAt), isNumber: true },
          ]}
          actions={row => (
            <button
              type="button"
              class="danger"
              aria-label={`Remove the key ${row.fingerprint}`}
              onClick={() =>
                ask({
                  title: 'Remove this key?',
                  text: 'Whoever has it cannot log in by SSH any more.',
                  verb: 'Remove',
                  act: () => v1('DELETE', `account/ssh-keys/${encodeURIComponent(row.id)}`),
                  onDone: keys.refresh,
                })
              }
            >
              Remove
            </button>
          )}
        />
      )}
      <Form verb="Add a key" act={form => v1('POST', 'account/ssh-keys', { body: { line: textOf(form, 'line') } })} onDone={keys.refresh}>
        <Field label="Public key" name="line" isRequired hint="the line of a file such as ~/.ssh/id_ed25519.pub" />
      </Form>
    </section>
  )
}

function Tokens() {
  const tokens = useList<ApiToken>('account/tokens')
  const [ask, question] = useConfirm()
  const [made, setMade] = useState<string | undefined>()
  const create = (form: FormData): Promise<{ readonly token: string }> => {
    const days = Number(textOf(form, 'days'))
    const expiresAt = days > 0 ? new Date(Date.now() + days * 86_400_000).toISOString() : undefined
    return v1('POST', 'account/tokens', {
      body: { name: textOf(form, 'name'), scopes: form.getAll('scope'), ...(expiresAt !== undefined && { expiresAt }) },
    })
  }
  return (
    <section aria-label="Tokens for programs">
      {question}
      <h2>Tokens for programs</h2>
      <Stale polled={tokens} />
      {tokens.data !== undefined && (
        <Table
          caption="Tokens for programs"
          rows={tokens.data}
          keyOf={({ id }) => id}
          empty="None."
          columns={[
            { name: 'name', cell: row => row.name, isLong: true },
            { name: 'may', cell: row => row.scopes.join(', ') },
            { name: 'made', cell: row => `${ago(row.createdAt)} ago`, isNumber: true },
            { name: 'used', cell: row => (row.usedAt === null ? 'never' : `${ago(row.usedAt)} ago`), isNumber: true },
            { name: 'ends', cell: row => (row.expiresAt === null ? 'never' : moment(row.expiresAt)), isNumber: true },
          ]}
          actions={row => (
            <button
              type="button"
              class="danger"
              aria-label={`Revoke the token ${row.name}`}
              onClick={() =>
                ask({
                  title: `Revoke ${row.name}?`,
                  text: 'Programs that use it are refused from then on.',
                  verb: 'Revoke',
                  act: () => v1('DELETE', `account/tokens/${encodeURIComponent(row.id)}`),
                  onDone: tokens.refresh,
                })
              }
            >
              Revoke
            </button>
          )}
        />
      )}
      {made !== undefined && (
        <div class="panel" role="status">
          <p>
            <strong>The token is shown this once:</strong>
          </p>
          <CopyLine text={made} label="the token" />
        </div>
      )}
      <Form
        verb="Make a token"
        act={create}
        onDone={result => {
          setMade((result as { readonly token: string }).token)
          tokens.refresh()
        }}
      >
        <Field label="What it is for" name="name" isRequired />
        <fieldset class="choices">
          <legend>It may</legend>
          {SCOPES.map(scope => (
            <label key={scope} class="check">
              <input type="checkbox" name="scope" value={scope} defaultChecked={scope === 'read'} />
              {scope}
            </label>
          ))}
        </fieldset>
        <Field label="Days until it ends" name="days" type="number" hint="empty: it does not end" />
      </Form>
    </section>
  )
}

function Limits() {
  const { account } = useHere()
  return (
    <section aria-label="Limits">
      <h2>Limits</h2>
      <dl class="facts">
        {limitsInWords(account.limitsInForce).map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
