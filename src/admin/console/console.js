'use strict'
const PERIOD_MS = 2000
const main = document.getElementById('main')
const state = document.getElementById('state')

const element = (name, text, className) => {
  const made = document.createElement(name)
  if (text !== undefined) made.textContent = text
  if (className) made.className = className
  return made
}
const ago = iso => duration((Date.now() - Date.parse(iso)) / 1000)
const duration = seconds => {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return s + ' s'
  if (s < 3600) return Math.floor(s / 60) + ' min'
  if (s < 172800) return Math.floor(s / 3600) + ' h ' + Math.floor((s % 3600) / 60) + ' min'
  return Math.floor(s / 86400) + ' d'
}
const bytes = n => (n < 1024 ? n + ' B' : n < 1048576 ? (n / 1024).toFixed(1) + ' KiB' : (n / 1048576).toFixed(1) + ' MiB')
const ms = n => (n === 0 ? '–' : n < 10 ? n.toFixed(1) + ' ms' : Math.round(n) + ' ms')

/** columns: [title, row => text or [text, class], class] */
function table(title, columns, rows, empty) {
  const section = element('section')
  section.append(element('h2', title))
  if (rows.length === 0) {
    section.append(element('p', empty, 'warn'))
    return section
  }
  const made = element('table')
  const head = element('tr')
  for (const [name, , className] of columns) head.append(element('th', name, className))
  const thead = element('thead')
  thead.append(head)
  const tbody = element('tbody')
  for (const row of rows) {
    const line = element('tr')
    for (const [name, read, className = ''] of columns) {
      const value = read(row)
      const [text, kind = ''] = Array.isArray(value) ? value : [value]
      const cell = element('td', undefined, className + ' ' + kind)
      cell.dataset.name = name
      cell.append(element('span', String(text)))
      line.append(cell)
    }
    tbody.append(line)
  }
  made.append(thead, tbody)
  section.append(made)
  return section
}

function list(title, texts, className) {
  const section = element('section')
  if (texts.length === 0) return section
  section.append(element('h2', title))
  const ul = element('ul', undefined, className)
  for (const text of texts) ul.append(element('li', text))
  section.append(ul)
  return section
}

const plural = (n, noun) => n + ' ' + noun + (n === 1 ? '' : 's')
const times = (text, n) => (n === 1 ? text : text + ' ×' + n)

function health(target) {
  if (target.health === null) return '–'
  return target.health === 'well' ? ['well', 'good'] : ['not well by ' + target.avoided.join(', '), 'bad']
}

/** Connections of one inner layer as one row. */
function grouped(connections) {
  const groups = new Map()
  for (const row of connections) {
    const key = JSON.stringify([row.identifier, row.address, row.agent, row.key])
    const known = groups.get(key)
    groups.set(
      key,
      known === undefined
        ? { ...row, count: 1 }
        : {
            ...known,
            count: known.count + 1,
            roundTripMs: Math.max(known.roundTripMs, row.roundTripMs),
            streams: known.streams + row.streams,
            outstandingBytes: known.outstandingBytes + row.outstandingBytes,
            since: known.since < row.since ? known.since : row.since,
          },
    )
  }
  return [...groups.values()]
}

const innerLayers = row => [
  row.innerLayers + (row.identifiers ? ' (' + row.identifiers.join(', ') + ')' : ''),
  row.innerLayers === 0 && row.origin !== null ? 'bad' : '',
]

const services = (title, rows) =>
  rows.length === 0
    ? []
    : [
        table(
          title,
          [
            [title === 'Tunnels' ? 'tunnel' : 'port', row => row.name],
            ['origin', row => row.origin],
            ['inner layers', innerLayers, 'number'],
            ['ended', row => row.ended, 'number'],
            ['errors', row => [row.errors, row.errors > 0 ? 'warn' : ''], 'number'],
          ],
          rows,
          '',
        ),
      ]

