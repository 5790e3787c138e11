/**
 * The order of test files: those that take five seconds and more first, the longest of them foremost, so that no worker sits over one of them when
 * the others have nothing left to do. Whatever is not listed follows by size; a file that is gone does no harm here.
 */
const { sep } = require('node:path')

const LONGEST_FIRST = [
  // They look through the whole heap again and again, and that of a worker is small as long as it has run nothing.
  'gateway/http2-held',
  'origin/http2-held',
  'cli/event-loop',
  'admin/console',
  'gateway/http2-deaf',
  'platform/service',
  'console/portal',
  'visitors/chromium',
  'gateway/link-proxy',
  'gateway/origin-answers',
  'service-host/service-host',
  'gateway/tunnel-programs',
  'store/postgres',
  'docker/dockerfile',
  'gateway/limits',
  'visitors/sockets',
  'cluster/rebalance',
  'mux/long-way',
  'cli/service-process',
  'gateway/reliability-time',
  'gateway/tunnel',
  'gateway/reliability-reconnect',
  'gateway/pieces',
  'service/many',
  'workers/processes',
  'gateway/websocket',
  'gateway/inspector-secrets',
  'gateway/http2-tls',
  'gateway/drain-delay',
  'api/pages',
  'discovery/kubernetes',
  'gateway/reliability-link',
  'judges/judges',
  'gateway/reliability-process',
  'cluster/failures',
  'console/requests',
  'link/hostile',
  'gateway/tcp-programs',
  'gateway/tcp-load',
  'cli/ends',
  'cli/process',
  'sokken/server',
  'readme/tls',
  'gateway/leaks',
  'console/portal-tls',
  'sokken/process',
  'link/socket-io-link',
  'service/sockets',
  'gateway/reliability-drain',
  'gateway/reliability-repeat',
  'mux/liveness',
  'gateway/reliability-faults',
  'link/session-over-link',
  'acme/certificates',
  'repository/architecture',
  'gateway/tcp',
  'gateway/sockets',
  'gateway/reliability-moves',
  'gateway/reliability-chaos',
  'readme/quickstart',
  'gateway/file-limit',
  'repository/scenario',
  'readme/deployment',
  'gateway/inner-refusals',
  'link/tls',
  'cluster/inner-layers',
  'gateway/http2-turns',
  'cli/operations',
  'http/linear',
  'net/pause-message',
  'identity/certificate',
  'gateway/reliability-memory',
  'gateway/first-turns',
  'discovery/hostile',
  'ssh/limits',
  'gateway/access',
  'mux/fuzz',
  'gateway/webdav',
  'gateway/http2-abuse',
  'api/whatever',
  'applications/applications',
  'gateway/socket-tls',
  'store/store',
  'service/enrolment',
  'gateway/reliability',
  'mux/model',
  'service/tunnels',
  'readme/links',
  'gateway/pipelining',
  'sokken/client',
  'config/pieces',
  'cli/certificates',
  'visitors/tokens',
  'cli/run-cli',
  'ssh/keys',
  'service/events',
  'mux/handshake',
  'service/away',
  'visitors/certificates',
  'cli/hash-password',
  'config/targets',
  'identity/keys',
  'link/unmasked-transport',
  'http1/differential',
  'ssh/openssh',
  'outer/layer-events',
  'service/ssh-keys',
  'gateway/grpc',
  'hostile/mux',
  'visitors/attacks',
  'visitors/saml',
  'gateway/websocket-wire',
  'wire/control',
  'acme/workers',
  'config/target-keys',
  'splice/splice',
  'service/proofs',
  'cli/client',
  'visitors/saml-attacks',
  'console/long-table',
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
