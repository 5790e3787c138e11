/**
 * The order of test files: those that take five seconds and more first, the longest of them foremost, so that no worker sits over one of them when
 * the others have nothing left to do. Whatever is not listed follows by size; a file that is gone does no harm here.
 */
const { sep } = require('node:path')

const LONGEST_FIRST = [
  'visitors/chromium',
  'console/portal',
  'admin/console',
  'cli/event-loop',
  'gateway/http2-deaf',
  'platform/service',
  'gateway/pieces',
  'service-host/service-host',
  'console/requests',
  'store/postgres',
  'docker/dockerfile',
  'cli/service-process',
  'gateway/reliability-time',
  'gateway/reliability-reconnect',
  'repository/architecture',
  'gateway/reliability-link',
  'gateway/tunnel',
  'console/portal-tls',
  'service/many',
  'gateway/websocket',
  'gateway/tunnel-programs',
  'cluster/failures',
  'link/session-over-link',
  'cli/ends',
  'gateway/tcp-load',
  'mux/long-way',
  'link/hostile',
  'gateway/webdav',
  'mux/fuzz',
  'gateway/reliability-process',
  'gateway/tcp-programs',
  'gateway/pipelining',
  'gateway/leaks',
  'gateway/reliability-drain',
  'cli/process',
  'gateway/access',
  'gateway/reliability-memory',
  'sokken/server',
  'link/socket-io-link',
  'gateway/reliability-faults',
  'mux/liveness',
  'readme/quickstart',
  'gateway/tcp',
  'service/sockets',
  'cli/operations',
  'gateway/reliability-chaos',
  'gateway/reliability-repeat',
  'gateway/reliability-moves',
  'readme/tls',
  'gateway/sockets',
  'http/linear',
  'config/targets',
  'ssh/keys',
  'gateway/reliability',
  'gateway/inner-refusals',
  'gateway/inspector-secrets',
  'identity/certificate',
  'service/tunnels',
  'store/store',
  'ssh/limits',
  'cli/run-cli',
  'gateway/socket-tls',
  'gateway/browser',
  'cli/certificates',
  'gateway/http2-abuse',
  'gateway/limits',
  'visitors/process',
  'sokken/process',
  'service/events',
  'visitors/tokens',
  'gateway/file-limit',
  'config/pieces',
  'sokken/client',
  'mux/model',
  'mux/handshake',
  'gateway/balance',
  'repository/scenario',
  'ssh/openssh',
  'link/unmasked-transport',
]

const ranks = new Map(LONGEST_FIRST.map((name, rank) => [`test/${name}.test.ts`, rank]))

module.exports = class LongestFirst {
  sort(tests) {
    const rankOf = ({ path, context }) => {
      const inside = path
        .slice(context.config.rootDir.length + 1)
        .split(sep)
        .join('/')
      return ranks.get(inside) ?? ranks.size
    }
    const sizeOf = ({ path, context }) => context.hasteFS.getSize(path) ?? 0
    return [...tests].sort((a, b) => rankOf(a) - rankOf(b) || sizeOf(b) - sizeOf(a))
  }

  allFailedTests(tests) {
    return tests
  }

  cacheResults() {}
}
