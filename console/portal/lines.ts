import type { Socket } from '../../src/client/wire.ts'

/** Lines that connect a machine to a socket, for one program. */
export interface ConnectLines {
  readonly title: string
  readonly text: string
  readonly hint?: string
}

/** The places that lines name. */
export interface Places {
  /** URL of the API. */
  readonly api: string
  /** Name and port of the SSH door; undefined: there is none. */
  readonly ssh: string | undefined
  readonly sshUser: string
}

/** Lines to copy: for our program, for the ssh that everybody has, for the client of 2021. */
export function linesFor(socket: Socket, { api, ssh, sshUser }: Places): readonly ConnectLines[] {
  const tunnel = socket.tunnels[0]?.id
  const port = socket.type === 'http' || socket.type === 'https' ? '8000' : '22'
  const [host = '', sshPort] = ssh?.split(':') ?? []
  const of = tunnel === undefined ? '' : ` --tunnel-id ${tunnel}`
  return [
    {
      title: 'socket-gateway',
      text: `socket-gateway login --server ${api}\nsocket-gateway tunnel connect --socket-id ${socket.id}${of} --port ${port}`,
      hint: `--port is that of your service; --host names another machine than this one.`,
    },
    ...(ssh === undefined
      ? []
      : [
          {
            title: 'ssh',
            text: `ssh${sshPort === undefined ? '' : ` -p ${sshPort}`} -R ${socket.dnsName.split('.')[0]}:${port === '22' ? '0' : '80'}:localhost:${port} ${sshUser}@${host}`,
            hint: 'With a key of your profile.',
          },
        ]),
    {
      title: 'mysocketctl',
      text: `mysocketctl login\nmysocketctl tunnel connect --socket_id ${socket.id} --tunnel_id ${tunnel ?? 'TUNNEL'} --port ${port}`,
      hint: tunnel === undefined ? 'Add a tunnel first.' : 'The client of 2021.',
    },
  ]
}