function outer(status) {
  return [
    list(
      'Not in force',
      [
        ...(status.reload.fault ? status.reload.fault.split('\n') : []),
        ...status.keys.faults,
        ...status.tcp.faults,
        ...status.certificates.faults,
      ],
      'bad',
    ),
    table(
      'Inner layers',
      [
        ['identifier', row => times(row.identifier, row.count)],
        ['address', row => row.address],
        ['program', row => row.agent],
        ['round trip', row => ms(row.roundTripMs), 'number'],
        ['streams', row => row.streams, 'number'],
        ['held', row => bytes(row.outstandingBytes), 'number'],
        ['since', row => ago(row.since), 'number'],
      ],
      grouped(status.innerLayers),
      'No inner layer is connected.',
    ),
    table(
      'Targets',
      [
        ['host', row => row.host],
        ['origin', row => row.origin || row.answer],
        ['inner layers', innerLayers, 'number'],
        ['health', health],
        ['requests', row => row.requests, 'number'],
        ['errors', row => [row.errors, row.errors > 0 ? 'warn' : ''], 'number'],
        [
          'last error',
          row =>
            row.lastError
              ? [
                  row.lastError.code + ', ' + ago(row.lastError.at) + ' ago' + (row.lastError.reason ? ': ' + row.lastError.reason : ''),
                  'dim',
                ]
              : '–',
          'long',
        ],
      ],
      status.targets,
      'The targets file has no target.',
    ),
    ...services('TCP ports', status.tcp.services),
    ...services('Tunnels', status.tunnels.services),
    ...(status.service && status.service.firstTunnels.length > 0
      ? [
          table(
            'Tunnels of sockets',
            [
              ['tunnel', row => row.identifier],
              ['address', row => row.address],
              ['program', row => row.agent],
              ['round trip', row => ms(row.roundTripMs), 'number'],
              ['streams', row => row.streams, 'number'],
              ['since', row => ago(row.since), 'number'],
            ],
            status.service.firstTunnels,
            '',
          ),
        ]
      : []),
    ...(status.refused.length === 0
      ? []
      : [
          table(
            'Refused inner layers',
            [
              ['address', row => times(row.address, row.count)],
              ['last', row => ago(row.at) + ' ago', 'number'],
              ['reason', row => row.reason + ' (' + row.code + ')', 'long'],
            ],
            status.refused,
            '',
          ),
        ]),
    ...(status.unknownHosts.length === 0
      ? []
      : [
          table(
            'Hosts without a target',
            [
              ['host', row => row.host, 'long'],
              ['requests', row => row.count, 'number'],
              ['last', row => ago(row.at) + ' ago', 'number'],
            ],
            status.unknownHosts,
            '',
          ),
        ]),
    ...(status.certificates.inForce.length === 0
      ? []
      : [
          table(
            'Certificates',
            [
              ['file', row => row.file],
              ['names', row => row.names.join(', '), 'long'],
              ['ends', row => [row.notAfter.slice(0, 10), Date.parse(row.notAfter) - Date.now() < 14 * 86400000 ? 'warn' : ''], 'number'],
            ],
            status.certificates.inForce,
            '',
          ),
        ]),
    list(
      'Configuration',
      [
        status.reload.file + ', read ' + ago(status.reload.loadedAt) + ' ago',
        plural(status.keys.inForce, 'key') + ' in force',
        'clients on port ' + status.ports.app + ', inner layers on port ' + status.ports.socket,
        plural(status.requests.inFlight, 'request') + ' in flight, ' + status.requests.repeats + ' moved to another inner layer so far',
        ...(status.service
          ? [plural(status.service.sockets, 'socket') + ' of the service, ' + plural(status.service.tunnels, 'tunnel') + ' connected']
          : []),
        ...(status.targetsOmitted > 0 ? [plural(status.targetsOmitted, 'target') + ' more than the table shows'] : []),
        ...(status.tcp.ports.length + status.tcp.connections + status.tunnels.connections === 0
          ? []
          : [
              plural(status.tcp.ports.length, 'TCP port') +
                ' with ' +
                plural(status.tcp.connections, 'connection') +
                ', ' +
                plural(status.tunnels.connections, 'open tunnel'),
            ]),
      ],
      '',
    ),
  ]
}

/** Connections to one outer layer that are in the same state as one row. */
function groupedConnections(connections) {
  const groups = new Map()
  for (const row of connections) {
    const key = JSON.stringify([row.outerLayer, row.isUp, row.agent, row.isUp ? '' : row.lastFailure])
    const known = groups.get(key)
    groups.set(
      key,
      known === undefined
        ? { ...row, count: 1 }
        : {
            ...known,
            count: known.count + 1,
            roundTripMs: Math.max(known.roundTripMs, row.roundTripMs),
            streams: known.streams + row.streams,
            since: known.since < row.since ? known.since : row.since,
            lastFailure: known.lastFailure || row.lastFailure,
          },
    )
  }
  return [...groups.values()]
}

function inner(status) {
  return [
    table(
      'Connections',
      [
        ['outer layer', row => times(row.outerLayer, row.count)],
        ['state', row => (row.isUp ? ['connected', 'good'] : ['not connected', 'bad'])],
        ['program', row => row.agent || '–'],
        ['round trip', row => ms(row.roundTripMs), 'number'],
        ['streams', row => row.streams, 'number'],
        ['since', row => ago(row.since), 'number'],
        ['last failure', row => [row.lastFailure || '–', 'dim'], 'long'],
      ],
      groupedConnections(status.connections),
      'There is no outer layer to connect to.',
    ),
    list(
      'Requests',
      [
        'identifier ' + status.identifier,
        status.requests.inFlight + ' in flight, ' + status.requests.failed + ' failed so far',
        ...(status.lastFailure
          ? [
              'last failure ' +
                ago(status.lastFailure.at) +
                ' ago at ' +
                status.lastFailure.origin +
                ': ' +
                status.lastFailure.reason +
                ' (' +
                status.lastFailure.code +
                ')',
            ]
          : []),
      ],
      '',
    ),
  ]
}

function show(status) {
  document.title = (status.ready ? '' : '✗ ') + status.layer + ' layer – socket-gateway'
  state.className = status.ready ? (status.degraded.length === 0 ? 'good' : 'warn') : 'bad'
  state.textContent =
    status.layer +
    ' layer ' +
    status.version +
    ', ' +
    (status.ready ? (status.degraded.length === 0 ? 'ready' : 'ready, but degraded') : 'not ready') +
    ', up ' +
    duration(status.uptimeSeconds) +
    ', event loop ' +
    Math.round(status.eventLoop.delayP99Ms) +
    ' ms late'
  main.replaceChildren(
    list('Not ready', status.reasons, 'bad'),
    list('Degraded', status.degraded, 'warn'),
    ...(status.layer === 'outer' ? outer(status) : inner(status)),
  )
}

async function refresh() {
  try {
    const response = await fetch('status', { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(5000) })
    if (!response.ok) throw new Error('HTTP ' + response.status)
    show(await response.json())
  } catch (error) {
    state.className = 'bad'
    state.textContent = 'no answer: ' + error.message
  }
  setTimeout(refresh, PERIOD_MS)
}
refresh()
