import { useState } from 'preact/hooks'
import { go, hrefOf } from '../app/route.ts'
import { CopyButton, CopyLine } from '../ui/copy.tsx'
import { Dialog, useConfirm } from '../ui/dialog.tsx'
import { Field, Form, textOf, wordsOf } from '../ui/form.tsx'
import { ago, moment } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { linesFor } from './lines.ts'
import { LiveLog } from './live-log.tsx'
import { useHere } from './portal.tsx'
import { Recording } from './requests.tsx'
import { Shares } from './shares.tsx'
import { protectionOf, stateOf, visitorsOf } from './sockets.tsx'
import type { Socket } from '../../src/client/wire.ts'
import { useV1, v1 } from './v1.ts'

const PERIOD_MS = 3_000

/** One socket: how to connect to it, who may come, its tunnels, and its visitors as they come. */
export function SocketPage({ id }: { readonly id: string }) {
  const polled = useV1<Socket>(`sockets/${encodeURIComponent(id)}`, PERIOD_MS)
  const socket = polled.data
  return (
    <>
      <p>
        <a class="back" href={hrefOf(['sockets'])}>
          ← All sockets
        </a>
      </p>
      <h1>{socket?.name ?? 'Socket'}</h1>
      <Stale polled={polled} />
      {socket !== undefined && <Shown socket={socket} refresh={polled.refresh} />}
    </>
  )
}

function Shown({ socket, refresh }: { readonly socket: Socket; readonly refresh: () => void }) {
  const [ask, question] = useConfirm()
  const path = `sockets/${encodeURIComponent(socket.id)}`
  const isHttp = socket.type === 'http' || socket.type === 'https'
  const remove = (): void =>
    ask({
      title: `Delete ${socket.name}?`,
      text: `${socket.dnsName} leads nowhere from then on, whatever serves it is cut, and the name is not used again.`,
      verb: 'Delete',
      act: () => v1('DELETE', path),
      onDone: () => go(hrefOf(['sockets'])),
    })
  return (
    <>
      {question}
      <dl class="facts">
        <div>
          <dt>address</dt>
          <dd>
            {isHttp ? (
              <a href={socket.url} target="_blank" rel="noreferrer noopener">
                {socket.url}
              </a>
            ) : (
              socket.url
            )}{' '}
            <CopyButton text={() => socket.url} label="Copy the address" />
          </dd>
        </div>
        <div>
          <dt>state</dt>
          <dd>{stateOf(socket)}</dd>
        </div>
        <div>
          <dt>visitors</dt>
          <dd>{protectionOf(socket)}</dd>
        </div>
        <div>
          <dt>made</dt>
          <dd>
            {moment(socket.createdAt)}
            {socket.isEphemeral && ', goes when nothing is connected'}
          </dd>
        </div>
      </dl>
      <div class="buttons">
        {isHttp && <Protect socket={socket} path={path} onDone={refresh} />}
        {isHttp && <Share socket={socket} path={path} onDone={refresh} />}
        <button type="button" class="danger" onClick={remove}>
          Delete
        </button>
      </div>
      <Connect socket={socket} />
      <Tunnels socket={socket} path={path} refresh={refresh} />
      {isHttp && <Shares socket={socket} path={path} />}
      <section aria-label="Requests">
        <h2>Requests</h2>
        <Recording socket={socket} refresh={refresh} />
      </section>
      <LiveLog path={`api/v1/${path}/log`} />
    </>
  )
}

interface PartProps {
  readonly socket: Socket
  readonly path: string
  readonly onDone: () => void
}

