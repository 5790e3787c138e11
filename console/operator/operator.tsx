import { createContext } from 'preact'
import { useContext, useMemo } from 'preact/hooks'
import type { LayerStatus } from '../../src/admin/status.ts'
import type { ConsoleFacts } from '../../src/console/console-files.ts'
import { call } from '../api/client.ts'
import { usePoll, type Polled } from '../api/poll.ts'
import type { Page } from '../app/page.ts'
import { Shell } from '../app/shell.tsx'
import { EventsPage } from '../events/events.tsx'
import { duration } from '../ui/format.ts'
import { REQUEST_PAGES } from '../requests/pages.tsx'
import { OperatorAccounts, OperatorAudit } from './accounts.tsx'
import { Certificates } from './certificates.tsx'
import { InnerLayers } from './inner-layers.tsx'
import { Overview } from './overview.tsx'
import { Targets } from './targets.tsx'

const EVENTS = { list: 'events' }
/** Of all nodes of a cluster. */
const CLUSTER_EVENTS = { list: 'api/cluster/events' }
const PERIOD_MS = 2_000

const NOTHING: Polled<LayerStatus> = { data: undefined, fault: undefined, atMs: 0, refresh: () => undefined }
const Status = createContext(NOTHING)

/** The status of the layer, asked for every two seconds, for all pages together. */
export const useStatus = (): Polled<LayerStatus> => useContext(Status)

const ask = (signal: AbortSignal): Promise<LayerStatus> => call('GET', 'status', { signal })
const askNodes = (signal: AbortSignal): Promise<LayerStatus> => call('GET', 'api/cluster/status', { signal })

/** The pages of operators. */
export function Operator({ facts }: { readonly facts: ConsoleFacts }) {
  const status = usePoll(facts.features.includes('cluster') ? askNodes : ask, PERIOD_MS)
  const isInner = status.data?.layer === 'inner'
  const pages = useMemo(() => pagesOf(facts, isInner), [facts, isInner])
  return (
    <Status.Provider value={status}>
      <Shell pages={pages} state={<State polled={status} />} menuEnd={<Machines />} />
    </Status.Provider>
  )
}

function pagesOf(facts: ConsoleFacts, isInner: boolean): readonly Page[] {
  const all: readonly (Page & { readonly isOfOuter?: boolean })[] = [
    { name: 'overview', title: 'Overview', letter: 'o', show: () => <Overview /> },
    ...REQUEST_PAGES,
    { name: 'inner-layers', title: 'Inner layers', letter: 'i', show: () => <InnerLayers />, isOfOuter: true },
    {
      name: 'targets',
      title: 'Targets',
      letter: 't',
      show: props => <Targets {...props} explains={facts.features.includes('explain')} />,
      isOfOuter: true,
    },
    ...(facts.features.includes('events')
      ? [
          {
            name: 'events',
            title: 'Events',
            letter: 'e',
            show: () => <EventsPage source={facts.features.includes('cluster') ? CLUSTER_EVENTS : EVENTS} />,
          },
        ]
      : []),
    ...(facts.features.includes('accounts')
      ? [
          { name: 'accounts', title: 'Accounts', letter: 'a', show: () => <OperatorAccounts /> },
          { name: 'audit', title: 'Audit', letter: 'u', show: () => <OperatorAudit /> },
        ]
      : []),
    { name: 'certificates', title: 'Certificates', letter: 'c', show: () => <Certificates />, isOfOuter: true },
  ]
  return all.filter(({ isOfOuter }) => !isInner || isOfOuter !== true)
}

/** In one line: which layer, how it is. */
function State({ polled: { data, fault } }: { readonly polled: Polled<LayerStatus> }) {
  if (fault !== undefined)
    return (
      <span role="status" class="bad">
        no answer: {fault.message}
      </span>
    )
  if (data === undefined) return <span role="status">loading</span>
  const word = !data.ready ? 'not ready' : data.degraded.length === 0 ? 'ready' : 'ready, but degraded'
  const tone = !data.ready ? 'bad' : data.degraded.length === 0 ? 'good' : 'warn'
  return (
    <>
      <span role="status" class={tone}>
        {data.layer} layer {word}
      </span>{' '}
      <span class="dim">
        {data.version}, up {duration(data.uptimeSeconds)}
      </span>
    </>
  )
}

/** The same for machines. */
function Machines() {
  return (
    <p class="machines">
      {['status', 'metrics', 'healthz', 'readyz'].map(path => (
        <a key={path} href={path}>
          {path}
        </a>
      ))}
    </p>
  )
}
