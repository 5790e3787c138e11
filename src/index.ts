/**
 * socket-gateway as a library: both layers inside a process of one's own. The command line is made from exactly these parts.
 *
 * @example
 * const keys = new KeyFiles(['innerLayer.crt'])
 * await keys.start()
 * const targets = new TargetsFile('targets.yaml', { onChange: () => {}, onFault: console.error })
 * await targets.start()
 * const outer = createOuterLayer({ keys, targets })
 * await outer.start()
 *
 * @example Targets and keys that are made in code, and change when the code says so (`onChange`).
 * const table = parseTargets('targets: { "*": { protocol: http, hostname: 127.0.0.1, port: 8080 } }', 'by hand')
 * const outer = createOuterLayer({ keys: { registry: new KeyRegistry([registeredKey(pem)]) }, targets: { table } })
 *
 * @example Sockets that come and go while the process runs: names of a zone that tunnels serve, each by a key of its own.
 * const directory = new LiveDirectory({ zone: 'edge.example.com', ports: { from: 40_000, to: 40_999 } })
 * const outer = createOuterLayer({ directory })
 * await outer.start()
 * const faults = await directory.apply(snapshot)
 */
import { createOuterLayer as create } from './outer/outer-layer.ts'

export { type AdminOptions } from './admin/admin.ts'
export { ConfigError, type ConfigFault } from './config/document/fault.ts'
export { parseTargets } from './config/targets.ts'
export { TargetsFile } from './config/watch.ts'
export type { DirectoryChange, DirectoryKey, DirectoryMessage, DirectorySnapshot, DirectorySocket } from './directory/directory.ts'
export { LiveDirectory, type LiveDirectoryOptions } from './directory/live-directory.ts'
export { ERRORS, GatewayError, type ErrorCode, type ErrorEntry } from './errors.ts'
export { mintKeyPair } from './identity/certificate.ts'
export { readPrivateKey, type PrivateKey } from './identity/private-key.ts'
export { KeyFiles, KeyRegistry, type RegisteredKey } from './identity/public-keys.ts'
export { registeredKey } from './identity/read-public-key.ts'
export { AllowList } from './origin/allow-list.ts'
export { createInnerLayer, type InnerLayer, type InnerLayerOptions } from './inner/inner-layer.ts'
export type { OuterLayer } from './outer/outer-layer.ts'
export {
  OUTER_LAYER_DEFAULTS,
  type KeySource,
  type OuterLayerDefaults,
  type OuterLayerOptions,
  type TableSource,
} from './outer/options/outer-options.ts'
export { explain, type Explanation } from './config/explain.ts'
export { RouteTable, type Target } from './route/table.ts'
export { CertificateStore, type CertificateStoreOptions } from './tls/certificate-store.ts'
export { createLog, silentLog, type Log, type LogOptions } from './telemetry/log.ts'

/**
 * An outer layer, not started. Where clients of HTTP/2 can make this Node.js end the process, it is not offered to them, unless `nghttp2` says otherwise.
 * @throws GatewayError USAGE where `appH2c` asks for it all the same
 */
export const createOuterLayer: typeof create = (options, telemetry) => {
  // eslint-disable-next-line no-restricted-globals -- there is no main.cts here, and whoever uses the library does not have to know of this
  const nghttp2 = process.versions['nghttp2']!
  return create({ nghttp2, ...options }, telemetry)
}
