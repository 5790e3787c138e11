import { eventsOptions } from './options/events.ts'
import { CLIENT_COMMANDS, CLIENT_GROUPS } from './client-commands.ts'
import { SERVICE_COMMANDS, SERVICE_GROUPS } from './service-commands.ts'
import { DISCOVERY_COMMANDS } from './discovery-commands.ts'
import { INSPECTOR_COMMANDS } from './inspector-commands.ts'
import { VISITOR_COMMANDS, VISITOR_GROUPS } from './visitor-commands.ts'
import { certificatesOptions } from './options/certificates.ts'
import { defineCommand, type Command } from './command/command.ts'
import { httpGroups, httpOptions } from './options/http.ts'
import { initInnerOptions, initOuterOptions } from './options/init.ts'
import { forwardOptions, tokenOptions } from './options/forward.ts'
import { flag, PORT, withDefault } from './command/option.ts'
import { doctorOptions } from './doctor/doctor-options.ts'
import { innerLayerGroups, outerLayerGroups } from './options/groups.ts'
import { innerLayerOptions, outerLayerOptions } from './options/layers.ts'
import { targetsExplainOptions } from './options/visitors.ts'
import { clusterDrainOptions, clusterRebalanceOptions, clusterStatusOptions, statusOptions, targetsCheckOptions } from './options/status.ts'

/** Words that other commands stand below, and what those are about. */
export const GROUPS: Readonly<Record<string, string>> = {
  cluster: 'Look at the nodes of a cluster, empty one of them, or spread inner layers over them',
  init: 'Write the files of a layer: options, targets, systemd, compose',
  targets: 'Check a targets file, or explain what it decides',
  ...CLIENT_GROUPS,
  ...SERVICE_GROUPS,
  ...VISITOR_GROUPS,
}

