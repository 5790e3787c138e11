import { useState } from 'preact/hooks'
import type { PageProps } from '../app/page.ts'
import { go, hrefOf } from '../app/route.ts'
import { CopyButton } from '../ui/copy.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Field, Form, textOf, wordsOf } from '../ui/form.tsx'
import { ago, plural } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { SocketPage } from './socket.tsx'
import type { Socket } from '../../src/client/wire.ts'
import { useList, v1 } from './v1.ts'

const PERIOD_MS = 5_000

/** Own sockets, or one of them. */
export function Sockets({ rest }: PageProps) {
  const id = rest[0]
  return id === undefined ? <List /> : <SocketPage key={id} id={id} />
}

/** The state of a socket in words. */
export const stateOf = ({ state, tunnels }: Socket): string => {
  const up = tunnels.filter(({ isConnected }) => isConnected).length
  return state === 'suspended' ? 'suspended' : up === 0 ? 'nothing connected' : `${plural(up, 'tunnel')} connected`
}

/** The protection of a socket, in words. */
export const protectionOf = ({ password, visitors }: Socket): string => {
  const ways = [
    ...(password === null ? [] : [`password of ${password.user}`]),
    ...(visitors === null ? [] : [`login of ${[...visitors.emails, ...visitors.domains.map(domain => `@${domain}`)].join(', ')}`]),
  ]
  return ways.length === 0 ? 'open to everybody' : ways.join('; ')
}

function List() {
  const sockets = useList<Socket>('sockets?limit=100', PERIOD_MS)
  const [isMaking, setMaking] = useState(false)
  return (
    <>
      <h1>Sockets</h1>
      <p>A socket is a public name for a service of yours.</p>
      <div class="buttons">
        <button type="button" class="main" onClick={() => setMaking(true)}>
          New socket
        </button>
      </div>
      {isMaking && <NewSocket onClose={() => setMaking(false)} />}
      <Stale polled={sockets} />
      {sockets.data !== undefined && (
        <Table
          caption="Sockets"
          rows={sockets.data}
          keyOf={({ id }) => id}
          empty="There is none yet. A new one gets a public name at once."
          columns={[
            { name: 'name', cell: row => <a href={hrefOf(['sockets', row.id])}>{row.name}</a>, order: row => row.name, isLong: true },
            { name: 'type', cell: row => row.type, order: row => row.type },
            { name: 'address', cell: row => row.url, isLong: true },
            {
              name: 'state',
              cell: stateOf,
              tone: row => (row.state === 'suspended' ? 'bad' : row.tunnels.some(({ isConnected }) => isConnected) ? 'good' : 'warn'),
              order: stateOf,
            },
            { name: 'visitors', cell: protectionOf, isLong: true },
            { name: 'since', cell: row => ago(row.createdAt), isNumber: true, order: row => -Date.parse(row.createdAt) },
          ]}
          actions={row => (
            <CopyButton text={() => row.url} label={`Copy address of ${row.name}`}>
              Copy address
            </CopyButton>
          )}
        />
      )}
    </>
  )
}

function NewSocket({ onClose }: { readonly onClose: () => void }) {
  const [type, setType] = useState('http')
  const create = (form: FormData): Promise<Socket> => {
    const [user, password] = [textOf(form, 'user'), textOf(form, 'password')]
    const people = wordsOf(form, 'visitors')
    return v1<Socket>('POST', 'sockets', {
      body: {
        name: textOf(form, 'name'),
        type,
        ...(password !== '' && { password: { user: user === '' ? 'guest' : user, password } }),
        ...(people.length > 0 && { visitors: visitorsOf(people) }),
      },
    })
  }
  const isHttp = type === 'http' || type === 'https'
  return (
    <Dialog title="New socket" onClose={onClose}>
      <Form
        verb="Create"
        act={create}
        onDone={made => {
          onClose()
          go(hrefOf(['sockets', (made as Socket).id]))
        }}
        onCancel={onClose}
      >
        <Field label="Name" name="name" isRequired hint="for you; its public name is made" />
        <label class="field">
          Type
          <select value={type} onChange={event => setType(event.currentTarget.value)}>
            <option value="http">http: a web site or API</option>
            <option value="https">https: one that speaks HTTPS itself</option>
            <option value="tcp">tcp: anything, such as SSH or a database</option>
            <option value="tls">tls: TCP in TLS</option>
          </select>
        </label>
        {isHttp && (
          <>
            <Field label="User name for visitors" name="user" hint="may stay empty" />
            <Field label="Password for visitors" name="password" hint="may stay empty: then everybody may come" />
            <Field label="Only these people" name="visitors" hint="addresses such as ada@example.com, or @example.com; they log in first" />
          </>
        )}
      </Form>
    </Dialog>
  )
}

/** People as they are typed: addresses, and domains with an @ before them. */
export const visitorsOf = (people: readonly string[]): NonNullable<Socket['visitors']> => ({
  emails: people.filter(person => person.indexOf('@') > 0),
  domains: people.filter(person => person.indexOf('@') <= 0).map(person => person.replace(/^@/, '')),
})