function Protect({ socket, path, onDone }: PartProps) {
  const [isOpen, setOpen] = useState(false)
  const close = (): void => setOpen(false)
  const change = (body: unknown): Promise<unknown> => v1('PATCH', path, { body, headers: { 'if-match': `"${socket.etag}"` } })
  const done = (): void => {
    close()
    onDone()
  }
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Password
      </button>
      {isOpen && (
        <Dialog title="Password for visitors" onClose={close}>
          <Form
            verb="Set"
            act={form => change({ password: { user: textOf(form, 'user') || 'guest', password: textOf(form, 'password') } })}
            onDone={done}
            onCancel={close}
          >
            <Field label="User name" name="user" value={socket.password?.user ?? 'guest'} isRequired />
            <Field label="Password" name="password" isRequired hint="visitors have to type it; it is shown nowhere afterwards" />
          </Form>
          {socket.password !== null && <Form verb="Remove the password" act={() => change({ password: null })} onDone={done} />}
        </Dialog>
      )}
    </>
  )
}

function Share({ socket, path, onDone }: PartProps) {
  const [isOpen, setOpen] = useState(false)
  const close = (): void => setOpen(false)
  const people = [...(socket.visitors?.emails ?? []), ...(socket.visitors?.domains.map(domain => `@${domain}`) ?? [])]
  const share = (form: FormData): Promise<unknown> => {
    const words = wordsOf(form, 'people')
    const body = { visitors: words.length === 0 ? null : visitorsOf(words) }
    return v1('PATCH', path, { body, headers: { 'if-match': `"${socket.etag}"` } })
  }
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Share
      </button>
      {isOpen && (
        <Dialog title="Share" onClose={close}>
          <p>Send them the address:</p>
          <CopyLine text={socket.url} label="the address" />
          <Form
            verb="Save"
            act={share}
            onDone={() => {
              close()
              onDone()
            }}
            onCancel={close}
          >
            <Field
              label="Only these people, who log in first"
              name="people"
              value={people.join(' ')}
              hint="addresses such as ada@example.com, or @example.com for all of a domain; empty: everybody who has the address"
            />
          </Form>
        </Dialog>
      )}
    </>
  )
}

function Connect({ socket }: { readonly socket: Socket }) {
  const { account, service } = useHere()
  return (
    <section class="panel" aria-label="How to connect">
      <h2>Connect</h2>
      {linesFor(socket, { api: service.api, ssh: service.ssh, sshUser: account.sshUser }).map(({ title, text, hint }) => (
        <div key={title}>
          <h3>{title}</h3>
          <CopyLine text={text} label={`the lines for ${title}`} />
          {hint !== undefined && <p class="dim">{hint}</p>}
        </div>
      ))}
    </section>
  )
}

function Tunnels({ socket, path, refresh }: { readonly socket: Socket; readonly path: string; readonly refresh: () => void }) {
  const [ask, question] = useConfirm()
  return (
    <section aria-label="Tunnels">
      {question}
      <h2>Tunnels</h2>
      <Table
        caption="Tunnels"
        rows={socket.tunnels}
        keyOf={({ id }) => id}
        empty="None yet: one is made when something connects."
        columns={[
          { name: 'tunnel', cell: row => <code>{row.id}</code>, isLong: true },
          {
            name: 'state',
            cell: row => (row.isConnected ? 'connected' : 'not connected'),
            tone: row => (row.isConnected ? 'good' : 'warn'),
          },
          { name: 'from', cell: row => row.connectedFrom ?? '–' },
          { name: 'last', cell: row => (row.lastConnectedAt === null ? 'never' : `${ago(row.lastConnectedAt)} ago`), isNumber: true },
        ]}
        actions={row => (
          <button
            type="button"
            class="danger"
            aria-label={`Delete tunnel ${row.id}`}
            onClick={() =>
              ask({
                title: 'Delete this tunnel?',
                text: 'Whatever serves it is cut, and cannot come back by it.',
                verb: 'Delete',
                act: () => v1('DELETE', `${path}/tunnels/${encodeURIComponent(row.id)}`),
                onDone: refresh,
              })
            }
          >
            Delete
          </button>
        )}
      />
      <Form verb="Add a tunnel" act={() => v1('POST', `${path}/tunnels`)} onDone={refresh} />
    </section>
  )
}