/** Every command, in the order of --help. */
export const COMMANDS: readonly Command[] = [
  defineCommand({
    words: ['http'],
    describe: 'Make a port, a URL or a folder of this machine reachable, at once: here, in the network, or by a public name of a service',
    options: httpOptions,
    groups: httpGroups,
    positionals: [{ name: 'what', describe: 'Port, HOST:PORT or URL of your service, or a folder', isOptional: true }],
    examples: [
      ['socket-gateway http 8080', 'http://localhost:3000 leads to http://127.0.0.1:8080'],
      ['socket-gateway http 8080 --qr', 'and for the phone in the same network'],
      ['socket-gateway http ./site', 'the files of a folder'],
      ['socket-gateway http 8080 --server https://api.example.com', 'by a public name'],
    ],
    run: async (values, { what }, context) => (await import('./local/http.ts')).runHttp(what, values, context),
  }),
  defineCommand({
    words: ['init', 'outer'],
    describe: 'Write the files of an outer layer: options, targets, a systemd unit, a compose file',
    options: initOuterOptions,
    flagsOnly: true,
    examples: [
      ['socket-gateway init outer --host gw.example.com --name lan-a --target gw.example.com=http://127.0.0.1:8080', 'asks for nothing'],
    ],
    run: async (values, _, context) => (await import('./init/init.ts')).runInitOuter(values, context),
  }),
  defineCommand({
    words: ['init', 'inner'],
    describe: 'Write the files of an inner layer: options, a systemd unit, a compose file',
    options: initInnerOptions,
    flagsOnly: true,
    examples: [["socket-gateway init inner --join 'wss://gw.example.com:3001#lan-a:…' --allow 127.0.0.1:8080", 'asks for nothing']],
    run: async (values, _, context) => (await import('./init/init.ts')).runInitInner(values, context),
  }),
  defineCommand({
    words: ['certificates'],
    describe: 'Mint the key pair of an inner layer, of a server, or of an authority',
    options: certificatesOptions,
    examples: [
      ['socket-gateway certificates', 'write innerLayer.key and innerLayer.crt'],
      ['socket-gateway certificates --type ec --common-name lan-a', 'an EC key, for the inner layer lan-a'],
      ['socket-gateway certificates --self-signed localhost', 'a server certificate for trials: server.key and server.crt'],
      ['socket-gateway certificates --ca', 'an authority: ca.key and ca.crt'],
      ['socket-gateway certificates --server a.example.com --signed-by ca.crt', 'a server that this authority certifies'],
    ],
    run: async (values, _, context) => (await import('./run/certificates.ts')).runCertificates(values, context),
  }),
  defineCommand({
    words: ['outer-layer'],
    aliases: ['server'],
    groups: outerLayerGroups,
    describe: 'Run the outer layer: takes requests from clients, on a public host',
    options: outerLayerOptions,
    examples: [
      ['socket-gateway outer-layer --public-key innerLayer.crt --targets targets.yaml', 'ports 3000 and 3001'],
      ['socket-gateway outer-layer --public-key keys/ --targets targets.yaml --log-format json', 'every key in a directory'],
    ],
    run: async (values, _, context) =>
      values.workers > 1
        ? (await import('./workers/run-primary.ts')).runPrimary(values, context)
        : (await import('./run/outer-layer.ts')).runOuterLayer(values, context),
  }),
  defineCommand({
    words: ['outer-layer-worker'],
    describe: 'Run one of the processes of an outer layer with --workers, which starts them',
    options: outerLayerOptions,
    isHidden: true,
    run: async (values, _, context) => (await import('./workers/run-worker.ts')).runWorker(values, context),
  }),
  defineCommand({
    words: ['upgrade'],
    describe:
      'Put new processes into the place of the workers of an outer layer, one by one, without closing a port: for a new release, or other options in its file',
    options: clusterDrainOptions,
    examples: [['socket-gateway upgrade', 'asks the admin port at 127.0.0.1:3002, and waits until it is done']],
    run: async (values, _, context) => (await import('./workers/upgrade.ts')).runUpgrade(values, context),
  }),
  defineCommand({
    words: ['inner-layer'],
    aliases: ['agent'],
    groups: innerLayerGroups,
    describe: 'Run the inner layer: makes the requests, inside the private network',
    options: innerLayerOptions,
    examples: [
      ['socket-gateway inner-layer --private-key innerLayer.key --outer-layer ws://localhost:3001', 'on the same machine'],
      [
        'socket-gateway inner-layer --private-key innerLayer.key --outer-layer wss://gateway.example.com --allow my.api:8080',
        'one origin only',
      ],
    ],
    run: async (values, _, context) => (await import('./run/inner-layer.ts')).runInnerLayer(values, context),
  }),
  defineCommand({
    words: ['forward'],
    describe: 'Open ports on this machine that lead to services behind the gateway',
    options: forwardOptions,
    rest: { name: 'listen-url', describe: 'Pairs of LISTEN (HOST:PORT) and URL (wss://gw.example.com/tunnel/HOST:PORT)' },
    examples: [
      ['socket-gateway forward --token-file alice.token 127.0.0.1:5432 wss://gw.example.com/tunnel/db.lan:5432', 'then: psql -h 127.0.0.1'],
      ['socket-gateway forward --login 127.0.0.1:5432 wss://gw.example.com/tunnel/db.lan:5432', 'shows where to log in'],
    ],
    run: async (values, _, context, rest) => (await import('./forward/forward.ts')).runForward(values, rest, context),
  }),
  defineCommand({
    words: ['token'],
    describe: 'Make a token for tunnels, and the hash of it that is stored',
    options: tokenOptions,
    flagsOnly: true,
    examples: [['socket-gateway token --file alice.token', 'the token for alice, the hash for the targets file']],
    run: async (values, _, context) => (await import('./run/token.ts')).runToken(values, context),
  }),
  defineCommand({
    words: ['sokken'],
    describe: 'Tunnel TCP connections through WebSockets, as the program sokken does',
    options: {},
    raw: async (argv, context) => (await import('./run/sokken.ts')).runSokken(argv, context),
    run: () => Promise.resolve(2),
  }),
  defineCommand({
    words: ['service-process'],
    describe: 'Run the service of an outer layer, which starts it beside itself',
    options: {},
    isHidden: true,
    raw: async (argv, context) => (await import('./run/service-process.ts')).runServiceProcess(argv, context),
    run: () => Promise.resolve(2),
  }),
  defineCommand({
    words: ['hash-password'],
    describe: 'Hash a password for basicAuth of a target; it is read from standard input, or asked for',
    options: {},
    examples: [
      ['socket-gateway hash-password', 'ask for it twice'],
      ['socket-gateway hash-password < password.txt', 'read one line'],
    ],
    run: async (_, __, context) => (await import('./run/hash-password.ts')).runHashPassword(context),
  }),
  defineCommand({
    words: ['targets', 'check'],
    describe: 'Validate a targets file, print its targets, warn about dangerous ones',
    options: targetsCheckOptions,
    flagsOnly: true,
    positionals: [{ name: 'file', describe: 'Targets file' }],
    examples: [
      ['socket-gateway targets check targets.yaml', ''],
      ['socket-gateway targets check targets.yaml --admin 3002', 'and which targets nobody serves at the layer that runs here'],
    ],
    run: async (values, { file = '' }, context) => (await import('./run/targets.ts')).runTargetsCheck(file, values, context),
  }),
  defineCommand({
    words: ['targets', 'explain'],
    describe: 'Print which target and rule decide on a request, without sending it',
    options: targetsExplainOptions,
    flagsOnly: true,
    positionals: [
      { name: 'file', describe: 'Targets file' },
      { name: 'method', describe: 'Method of the request, such as GET' },
      { name: 'url', describe: 'URL as a client would ask for it' },
    ],
    examples: [['socket-gateway targets explain targets.yaml GET http://api.example.com/v1/users', 'exit status 0 allowed, 1 refused']],
    run: async (values, { file = '', method = '', url = '' }, context) =>
      (await import('./run/targets.ts')).runTargetsExplain({ file, method, url }, values, context),
  }),
  defineCommand({
    words: ['cluster', 'status'],
    describe: 'Show the nodes of a cluster, as one of them sees them',
    options: clusterStatusOptions,
    examples: [['socket-gateway cluster status', 'asks the outer layer on this machine']],
    run: async (values, _, context) => (await import('./cluster/cluster-status.ts')).runClusterStatus(values, context),
  }),
  defineCommand({
    words: ['cluster', 'drain'],
    describe: 'Have a node send its inner layers to other nodes, and take no new ones until it starts again',
    options: clusterDrainOptions,
    positionals: [{ name: 'node', describe: 'Name of the node, as "cluster status" shows it' }],
    examples: [['socket-gateway cluster drain node-2', 'asks the outer layer on this machine to pass it on']],
    run: async (values, { node }, context) => (await import('./cluster/cluster-status.ts')).runClusterDrain(node!, values, context),
  }),
  defineCommand({
    words: ['cluster', 'rebalance'],
    describe: 'Have nodes with many inner layers send some to nodes with few, slowly',
    options: clusterRebalanceOptions,
    examples: [['socket-gateway cluster rebalance --threshold 10', 'asks the outer layer on this machine to pass it on']],
    run: async (values, _, context) => (await import('./cluster/cluster-status.ts')).runClusterRebalance(values, context),
  }),
  defineCommand({
    words: ['status'],
    describe: 'Print what a running layer does: connections, targets, errors',
    options: statusOptions,
    flagsOnly: true,
    examples: [
      ['socket-gateway status', 'the outer layer on this machine'],
      ['socket-gateway status --admin 3003 --watch', 'another admin port, every two seconds'],
    ],
    run: async (values, _, context) => (await import('./status/status.ts')).runStatus(values, context),
  }),
  defineCommand({
    words: ['events'],
    describe: 'Print what has happened to an outer layer: who came and went, what is not well',
    options: eventsOptions,
    flagsOnly: true,
    examples: [
      ['socket-gateway events', 'the last fifty, the latest last'],
      ['socket-gateway events --follow --severity warning', 'and what happens from now on'],
    ],
    run: async (values, _, context) => (await import('./events/events-command.ts')).runEvents(values, context),
  }),
  defineCommand({
    words: ['doctor'],
    describe: 'Check what a layer with these options needs: keys, names, ports, TLS, proof, origins',
    options: doctorOptions,
    examples: [
      ['socket-gateway doctor --private-key innerLayer.key --outer-layer wss://gateway.example.com --origin my.api:8080', 'an inner layer'],
      ['socket-gateway doctor --config /etc/socket-gateway/outer.yaml', 'an outer layer, by its file'],
    ],
    run: async (values, _, context) => (await import('./doctor/doctor.ts')).runDoctor(values, context),
  }),
  defineCommand({
    words: ['demo'],
    describe: 'Show everything at once on this machine: a sample API, both layers, some requests',
    options: {
      once: flag('End after the sample requests'),
      service: flag('Show accounts, public names and a tunnel instead: service demo'),
      'app-port': withDefault(PORT, 3000, { describe: 'Port for clients; a free one when it is taken' }),
      'socket-port': withDefault(PORT, 3001, { describe: 'Port for the inner layer; a free one when it is taken' }),
    },
    flagsOnly: true,
    run: async (values, _, context) =>
      values.service
        ? (await import('./service/demo.ts')).runServiceDemo({ ...values, json: false }, context)
        : (await import('./demo/demo.ts')).runDemo(context, values),
  }),
  ...DISCOVERY_COMMANDS,
  ...INSPECTOR_COMMANDS,
  ...CLIENT_COMMANDS,
  ...SERVICE_COMMANDS,
  ...VISITOR_COMMANDS,
]
