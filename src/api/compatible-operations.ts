/** The dialect of the client of 2021: paths at the root, 200 for all but the two deletes. */
import { z } from 'zod'
import type { Service } from '../service/contract.ts'
import type { Actor, Socket } from '../service/model.ts'
import * as schema from './compatible-schema.ts'
import { given, operationsOf, type ApiContext, type Operation } from './operation.ts'
import { linkToken, uuid } from './schema.ts'
import { sshUserOf } from './views.ts'

const { open, withToken } = operationsOf('compatible')

const socketId = z.object({ socket_id: uuid })
const tunnelId = z.object({ socket_id: uuid, tunnel_id: uuid })
const sockets = z.array(schema.compatibleSocket)
const TOKEN = z.object({ token: z.string() })
/** The client knows no pages. */
const MAX_PAGES = 20

async function allSockets({ sockets: rules }: Service, actor: Actor): Promise<readonly Socket[]> {
  const all: Socket[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { items, next } = await rules.list(actor, { limit: 100, ...given({ cursor }) })
    all.push(...items)
    if (next === null) break
    cursor = next
  }
  return all
}

async function view({ urlOf, service }: ApiContext, socket: Socket): Promise<z.output<typeof schema.compatibleSocket>> {
  const sshCa = schema.hasSshAuthority(socket) ? await service.visitorCertificates.sshAuthority() : ''
  return schema.compatibleSocketView(socket, urlOf(socket), sshCa)
}

const list = async (context: ApiContext, _call: unknown, actor: Actor): Promise<unknown> =>
  Promise.all((await allSockets(context.service, actor)).map(socket => view(context, socket)))

