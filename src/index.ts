/**
 * socket-gateway as a library: both layers inside a process of one's own. The command line is made from exactly these parts.
 *
 * @example
 * const keys = new KeyFiles(['innerLayer.crt'])
 * await keys.start()
 * const targets = new TargetsFile('targets.yaml', { onChange: () => {}, onFault: console.error })
 * await targets.start()
 * const outer = createOuterLayer({ appPort: 3000, socketPort: 3001, keys, targets, … }, { log })
 * await outer.start()
 */
export { type AdminOptions } from './admin/admin.ts'
export { ConfigError, type ConfigFault } from './config/document/fault.ts'
export { parseTargets } from './config/targets.ts'
export { TargetsFile } from './config/watch.ts'
export { ERRORS, GatewayError, type ErrorCode, type ErrorEntry } from './errors.ts'
export { mintKeyPair } from './identity/certificate.ts'
export { readPrivateKey, type PrivateKey } from './identity/private-key.ts'
export { KeyFiles, KeyRegistry, type RegisteredKey } from './identity/public-keys.ts'
export { AllowList } from './origin/allow-list.ts'
export { createInnerLayer, type InnerLayer, type InnerLayerOptions } from './inner/inner-layer.ts'
export { createOuterLayer, type OuterLayer, type OuterLayerOptions } from './outer/outer-layer.ts'
export { explain, type Explanation } from './config/explain.ts'
export { RouteTable, type Target } from './route/table.ts'
export { CertificateStore, type CertificateStoreOptions } from './tls/certificate-store.ts'
export { createLog, silentLog, type Log, type LogOptions } from './telemetry/log.ts'
