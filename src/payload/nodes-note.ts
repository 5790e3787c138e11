/** The note by which an outer layer of a cluster tells an inner layer which other ones there are. */
import { GatewayError } from '../errors.ts'
import { encodeNote } from './origin-profile.ts'

/** An outer layer, as inner layers have to know it. */
export interface AdvertisedNode {
  readonly id: string
  /** Of its socket port, ws: or wss:. */
  readonly url: string
  readonly zone: string
}

/** Which outer layers there are. */
export interface NodesNote {
  /** Id of the one that says so. */
  readonly self: string
  readonly zone: string
  /** The one that says so is about to leave: other ones are to be found. */
  readonly isLeaving: boolean
  /** Those that take connections, the one that says so among them when it is told how it is reached. */
  readonly nodes: readonly AdvertisedNode[]
}

/** Nodes in one note. */
export const MAX_NODES = 64
const MAX_TEXT = 512

/** The note; what no inner layer would take is left out of it, since that would end their links. */
export const encodeNodesNote = ({ self, zone, isLeaving, nodes }: NodesNote): Buffer =>
  encodeNote({ note: 'nodes', self, zone: zone.slice(0, MAX_TEXT), isLeaving, nodes: nodes.filter(isNode).slice(0, MAX_NODES) } as {
    note: string
  })

type Raw = Readonly<Record<string, unknown>>

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_TEXT

const isNode = (value: unknown): value is AdvertisedNode => {
  if (typeof value !== 'object' || value === null) return false
  const { id, url, zone } = value as Raw
  return isText(id) && isText(url) && isText(zone) && /^wss?:\/\//i.test(url) && URL.canParse(url)
}

/** A note of the kind `nodes`, checked. @throws GatewayError PROTOCOL */
export function parseNodesNote({ self, zone, isLeaving, nodes }: Raw): NodesNote {
  if (!isText(self) || !isText(zone) || !Array.isArray(nodes) || nodes.length > MAX_NODES || !nodes.every(isNode))
    throw new GatewayError('PROTOCOL', 'a list of outer layers that is none')
  return { self, zone, isLeaving: isLeaving === true, nodes: nodes.map(({ id, url, zone: of }) => ({ id, url, zone: of })) }
}
