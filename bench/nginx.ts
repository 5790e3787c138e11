/** nginx as the origin that serves files, and as a reverse proxy to compare with. */
import { mkdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { NODE_HOST } from './hosts.ts'
import type { Fleet, Service } from './fleet.ts'

/** One process, nothing written to disk, connections kept for good: as fast as nginx with one worker is. */
const configuration = (directory: string, servers: string): string => `
daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 1000000000; keepalive_timeout 1h; client_max_body_size 0;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
${servers}
}
`

const start = (fleet: Fleet, name: string, servers: (directory: string) => string): Service => {
  const directory = join(fleet.directory, name)
  mkdirSync(directory)
  const file = fleet.file(`${name}.conf`, configuration(directory, servers(directory)))
  return fleet.serve(['nginx', '-e', 'stderr', '-p', directory, '-c', file])
}

/** Serves /1k, /64k, /50m, /100m and /2g from files. */
export const startNginxOrigin = (fleet: Fleet, port: number): Service =>
  start(fleet, 'nginx-origin', directory => {
    const root = join(directory, 'www')
    mkdirSync(root)
    for (const [name, bytes] of Object.entries({ '1k': 1024, '64k': 65_536, '50m': 50 << 20, '100m': 100 << 20, '2g': 2 ** 31 })) {
      truncateSync(fleet.file(join('nginx-origin', 'www', name), ''), bytes)
    }
    return `  server { listen 127.0.0.1:${port} backlog=4096; root ${root}; }`
  })

/** Passes requests on to the two origins, by Host. */
export const startNginxProxy = (
  fleet: Fleet,
  { port, staticPort, nodePort }: Record<'port' | 'staticPort' | 'nodePort', number>,
): Service => {
  const upstream = (name: string, to: number): string =>
    `  upstream ${name} { server 127.0.0.1:${to}; keepalive 128; keepalive_requests 1000000000; }`
  const server = (name: string, selector: string): string => `  server {
    listen 127.0.0.1:${port} ${selector}
    location / {
      proxy_pass http://${name}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_request_buffering off; proxy_max_temp_file_size 0; proxy_read_timeout 1h;
    }
  }`
  return start(fleet, 'nginx-proxy', () =>
    [
      upstream('static_origin', staticPort),
      upstream('node_origin', nodePort),
      server('static_origin', 'default_server backlog=4096; server_name _;'),
      server('node_origin', `; server_name ${NODE_HOST};`),
    ].join('\n'),
  )
}
