import { useState } from 'preact/hooks'
import type { InnerLayerStatus, OuterStatus, RefusedStatus } from '../../src/admin/status.ts'
import { call } from '../api/client.ts'
import { CopyLine } from '../ui/copy.tsx'
import { Dialog, useConfirm } from '../ui/dialog.tsx'
import { ago, bytes, count, ms, moment } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { Missing, missingIn, nodeColumn, nodesColumn } from '../ui/nodes.tsx'
import { useStatus } from './operator.tsx'

/** Inner layers: those connected, since when, from where; those refused, and why. */
export function InnerLayers() {
  const status = useStatus()
  const outer = status.data?.layer === 'outer' ? status.data : undefined
  return (
    <>
      <h1>Inner layers</h1>
      <Stale polled={status} />
      {outer !== undefined && <Connected status={outer} refresh={status.refresh} />}
    </>
  )
}

const keyOf = ({ identifier, address, key, since, node = '' }: InnerLayerStatus): string =>
  `${identifier} ${address} ${key} ${since} ${node}`

function Connected({ status, refresh }: { readonly status: OuterStatus; readonly refresh: () => void }) {
  const [ask, question] = useConfirm()
  const isCluster = status.nodes !== undefined
  const [revoking, setRevoking] = useState<InnerLayerStatus | undefined>()
  const act = (verb: 'drain' | 'disconnect', { identifier }: InnerLayerStatus): void =>
    ask({
      title: verb === 'drain' ? `Drain ${identifier}?` : `Disconnect ${identifier}?`,
      text:
        verb === 'drain'
          ? 'It gets no new requests by its links of now, finishes those it has, and connects again.'
          : 'All its links are cut with whatever they carry. It connects again by itself; to keep it out, revoke its key.',
      verb: verb === 'drain' ? 'Drain' : 'Disconnect',
      act: () => call('POST', `api/${isCluster ? 'cluster/' : ''}inner-layers/${encodeURIComponent(identifier)}/${verb}`),
      onDone: refresh,
    })
  return (
    <>
      {question}
      <Missing nodes={missingIn(status)} />
      {revoking !== undefined && <Revoke row={revoking} onClose={() => setRevoking(undefined)} />}
      <Table
        caption="Inner layers that are connected"
        rows={status.innerLayers}
        keyOf={keyOf}
        empty="No inner layer is connected."
        columns={[
          { name: 'identifier', cell: row => row.identifier, order: row => row.identifier },
          ...nodeColumn<InnerLayerStatus>(isCluster),
          { name: 'address', cell: row => row.address, order: row => row.address },
          { name: 'program', cell: row => row.agent },
          { name: 'round trip', cell: row => ms(row.roundTripMs), isNumber: true, order: row => row.roundTripMs },
          { name: 'streams', cell: row => count(row.streams), isNumber: true, order: row => row.streams },
          { name: 'held', cell: row => bytes(row.outstandingBytes), isNumber: true, order: row => row.outstandingBytes },
          {
            name: 'since',
            cell: row => <span title={moment(row.since)}>{ago(row.since)}</span>,
            isNumber: true,
            order: row => -Date.parse(row.since),
          },
          { name: 'key', cell: row => <code title={row.key}>{row.key.slice(0, 12)}</code> },
        ]}
        actions={row => (
          <>
            <button type="button" aria-label={`Drain ${row.identifier}`} onClick={() => act('drain', row)}>
              Drain
            </button>
            <button type="button" class="danger" aria-label={`Disconnect ${row.identifier}`} onClick={() => act('disconnect', row)}>
              Disconnect
            </button>
            <button type="button" class="danger" aria-label={`Revoke the key of ${row.identifier}`} onClick={() => setRevoking(row)}>
              Revoke
            </button>
          </>
        )}
      />
      <h2>Refused</h2>
      <Table
        caption="Inner layers that were refused"
        rows={status.refused}
        keyOf={({ address, code, reason }) => `${address} ${code} ${reason}`}
        empty="None was refused."
        columns={[
          { name: 'address', cell: row => row.address },
          ...nodesColumn<RefusedStatus>(status),
          { name: 'times', cell: row => count(row.count), isNumber: true },
          { name: 'last', cell: row => `${ago(row.at)} ago`, isNumber: true },
          { name: 'code', cell: row => <code>{row.code}</code> },
          { name: 'reason', cell: row => row.reason, isLong: true },
        ]}
      />
      {status.service !== null && (
        <>
          <h2>Tunnels of sockets</h2>
          <Table
            caption="Tunnels of sockets of the service"
            rows={status.service.firstTunnels}
            keyOf={keyOf}
            empty="No tunnel is connected."
            columns={[
              { name: 'tunnel', cell: row => row.identifier },
              ...nodeColumn<InnerLayerStatus>(isCluster),
              { name: 'address', cell: row => row.address },
              { name: 'program', cell: row => row.agent },
              { name: 'round trip', cell: row => ms(row.roundTripMs), isNumber: true },
              { name: 'streams', cell: row => count(row.streams), isNumber: true },
              { name: 'since', cell: row => ago(row.since), isNumber: true },
            ]}
          />
          {status.service.tunnels > status.service.firstTunnels.length && (
            <p class="dim">{count(status.service.tunnels - status.service.firstTunnels.length)} more are connected.</p>
          )}
        </>
      )}
    </>
  )
}

/** The words of one argument of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** The way to take a key away: files of keys are the operator's, and no page touches them. */
function Revoke({ row: { identifier, key, keyFile }, onClose }: { readonly row: InnerLayerStatus; readonly onClose: () => void }) {
  return (
    <Dialog title={`Revoke the key of ${identifier}?`} onClose={onClose}>
      {keyFile === null ? (
        <>
          <p>The service keeps this key. An admin revokes it in the portal, or with:</p>
          <CopyLine text={`socket-gateway inner revoke -- ${key}`} label="the command" />
        </>
      ) : (
        <>
          <p>
            Its key is in <code>{keyFile}</code> at the outer layer, which follows that file and changes none of them by itself. Move it
            away, and within two seconds its links are cut, and it cannot come back:
          </p>
          <CopyLine text={`mv -- ${quoted(keyFile)} ${quoted(`${keyFile}.revoked`)}`} label="the command" />
          <p class="dim">
            Where the file has several keys, take this one alone out of it: <code>{key}</code>. Where --public-key names the file and not
            its directory, take it out of the command line as well: the next start expects it.
          </p>
        </>
      )}
      <div class="buttons">
        <button type="button" data-first onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  )
}
