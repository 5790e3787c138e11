import { useState } from 'preact/hooks'
import type { IssuedShare, Share, ShareRequest, Socket } from '../../src/client/wire.ts'
import { CopyLine } from '../ui/copy.tsx'
import { useConfirm } from '../ui/dialog.tsx'
import { Field, Form, textOf } from '../ui/form.tsx'
import { moment } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { useList, v1 } from './v1.ts'

const PERIOD_MS = 10_000
const HOUR_MS = 3_600_000
const LIVES: readonly (readonly [hours: number, words: string])[] = [
  [1, 'an hour'],
  [24, 'a day'],
  [7 * 24, 'a week'],
  [30 * 24, 'thirty days'],
]

/** Links that let visitors in without a login: made, listed, revoked. */
export function Shares({ socket, path }: { readonly socket: Socket; readonly path: string }) {
  const shares = useList<Share>(`${path}/shares`, PERIOD_MS)
  const [made, setMade] = useState<IssuedShare | undefined>()
  const [ask, question] = useConfirm()
  const what = (row: Share): string => `${row.path} until ${moment(row.expiresAt)}`
  const revoke = (row: Share): void =>
    ask({
      title: 'Revoke this link?',
      text: `Whoever came in by the link to ${row.path} is out, and nobody comes in by it again.`,
      verb: 'Revoke',
      act: () => v1('DELETE', `${path}/shares/${encodeURIComponent(row.id)}`),
      onDone: () => {
        if (made?.id === row.id) setMade(undefined)
        shares.refresh()
      },
    })
  return (
    <section aria-label="Share links">
      {question}
      <h2>Share links</h2>
      <p class="dim">
        A link lets in whoever has it, without a login, to one page and what is below it.
        {socket.visitors === null &&
          ' Nobody has to log in at this socket, so that there is nothing for a link to open: Share says who may come.'}
      </p>
      <Stale polled={shares} />
      {shares.data !== undefined && (
        <Table
          caption="Share links"
          rows={shares.data}
          keyOf={({ id }) => id}
          empty="There is none."
          columns={[
            { name: 'page', cell: row => <code>{row.path}</code>, isLong: true },
            { name: 'for', cell: row => row.email ?? 'whoever has it', isLong: true },
            { name: 'methods', cell: row => (row.methods.includes('*') ? 'any' : row.methods.join(', ')) },
            { name: 'opened', cell: row => (row.maxUses === null ? 'not counted' : `${row.uses ?? 0} of ${row.maxUses}`), isNumber: true },
            { name: 'last', cell: row => (row.usedAt === null ? 'never' : moment(row.usedAt)) },
            { name: 'until', cell: row => moment(row.expiresAt) },
          ]}
          actions={row => (
            <button type="button" class="danger" aria-label={`Revoke the link to ${what(row)}`} onClick={() => revoke(row)}>
              Revoke
            </button>
          )}
        />
      )}
      {made !== undefined && (
        <div role="status">
          <p>The link is shown this once:</p>
          <CopyLine text={made.url} label="the share link" />
        </div>
      )}
      {socket.visitors !== null && (
        <details>
          <summary>New link</summary>
          <Form
            verb="Make a link"
            act={form => v1<IssuedShare>('POST', `${path}/shares`, { body: requestOf(form) })}
            onDone={result => {
              setMade(result as IssuedShare)
              shares.refresh()
            }}
          >
            <Field label="Page" name="path" value="/" isRequired hint="and everything below it" />
            <label class="field">
              Lasts
              <select name="hours">
                {LIVES.map(([hours, words]) => (
                  <option key={hours} value={hours} selected={hours === 24}>
                    {words}
                  </option>
                ))}
              </select>
            </label>
            <Field label="Times" name="uses" type="number" hint="how often it may be opened; empty: as often as one likes" />
            <Field
              label="For one person"
              name="email"
              type="email"
              hint="who has to log in with this address; empty: whoever has the link"
            />
            <label class="check">
              <input type="checkbox" name="all" /> may change things as well (every method, not GET and HEAD alone)
            </label>
          </Form>
        </details>
      )}
    </section>
  )
}

function requestOf(form: FormData): ShareRequest {
  const [uses, email] = [textOf(form, 'uses'), textOf(form, 'email')]
  return {
    path: textOf(form, 'path'),
    expiresAt: new Date(Date.now() + Number(textOf(form, 'hours')) * HOUR_MS).toISOString(),
    ...(uses !== '' && { maxUses: Number(uses) }),
    ...(email !== '' && { email }),
    ...(form.get('all') !== null && { methods: ['*'] }),
  }
}
