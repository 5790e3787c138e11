/** The files that `init` writes. Values stand in them as JSON, which is YAML, so that nothing can be read as something else. */

type Layer = 'outer' | 'inner'

/** Options of the outer layer. */
export const outerOptionsFile = (facts: {
  readonly name: string
  readonly url: string
  readonly appPort: number
  readonly socketPort: number
}): string => `# Options of the outer layer, for: socket-gateway outer-layer --config outer.yaml
# Every option of "socket-gateway outer-layer --help" may stand here. Paths are relative to the folder in which it is started.

# Public host -> origin, and what passes. It may be changed while the layer runs.
targets: targets.yaml

# Keys of inner layers that have joined, and the certificate of the socket port. Keep this folder, and nobody else's eyes off it.
state: state

# Inner layers that may join: what to type on their machine is printed at the start. Those that have joined are left as they are.
invite: [${JSON.stringify(facts.name)}]
invite-url: ${JSON.stringify(facts.url)}

# For inner layers. This port has to be reachable from their networks.
socket-port: ${facts.socketPort}

# For clients. With a certificate they come by HTTPS: then this is usually 443.
app-port: ${facts.appPort}
#tls-certificate: [/etc/letsencrypt/live/example.com/fullchain.pem]
#tls-key: [/etc/letsencrypt/live/example.com/privkey.pem]
#app-http-port: 80 # redirects to HTTPS

# For operators: status, metrics, health; on this machine alone.
admin-port: 3002
`

/** The targets file. @param targets  HOST=URL */
export const targetsFile = (
  targets: readonly string[],
  identifier: string,
): string => `# Which public host leads where. The file is watched: a good change is in force within a second.
# Ask what it decides: socket-gateway targets explain targets.yaml GET http://HOST/PATH
targets:
${targets
  .map(target => {
    const at = target.indexOf('=')
    const url = new URL(target.slice(at + 1))
    const protocol = url.protocol === 'https:' ? 'https' : 'http'
    return `  ${JSON.stringify(target.slice(0, at))}:
    protocol: ${protocol}
    hostname: ${JSON.stringify(url.hostname)} # as the inner layer reaches it
    port: ${url.port === '' ? (protocol === 'https' ? 443 : 80) : url.port}
    identifier: ${JSON.stringify(identifier)} # only this inner layer
    #policy: # without it everything passes
    #  /status: [GET, HEAD]
    #  ^/v1/.*: '*'
`
  })
  .join('')}`

/** Options of the inner layer. */
export const innerOptionsFile = (
  joinText: string,
  allowed: readonly string[],
): string => `# Options of the inner layer, for: socket-gateway inner-layer --config inner.yaml
# Every option of "socket-gateway inner-layer --help" may stand here. Paths are relative to the folder in which it is started.

# Where the outer layer is, and how this one joins it. The secret in it counts once: later starts only read the rest.
join: ${JSON.stringify(joinText)}
private-key: innerLayer.key # is made when it joins

# Nothing else can be reached through this inner layer, whatever the outer layer asks for.
allow: [${allowed.map(place => JSON.stringify(place)).join(', ')}]
`

/** A path as systemd reads it: a percent sign begins a specifier. */
const unitPath = (path: string): string => path.replaceAll('%', '%%')
/** The same where systemd splits a list into words (systemd.syntax). */
const unitWord = (path: string): string => `"${unitPath(path).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

/** A unit of systemd. @param folder  absolute */
export const systemdUnit = (
  layer: Layer,
  folder: string,
  user: string,
): string => `# sudo cp socket-gateway-${layer}.service /etc/systemd/system/ && sudo systemctl enable --now socket-gateway-${layer}
[Unit]
Description=socket-gateway ${layer} layer
Wants=network-online.target
After=network-online.target

[Service]
# Started when its ports are open; systemd-notify says so, which is not the main process.
Type=notify
NotifyAccess=all
# The program has to be in the path of systemd, such as /usr/local/bin.
ExecStart=/usr/bin/env socket-gateway ${layer}-layer --config ${layer}.yaml
WorkingDirectory=${unitPath(folder)}
User=${user}
Restart=always
RestartSec=2
# A wrong option does not get better by trying again.
RestartPreventExitStatus=2
# Longer than --drain-timeout (30 s), so that requests in flight can finish.
TimeoutStopSec=40
LimitNOFILE=65536
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=${unitWord(folder)}
PrivateTmp=yes
PrivateDevices=yes
${layer === 'outer' ? '# For ports below 1024.\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n' : ''}RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK

[Install]
WantedBy=multi-user.target
`

/** A file for Docker Compose. @param ports  that others reach */
export const composeFile = (
  layer: Layer,
  ports: readonly number[],
): string => `# docker build -t socket-gateway . (in a clone), then: docker compose up
services:
  ${layer}-layer:
    image: socket-gateway
    command: [${layer}-layer, --config=${layer}.yaml, --log-format=json]
    # This folder; it belongs to the user 1000 of the image.
    volumes: ['.:/data']
${
  layer === 'outer'
    ? `    ports: [${ports.map(port => `'${port}:${port}'`).join(', ')}]\n`
    : '    # So that 127.0.0.1 is this machine, and not the container.\n    network_mode: host\n'
}    restart: unless-stopped
    stop_grace_period: 40s # longer than --drain-timeout
`