export const compatibleOperations: readonly Operation[] = [
  open({
    id: 'compatibleSignUp',
    method: 'post',
    path: '/user',
    summary: 'Asks for an account.',
    body: schema.compatibleSignUp,
    reply: z.object({ message: z.string() }),
    errors: ['SIGN_UP_CLOSED', 'RATE_LIMITED'],
    run: async ({ service }, { body: { sshkey, ...body }, address }) => {
      await service.accounts.signUp({ ...body, ...(sshkey ? { sshKey: sshkey } : {}) }, address)
      return { message: 'A mail is on its way; its link confirms the account.' }
    },
  }),
  open({
    id: 'compatibleConfirm',
    method: 'get',
    path: '/user/confirm/{token}',
    summary: 'Confirms an account: the link of the mail.',
    params: z.object({ token: linkToken }),
    isOneTime: true,
    reply: z.string(),
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params }) => {
      await service.accounts.confirm(params.token)
      return 'You have confirmed your account. Thanks!'
    },
  }),
  open({
    id: 'compatibleLogin',
    method: 'post',
    path: '/login',
    summary: 'Logs in.',
    body: schema.compatibleLogin,
    reply: TOKEN,
    errors: ['LOGIN_FAILED', 'RATE_LIMITED'],
    run: async ({ service }, { body, address }) => ({ token: (await service.sessions.login(body, address)).token }),
  }),
  withToken({
    id: 'compatibleRefresh',
    method: 'post',
    path: '/login/refresh',
    summary: 'Gives a new token.',
    reply: TOKEN,
    run: async ({ service }, _call, actor) => ({ token: (await service.sessions.refresh(actor)).token }),
  }),
  withToken({
    id: 'compatibleAccount',
    method: 'get',
    path: '/user/{user_id}',
    summary: 'The own account.',
    params: z.object({ user_id: uuid }),
    reply: schema.compatibleAccount,
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params }, actor) => {
      const { id, name, email } = await service.accounts.get(actor, params.user_id)
      const [key] = id === actor.accountId ? await service.accounts.keys(actor) : []
      return { name, email, user_id: id, user_name: sshUserOf(id), sshkey: key?.line ?? '' }
    },
  }),
  withToken({
    id: 'compatibleConnections',
    method: 'get',
    path: '/connect',
    summary: 'Sockets of the account.',
    reply: sockets,
    run: list,
  }),
  withToken({
    id: 'compatibleConnect',
    method: 'post',
    path: '/connect',
    summary: 'Makes a socket with one tunnel, which goes a day after its last connection.',
    body: schema.compatibleSocketRequest,
    reply: schema.compatibleSocket,
    errors: ['LIMIT_REACHED', 'RATE_LIMITED', 'PORTS_EXHAUSTED'],
    run: async (context, { body }, actor) => {
      const request = { ...schema.socketRequestOf(body), ephemeralMs: schema.CONNECT_EPHEMERAL_MS }
      const { socket, tunnel } = await context.service.sockets.connect(actor, request)
      // The client takes the first one without looking.
      return view(context, { ...socket, tunnels: [tunnel] })
    },
  }),
  withToken({ id: 'compatibleSockets', method: 'get', path: '/socket', summary: 'Sockets of the account.', reply: sockets, run: list }),
  withToken({
    id: 'compatibleCreateSocket',
    method: 'post',
    path: '/socket',
    summary: 'Makes a socket.',
    body: schema.compatibleSocketRequest,
    reply: schema.compatibleSocket,
    errors: ['LIMIT_REACHED', 'RATE_LIMITED', 'PORTS_EXHAUSTED'],
    run: async (context, { body }, actor) => view(context, await context.service.sockets.create(actor, schema.socketRequestOf(body))),
  }),
  withToken({
    id: 'compatibleSocket',
    method: 'get',
    path: '/socket/{socket_id}',
    summary: 'A socket.',
    params: socketId,
    reply: schema.compatibleSocket,
    errors: ['NOT_FOUND'],
    run: async (context, { params }, actor) => view(context, await context.service.sockets.get(actor, params.socket_id)),
  }),
  withToken({
    id: 'compatibleDeleteSocket',
    method: 'delete',
    path: '/socket/{socket_id}',
    summary: 'Deletes a socket.',
    params: socketId,
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { params }, actor) => service.sockets.remove(actor, params.socket_id),
  }),
  withToken({
    id: 'compatibleTunnels',
    method: 'get',
    path: '/socket/{socket_id}/tunnel',
    summary: 'Tunnels of a socket.',
    params: socketId,
    reply: z.array(schema.compatibleTunnel),
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params }, actor) => (await service.tunnels.list(actor, params.socket_id)).map(schema.compatibleTunnelView),
  }),
  withToken({
    id: 'compatibleCreateTunnel',
    method: 'post',
    path: '/socket/{socket_id}/tunnel',
    summary: 'Adds a tunnel to a socket.',
    params: socketId,
    reply: schema.compatibleTunnel,
    errors: ['NOT_FOUND', 'LIMIT_REACHED'],
    run: async ({ service }, { params }, actor) => schema.compatibleTunnelView(await service.tunnels.create(actor, params.socket_id)),
  }),
  withToken({
    id: 'compatibleTunnel',
    method: 'get',
    path: '/socket/{socket_id}/tunnel/{tunnel_id}',
    summary: 'A tunnel.',
    params: tunnelId,
    reply: schema.compatibleTunnel,
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params }, actor) =>
      schema.compatibleTunnelView(await service.tunnels.get(actor, params.socket_id, params.tunnel_id)),
  }),
  withToken({
    id: 'compatibleDeleteTunnel',
    method: 'delete',
    path: '/socket/{socket_id}/tunnel/{tunnel_id}',
    summary: 'Deletes a tunnel.',
    params: tunnelId,
    status: 204,
    errors: ['NOT_FOUND'],
    run: ({ service }, { params }, actor) => service.tunnels.remove(actor, params.socket_id, params.tunnel_id),
  }),
  withToken({
    id: 'compatibleSignKey',
    method: 'post',
    path: '/socket/{socket_id}/tunnel/{tunnel_id}/signkey',
    summary: 'Signs a key for SSH: a certificate of five minutes.',
    params: tunnelId,
    body: schema.compatibleKey,
    reply: z.object({ signed_ssh_cert: z.string() }),
    errors: ['NOT_FOUND'],
    run: async ({ service }, { params, body }, actor) => ({
      signed_ssh_cert: await service.tunnels.certificate(actor, params.socket_id, params.tunnel_id, body.ssh_public_key),
    }),
  }),
]
