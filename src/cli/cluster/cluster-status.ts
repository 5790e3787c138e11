import type { NodeStatus } from '../../admin/status.ts'
import { GatewayError } from '../../errors.ts'
import { askAdmin } from '../command/ask-status.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { plural } from '../../telemetry/plural.ts'
import { readPasswordFile } from '../options/admin.ts'
import type { clusterDrainOptions, clusterRebalanceOptions, clusterStatusOptions } from '../options/status.ts'

const TIMEOUT_MS = 5_000

/** A node, as the admin port of one shows it. */
interface ShownNode {
  readonly id: string
  readonly name: string
  readonly url: string
  readonly zone: string
  readonly isDraining: boolean
  readonly agent: string
  /** Undefined: the one that was asked. */
  readonly isLinked?: boolean
  readonly roundTripMs?: number
  readonly processes?: number
}

/** A node, as it says itself. */
type OwnWords = Pick<NodeStatus, 'answers' | 'degraded' | 'id' | 'inFlight' | 'innerLayers' | 'ready' | 'why'>

interface ClusterStatus {
  readonly fault: string | null
  readonly self: ShownNode
  readonly nodes: readonly ShownNode[]
}

/**
 * `cluster status`: asks the admin port of a node for all of them.
 * @returns 0 when there is a link to every other node, each answers, and so does their store, else 1
 * @throws GatewayError ADMIN_FAILED
 */
export async function runClusterStatus(options: ValuesOf<typeof clusterStatusOptions>, { stdout }: CliContext): Promise<ExitStatus> {
  const [status, own] = await Promise.all([
    ask('GET', 'api/cluster', options).then(answer => answer.json() as Promise<ClusterStatus>),
    askNodes(options),
  ])
  stdout.write(options.json ? `${JSON.stringify({ ...status, answers: own })}\n` : formatCluster(status, own))
  const isWhole = status.nodes.every(({ isLinked }) => isLinked === true) && own.every(({ answers }) => answers)
  return status.fault === null && isWhole ? 0 : 1
}

/** All nodes, as each says of itself; none from a node of an earlier release. */
async function askNodes({ admin, 'password-file': file }: ValuesOf<typeof clusterStatusOptions>): Promise<readonly OwnWords[]> {
  const password = file === undefined ? undefined : await readPasswordFile(file, '--password-file')
  const response = await askAdmin(new URL('api/cluster/status', admin), admin, password, AbortSignal.timeout(TIMEOUT_MS))
  return response.ok ? (((await response.json()) as { readonly nodes?: readonly OwnWords[] }).nodes ?? []) : []
}

/** `cluster drain NODE`. @throws GatewayError ADMIN_FAILED */
export async function runClusterDrain(
  node: string,
  options: ValuesOf<typeof clusterDrainOptions>,
  { stdout }: CliContext,
): Promise<ExitStatus> {
  await ask('POST', `api/cluster/nodes/${encodeURIComponent(node)}/drain`, options)
  stdout.write(`${node} sends its inner layers to other nodes, and takes no new ones until it starts again\n`)
  return 0
}

interface BalanceReport {
  readonly average: number
  readonly nodes: readonly { readonly name: string; readonly innerLayers: number; readonly isOpen: boolean; readonly moves: number }[]
}

/** `cluster rebalance`. @returns 1 where no node can be sent inner layers @throws GatewayError ADMIN_FAILED */
export async function runClusterRebalance(options: ValuesOf<typeof clusterRebalanceOptions>, { stdout }: CliContext): Promise<ExitStatus> {
  const { threshold, rate } = options
  const answer = await ask('POST', `api/cluster/rebalance?threshold=${threshold}&rate=${rate}`, options)
  const { average, nodes } = (await answer.json()) as BalanceReport
  const lines = nodes.map(({ name, innerLayers, isOpen, moves }) => {
    const rest = !isOpen
      ? '; takes none: it drains, has no --advertise, or cannot be reached'
      : moves > 0
        ? `; sends ${moves} elsewhere`
        : ''
    return `${name}: ${plural(innerLayers, 'inner layer')}${rest}\n`
  })
  stdout.write(`${lines.join('')}on average ${average.toFixed(1)}\n`)
  return nodes.some(({ isOpen }) => isOpen) ? 0 : 1
}

async function ask(method: 'GET' | 'POST', path: string, options: ValuesOf<typeof clusterDrainOptions>): Promise<Response> {
  const { admin, 'password-file': file } = options
  const password = file === undefined ? undefined : await readPasswordFile(file, '--password-file')
  const response = await askAdmin(new URL(path, admin), admin, password, AbortSignal.timeout(TIMEOUT_MS), method)
  if (response.ok) return response
  // 404 is also what a node says that knows no node of that name.
  if (method === 'GET' || (response.status === 404 && !(await isNode(admin, password))))
    throw new GatewayError('ADMIN_FAILED', `the outer layer at ${admin} is no node of a cluster (--cluster)`)
  const { error_message: reason } = (await response.json().catch(() => ({}))) as { readonly error_message?: string }
  throw new GatewayError('ADMIN_FAILED', `${admin}: ${reason ?? response.status}`)
}

const isNode = async (admin: string, password: string | undefined): Promise<boolean> =>
  (await askAdmin(new URL('api/cluster', admin), admin, password, AbortSignal.timeout(TIMEOUT_MS))).ok

function formatCluster({ fault, self, nodes }: ClusterStatus, own: readonly OwnWords[]): string {
  const rows = [self, ...nodes].map(node => {
    const words = own.find(({ id }) => id === node.id)
    return [
      node.name,
      node.url,
      node.zone === '' ? '-' : node.zone,
      stateOf(node, words),
      node.roundTripMs === undefined ? '-' : `${node.roundTripMs.toFixed(1)} ms`,
      node.processes === undefined ? '-' : String(node.processes),
      String(words?.innerLayers ?? '-'),
      String(words?.inFlight ?? '-'),
    ]
  })
  const table = [['node', 'url', 'zone', 'state', 'round trip', 'inner layers', 'their links', 'requests'], ...rows]
  const widths = table[0]!.map((_, column) => Math.max(...table.map(row => row[column]!.length)))
  const lines = table.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  const wrong = own.flatMap(({ id, why, degraded }) => {
    const name = [self, ...nodes].find(node => node.id === id)?.name ?? id
    return [...(why === null ? [] : [why]), ...degraded].map(text => `${name}: ${text}`)
  })
  return `${[...lines, ...(wrong.length + (fault === null ? 0 : 1) > 0 ? [''] : []), ...wrong, ...(fault === null ? [] : [fault])].join('\n')}\n`
}

const stateOf = ({ isLinked, isDraining }: ShownNode, own: OwnWords | undefined): string => {
  const link = isLinked === undefined ? 'this one' : isLinked ? 'linked' : 'no link'
  const silent = isLinked === true && own?.answers === false ? ', does not answer' : ''
  const unready = own?.ready === false ? ', not ready' : ''
  return `${link}${silent}${unready}${isDraining ? ', draining' : ''}`
}
