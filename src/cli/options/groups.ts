/** Headings of --help: fifty options in one list are read by nobody. */
import { serviceOptions } from '../command/command.ts'
import { acmeOptions } from '../acme/acme-options.ts'
import { adminOptions } from './admin.ts'
import { clusterOptions } from './cluster.ts'
import { inspectOptions } from './inspect.ts'
import { blindOptions } from './layers.ts'
import { limitOptions } from './limits.ts'
import { tlsOptions } from './tls.ts'

const namesOf = (table: object): readonly string[] => Object.keys(table)

const OPERATORS = namesOf(adminOptions('none'))
const INSPECTOR = namesOf(inspectOptions)
const PROCESS = ['config', ...namesOf(serviceOptions)]

/** Of `outer-layer`. */
export const outerLayerGroups = {
  'To begin with': ['public-key', 'invite', 'invite-url', 'state', 'targets', 'target', 'service', 'visitors', 'app-port', 'socket-port'],
  'Where to listen': ['app-host', 'socket-host', 'link-name', 'validity'],
  TLS: namesOf(tlsOptions),
  'Certificates by ACME': namesOf(acmeOptions),
  'Behind a proxy': ['trust-proxy', 'trust-fields', 'proxy-protocol'],
  Answers: ['error-pages', 'remove-csps', 'server-timing'],
  'Times and limits': ['timeout', 'drain-delay', ...namesOf(limitOptions)],
  'Several outer layers': namesOf(clusterOptions),
  Operators: [...OPERATORS, 'events'],
  'The inspector': INSPECTOR,
  'Process and log': ['workers', 'drain-delay', ...PROCESS],
}

/** Of `inner-layer`. */
export const innerLayerGroups = {
  'To begin with': ['private-key', 'outer-layer', 'join', 'identifier', 'allow'],
  'The connection': ['connections', 'nodes', 'outer-layer-ca', 'inner-layer-certificate', 'proxy', 'insecure'],
  'TLS that ends here': namesOf(blindOptions),
  Operators: OPERATORS,
  'The inspector': INSPECTOR,
  'Process and log': PROCESS,
}
