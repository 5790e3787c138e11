/** What people use instead: programs of others that bring requests or connections to where nobody can connect to, as far as they are installed. */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { programPath } from '../test/support/needs.ts'
import type { Origins } from './contenders.ts'
import { freePorts, type Fleet, type Service } from './fleet.ts'
import { NODE_HOST, STATIC_HOST } from './hosts.ts'

/** A program that runs. */
export interface RunningOther {
  readonly staticPort: number
  readonly nodePort: number
  readonly services: readonly Service[]
}

/** A program that can be compared, as its users start it. */
export interface Other {
  /** With what its link is encrypted by, where it is. */
  readonly name: string
  /** All have to be there. */
  readonly programs: readonly string[]
  start(fleet: Fleet, origins: Origins): Promise<RunningOther>
}

const program = (name: string): string => programPath(name)!

const haproxy: Other = {
  name: 'haproxy, one hop',
  programs: ['haproxy'],
  start: async (fleet, { staticPort: files, nodePort: streams }) => {
    const [port = 0] = await freePorts(1)
    const text = `global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s
frontend in\n  bind 127.0.0.1:${port}\n  use_backend streams if { hdr(host) -i ${NODE_HOST} }\n  default_backend files
backend files\n  server a 127.0.0.1:${files}\nbackend streams\n  server b 127.0.0.1:${streams}\n`
    const service = fleet.serve([program('haproxy'), '-db', '-f', fleet.file('haproxy.cfg', text)])
    return { staticPort: port, nodePort: port, services: [service] }
  },
}

const frp = (kind: 'http' | 'tcp'): Other => ({
  name: `frp, ${kind} (TLS)`,
  programs: ['frps', 'frpc'],
  start: async (fleet, origins) => {
    const [bind = 0, first = 0, second = 0] = await freePorts(3)
    const proxies = [
      [STATIC_HOST, origins.staticPort, first],
      [NODE_HOST, origins.nodePort, second],
    ] as const
    const isHttp = kind === 'http'
    const entry = ([host, local, remote]: (typeof proxies)[number]): string =>
      `[[proxies]]\nname = "${kind}-${host}"\ntype = "${kind}"\nlocalIP = "127.0.0.1"\nlocalPort = ${local}\n${
        isHttp ? `customDomains = ["${host}"]` : `remotePort = ${remote}`
      }\n`
    const server = `bindAddr = "127.0.0.1"\nbindPort = ${bind}\nproxyBindAddr = "127.0.0.1"\n${isHttp ? `vhostHTTPPort = ${first}\n` : ''}`
    const client = `serverAddr = "127.0.0.1"\nserverPort = ${bind}\nloginFailExit = false\n${proxies.map(entry).join('')}`
    const services = [
      fleet.serve([program('frps'), '-c', fleet.file(`frps-${kind}.toml`, server)]),
      fleet.serve([program('frpc'), '-c', fleet.file(`frpc-${kind}.toml`, client)]),
    ]
    return { staticPort: first, nodePort: isHttp ? first : second, services }
  },
})

const piko: Other = {
  name: 'piko, http (plain)',
  programs: ['piko'],
  start: async (fleet, origins) => {
    const [proxy = 0, upstream = 0, admin = 0, gossip = 0] = await freePorts(4)
    const at = (port: number): string => `127.0.0.1:${port}`
    const binds = ['--proxy.bind-addr', at(proxy), '--upstream.bind-addr', at(upstream), '--admin.bind-addr', at(admin)]
    const server = fleet.serve([program('piko'), 'server', ...binds, '--cluster.gossip.bind-addr', at(gossip)])
    const agent = (host: string, port: number): Service => {
      const endpoint = host.slice(0, host.indexOf('.'))
      const where = ['--connect.url', `http://${at(upstream)}`, '--server.bind-addr', '127.0.0.1:0']
      return fleet.serve([program('piko'), 'agent', 'http', endpoint, String(port), ...where])
    }
    return {
      staticPort: proxy,
      nodePort: proxy,
      services: [server, agent(STATIC_HOST, origins.staticPort), agent(NODE_HOST, origins.nodePort)],
    }
  },
}

