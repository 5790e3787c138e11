import { createContext } from 'preact'
import { useContext, useEffect, useMemo } from 'preact/hooks'
import type { ConsoleFacts } from '../../src/console/console-files.ts'
import { call } from '../api/client.ts'
import type { Page } from '../app/page.ts'
import { Shell } from '../app/shell.tsx'
import { EventsPage } from '../events/events.tsx'
import { Stale } from '../ui/stale.tsx'
import { Accounts } from './accounts.tsx'
import { AuditPage } from './audit.tsx'
import { InnerKeys } from './inner-keys.tsx'
import { leaveProvider, Login } from './login.tsx'
import { Profile } from './profile.tsx'
import { SocketRequestPages } from './requests.tsx'
import { Sockets } from './sockets.tsx'
import type { Account } from '../../src/client/wire.ts'
import { UsagePage } from './usage.tsx'
import { useV1 } from './v1.ts'

/** The context of all pages: whose login it is, and the names of the service. */
export interface Here {
  readonly account: Account
  readonly service: NonNullable<ConsoleFacts['service']>
  readonly refresh: () => void
  /** Logs out here. */
  readonly leave: () => void
}

const HereContext = createContext<Here | undefined>(undefined)

/** Whose login it is. */
export const useHere = (): Here => useContext(HereContext)!

/** Interval at which the login is made to last longer, milliseconds; it lasts for five hours. */
const REFRESH_MS = 3_600_000
const ACCOUNT_MS = 60_000

/** The console of users of the service. */
export function Portal({ facts }: { readonly facts: ConsoleFacts }) {
  const polled = useV1<Account>('account', ACCOUNT_MS)
  const { data, fault, refresh } = polled
  const isOut = fault?.code === 'UNAUTHENTICATED'
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) call('POST', 'portal/session/refresh').catch(() => undefined)
    }, REFRESH_MS)
    return () => clearInterval(timer)
  }, [])
  const role = data?.role
  const pages = useMemo(() => pagesOf(role), [role])
  const { service = { zone: '', api: '' }, providers = [] } = facts
  if (isOut)
    return (
      <>
        <header class="top">
          <span class="brand">{service.zone === '' ? 'socket-gateway' : service.zone}</span>
        </header>
        <Login providers={providers} onDone={refresh} />
      </>
    )
  if (data === undefined)
    return (
      <main class="login">
        <Stale polled={polled} />
      </main>
    )
  const leave = (): void => {
    // Whoever sits here next is not to come in by the login of whoever has left.
    const ending = providers.length === 0 ? Promise.resolve() : leaveProvider()
    ending.then(() => call('DELETE', 'portal/session')).then(refresh, refresh)
  }
  return (
    <HereContext.Provider value={{ account: data, service, refresh, leave }}>
      <Shell
        pages={pages}
        state={data.email}
        menuEnd={
          <p class="machines">
            <button type="button" onClick={leave}>
              Log out
            </button>
          </p>
        }
      />
    </HereContext.Provider>
  )
}

const EVENTS = { list: 'api/v1/events' }

function pagesOf(role: Account['role'] | undefined): readonly Page[] {
  const isStaff = role === 'admin' || role === 'auditor'
  return [
    { name: 'sockets', title: 'Sockets', letter: 's', show: props => <Sockets {...props} /> },
    { name: 'requests', title: 'Requests', letter: 'q', show: props => <SocketRequestPages {...props} /> },
    { name: 'usage', title: 'Usage', letter: 'u', show: () => <UsagePage /> },
    { name: 'events', title: 'Events', letter: 'e', show: () => <EventsPage source={EVENTS} /> },
    { name: 'profile', title: 'Profile, keys, tokens', letter: 'p', show: () => <Profile /> },
    { name: 'audit', title: 'Audit', letter: 'a', show: props => <AuditPage {...props} /> },
    ...(isStaff
      ? ([
          { name: 'accounts', title: 'Accounts', letter: 'c', show: () => <Accounts /> },
          { name: 'inner-keys', title: 'Keys of inner layers', letter: 'i', show: () => <InnerKeys /> },
        ] satisfies Page[])
      : []),
  ]
}
