/** The model as /api/v1 shows it: every field by name, so that a new one of the model is not shown by accident. */
import type { RequestsChange, SeenMessage, SeenMessages, SeenRequest, SeenRequestDetail, SeenRequests } from '../service/contract.ts'
import type { UsageOfDay } from '../service/contract.ts'
import type {
  Account,
  ApiToken,
  AuditEntry,
  InnerKey,
  IssuedToken,
  Page,
  SharedLink,
  Socket,
  SshKey,
  Tunnel,
  TunnelCredentials,
} from '../service/model.ts'

const timeOf = (ms: number): string => new Date(ms).toISOString()
const timeOrNull = (ms: number | null): string | null => (ms === null ? null : timeOf(ms))

/** The user name of an account for SSH. */
export const sshUserOf = (accountId: string): string => accountId.replaceAll('-', '')

/** A page, each entry as `view` shows it. */
export const pageView = <T>({ items, next }: Page<T>, view: (item: T) => unknown): unknown => ({
  items: items.map(item => view(item)),
  next,
})

/** A list that comes whole. */
export const listView = <T>(items: readonly T[], view: (item: T) => unknown): unknown => pageView({ items, next: null }, view)

export const accountView = ({ id, name, email, role, state, limits, limitsInForce, createdAt, confirmedAt }: Account): unknown => ({
  id,
  name,
  email,
  sshUser: sshUserOf(id),
  role,
  state,
  limits,
  limitsInForce,
  createdAt: timeOf(createdAt),
  confirmedAt: timeOrNull(confirmedAt),
})

export const sshKeyView = ({ id, fingerprint, algorithm, line, comment, createdAt, usedAt }: SshKey): unknown => ({
  id,
  fingerprint,
  algorithm,
  line,
  comment,
  createdAt: timeOf(createdAt),
  usedAt: timeOrNull(usedAt),
})

export const loginView = ({ token, accountId, expiresAt }: { token: string; accountId: string; expiresAt: number }): unknown => ({
  token,
  accountId,
  expiresAt: timeOf(expiresAt),
})

export const issuedTokenView = ({ id, token, expiresAt }: IssuedToken): unknown => ({ id, token, expiresAt: timeOrNull(expiresAt) })

export const tokenView = ({ id, name, scopes, createdAt, expiresAt, usedAt }: ApiToken): unknown => ({
  id,
  name,
  scopes,
  createdAt: timeOf(createdAt),
  expiresAt: timeOrNull(expiresAt),
  usedAt: timeOrNull(usedAt),
})

export const tunnelView = (tunnel: Tunnel): unknown => ({
  id: tunnel.id,
  socketId: tunnel.socketId,
  relayPort: tunnel.relayPort,
  server: tunnel.server,
  isConnected: tunnel.isConnected,
  connectedFrom: tunnel.connectedFrom,
  lastConnectedAt: timeOrNull(tunnel.lastConnectedAt),
  createdAt: timeOf(tunnel.createdAt),
})

const visitorsView = ({ emails, domains, groups }: NonNullable<Socket['visitors']>): unknown => ({
  emails,
  domains,
  ...(groups !== undefined && { groups }),
})

/** The ports at which visitors reach a socket: those of its URL, where the gateway does not have the usual ones. */
export function portsOf({ type, ports }: Pick<Socket, 'type' | 'ports'>, url: string): readonly number[] {
  const port = type === 'http' || type === 'https' ? new URL(url).port : ''
  return port === '' ? ports : [Number(port)]
}

export const socketView = (socket: Socket, url: string): unknown => ({
  id: socket.id,
  accountId: socket.accountId,
  name: socket.name,
  type: socket.type,
  dnsName: socket.dnsName,
  url,
  customDomains: socket.customDomains,
  ports: portsOf(socket, url),
  password: socket.password === null ? null : { user: socket.password.user, password: socket.password.password },
  visitors: socket.visitors && visitorsView(socket.visitors),
  balance: socket.balance,
  inspect: socket.inspect,
  proxyProtocol: socket.proxyProtocol,
  upstream: socket.upstream,
  limits: {
    requestsPerSecond: socket.limits.requestsPerSecond,
    concurrency: socket.limits.concurrency,
    maxConnections: socket.limits.maxConnections,
  },
  isEphemeral: socket.isEphemeral,
  state: socket.state,
  tunnels: socket.tunnels.map(tunnelView),
  createdAt: timeOf(socket.createdAt),
  updatedAt: timeOf(socket.updatedAt),
  etag: socket.etag,
})

const seenRequestView = <T extends SeenRequest>({ at, ...request }: T): object => ({ ...request, at: timeOf(at) })

export const seenRequestsView = ({ items, ...page }: SeenRequests): object => ({ items: items.map(item => seenRequestView(item)), ...page })

const seenMessageView = ({ at, ...message }: SeenMessage): object => ({ ...message, at: timeOf(at) })

export const seenMessagesView = ({ items, ...page }: SeenMessages): object => ({ items: items.map(seenMessageView), ...page })

export const seenDetailView = ({ messageList, ...request }: SeenRequestDetail): object => ({
  ...seenRequestView(request as SeenRequest),
  messageList: messageList.map(seenMessageView),
})

export const requestsChangeView = (change: RequestsChange): object =>
  change.type === 'request' ? { ...change, request: seenRequestView(change.request) } : change

export const shareView = ({ id, socketId, path, methods, email, maxUses, uses, ...times }: SharedLink): object => ({
  id,
  socketId,
  path,
  methods,
  email,
  maxUses,
  uses,
  createdAt: timeOf(times.createdAt),
  expiresAt: timeOf(times.expiresAt),
  usedAt: timeOrNull(times.usedAt),
})

export const credentialsView = ({ tunnelId, identifier, kid, linkUrls, expiresAt }: TunnelCredentials): unknown => ({
  tunnelId,
  identifier,
  kid,
  linkUrls,
  expiresAt: timeOf(expiresAt),
})

export const innerKeyView = ({ kid, identifiers, createdAt, seenAt, revokedAt, isConnected }: InnerKey): unknown => ({
  kid,
  identifiers,
  createdAt: timeOf(createdAt),
  seenAt: timeOrNull(seenAt),
  revokedAt: timeOrNull(revokedAt),
  isConnected,
})

export const auditEntryView = ({ at, ...entry }: AuditEntry): unknown => ({
  id: entry.id,
  at: timeOf(at),
  actor: entry.actor,
  actorKind: entry.actorKind,
  address: entry.address,
  action: entry.action,
  object: entry.object,
  isRefused: entry.isRefused,
  details: entry.details,
})

export const usageView = ({ day, socketId, requests, connections, bytesIn, bytesOut }: UsageOfDay): unknown => ({
  day,
  socketId,
  requests,
  connections,
  bytesIn,
  bytesOut,
})