const rathole: Other = {
  name: 'rathole, tcp (plain)',
  programs: ['rathole'],
  start: async (fleet, origins) => {
    const [bind = 0, first = 0, second = 0] = await freePorts(3)
    const services = (key: string, one: number, two: number): string =>
      [`files`, `streams`].map((name, i) => `.services.${name}]\n${key} = "127.0.0.1:${[one, two][i]!}"\n`).join('\n[SIDE')
    const text = (side: string, at: string, body: string): string =>
      `[${side}]\n${at} = "127.0.0.1:${bind}"\ndefault_token = "bench"\n\n[SIDE${body}`.replaceAll('SIDE', side)
    const server = text('server', 'bind_addr', services('bind_addr', first, second))
    const client = text('client', 'remote_addr', services('local_addr', origins.staticPort, origins.nodePort))
    return {
      staticPort: first,
      nodePort: second,
      services: [
        fleet.serve([program('rathole'), '--server', fleet.file('rathole-server.toml', server)]),
        fleet.serve([program('rathole'), '--client', fleet.file('rathole-client.toml', client)]),
      ],
    }
  },
}

const chisel: Other = {
  name: 'chisel, tcp (SSH)',
  programs: ['chisel'],
  start: async (fleet, origins) => {
    const [bind = 0, first = 0, second = 0] = await freePorts(3)
    const ways = [`R:127.0.0.1:${first}:127.0.0.1:${origins.staticPort}`, `R:127.0.0.1:${second}:127.0.0.1:${origins.nodePort}`]
    const server = fleet.serve([program('chisel'), 'server', '--host', '127.0.0.1', '--port', String(bind), '--reverse'])
    const client = fleet.serve([program('chisel'), 'client', `http://127.0.0.1:${bind}`, ...ways])
    return { staticPort: first, nodePort: second, services: [server, client] }
  },
}

const wstunnel: Other = {
  name: 'wstunnel, tcp (wss)',
  programs: ['wstunnel'],
  start: async (fleet, origins) => {
    const [bind = 0, first = 0, second = 0] = await freePorts(3)
    const ways = [
      ['-R', `tcp://127.0.0.1:${first}:127.0.0.1:${origins.staticPort}`],
      ['-R', `tcp://127.0.0.1:${second}:127.0.0.1:${origins.nodePort}`],
    ].flat()
    const server = fleet.serve([program('wstunnel'), 'server', `wss://127.0.0.1:${bind}`])
    const client = fleet.serve([program('wstunnel'), 'client', ...ways, `wss://127.0.0.1:${bind}`])
    return { staticPort: first, nodePort: second, services: [server, client] }
  },
}

const openSsh: Other = {
  name: 'ssh -R, tcp',
  programs: ['ssh', 'sshd', 'ssh-keygen'],
  start: async (fleet, origins) => {
    const [bind = 0, first = 0, second = 0] = await freePorts(3)
    const { directory } = fleet
    for (const name of ['ssh-host', 'ssh-user'])
      await fleet.run([program('ssh-keygen'), '-q', '-t', 'ed25519', '-N', '', '-f', join(directory, name)])
    copyFileSync(join(directory, 'ssh-user.pub'), join(directory, 'ssh-authorized'))
    chmodSync(join(directory, 'ssh-user'), 0o600)
    const { username, uid } = userInfo()
    // A server of root keeps its unprivileged part in there; the package makes it when its own server starts.
    if (uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    const text = `Port ${bind}\nListenAddress 127.0.0.1\nHostKey ${directory}/ssh-host\nAuthorizedKeysFile ${directory}/ssh-authorized
PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n`
    const server = fleet.serve([program('sshd'), '-D', '-e', '-f', fleet.file('sshd_config', text)])
    const ways = ['-R', `127.0.0.1:${first}:127.0.0.1:${origins.staticPort}`, '-R', `127.0.0.1:${second}:127.0.0.1:${origins.nodePort}`]
    const options = ['UserKnownHostsFile=/dev/null', 'StrictHostKeyChecking=no', 'ExitOnForwardFailure=yes', 'ConnectionAttempts=10']
    const where = ['-i', join(directory, 'ssh-user'), '-p', String(bind), '-N', ...options.flatMap(option => ['-o', option])]
    const client = fleet.serve([program('ssh'), ...where, ...ways, `${username}@127.0.0.1`])
    return { staticPort: first, nodePort: second, services: [server, client] }
  },
}

/** In the order of the table. */
export const OTHERS: readonly Other[] = [haproxy, frp('http'), piko, frp('tcp'), rathole, chisel, wstunnel, openSsh]

/** True when all its programs are installed. */
export const isInstalled = ({ programs }: Other): boolean => programs.every(name => programPath(name) !== undefined)

/** These processes and all that have come of them: OpenSSH serves each connection with processes of its own. */
export function withChildren(pids: readonly number[]): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = parentOf(name)
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const all = [...pids]
  for (const pid of all) all.push(...(children.get(pid) ?? []))
  return all
}

function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return 0 // it has ended meanwhile
  }
}
