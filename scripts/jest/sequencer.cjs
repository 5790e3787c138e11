/**
 * The order of test files: those that take five seconds and more first, the longest of them foremost, so that no worker sits over one of them when
 * the others have nothing left to do. Whatever is not listed follows by size; a file that is gone does no harm here.
 */
const { sep } = require('node:path')

const LONGEST_FIRST = [
  'platform/service',
  'cli/event-loop',
  'gateway/http2-deaf',
  'cli/service-process',
  'gateway/reliability-reconnect',
  'docker/dockerfile',
  'store/postgres',
  'service/many',
  'admin/console',
  'visitors/chromium',
  'console/portal',
  'console/requests',
  'gateway/reliability-time',
  'readme/quickstart',
  'gateway/tunnel',
  'gateway/tunnel-programs',
  'gateway/reliability-link',
  'gateway/reliability-process',
  'cli/process',
  'cli/ends',
  'gateway/websocket',
  'gateway/tcp-load',
  'gateway/leaks',
  'link/hostile',
  'gateway/pieces',
  'service-host/service-host',
  'sokken/server',
  'readme/tls',
  'link/socket-io-link',
  'mux/liveness',
  'sokken/process',
  'gateway/tcp-programs',
  'gateway/reliability-drain',
  'repository/architecture',
  'gateway/reliability-chaos',
  'link/session-over-link',
  'gateway/reliability-faults',
  'gateway/tcp',
  'gateway/sockets',
  'gateway/access',
  'gateway/pipelining',
  'cli/operations',
  'gateway/reliability-moves',
  'gateway/file-limit',
  'cli/certificates',
  'repository/scenario',
  'http/linear',
  'gateway/reliability-repeat',
  'ssh/limits',
  'readme/deployment',
  'identity/certificate',
  'gateway/webdav',
  'config/pieces',
  'config/targets',
  'service/tunnels',
  'http1/differential',
  'service/sockets',
  'mux/fuzz',
  'gateway/browser',
  'mux/long-way',
  'mux/handshake',
  'mux/model',
  'visitors/tokens',
  'gateway/reliability-memory',
  'gateway/inner-refusals',
  'gateway/reliability',
  'gateway/http2-abuse',
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
