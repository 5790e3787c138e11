import { hostname, networkInterfaces } from 'node:os'

/** Interfaces that lead to containers and virtual networks, not to the phone on the table. */
const VIRTUAL = /^(?:docker|br-|veth|virbr|vmnet|vboxnet|utun|tun|tap|wg|tailscale|zt|cni|flannel|lxc|podman|vEthernet)/i

/** Addresses of this machine that others may reach, the likeliest first: IPv4, without those that need a zone. */
export function lanAddresses(interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces()): readonly string[] {
  return Object.entries(interfaces)
    .flatMap(([name, addresses = []]) => addresses.map(({ address, family, internal }) => ({ name, address, family, internal })))
    .filter(({ address, family, internal }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'))
    .sort((a, b) => Number(VIRTUAL.test(a.name)) - Number(VIRTUAL.test(b.name)))
    .map(({ address }) => address)
}

const NAME = /^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/

/** Names under which others may know this machine: its host name, and that of mDNS. */
export function lanNames(name = hostname().toLowerCase()): readonly string[] {
  if (!NAME.test(name) || name === 'localhost') return []
  return name.includes('.') ? [name] : [name, `${name}.local`]
}
