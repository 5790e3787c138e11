/** Options of the commands for whoever runs a service. */
import { FILE, flag, optional, PORT, required, TEXT, withDefault } from '../command/option.ts'

const serviceFile = withDefault(FILE, 'service.yaml', { describe: 'File of the service' })

/** Options of `service init`. */
export const serviceInitOptions = {
  zone: required(TEXT, { describe: 'Name below which sockets get theirs, such as edge.example.com; localhost for trials' }),
  admin: optional(TEXT, { describe: 'E-mail address of the first admin', defaultText: 'admin@ZONE' }),
  service: serviceFile,
  store: withDefault(TEXT, 'sqlite:state/service.db', { describe: 'Database: sqlite:FILE or postgres://USER@HOST/DATABASE' }),
  'ssh-port': optional(PORT, { describe: 'Port for SSH clients', defaultText: 'none' }),
  force: flag('Replace an existing file of the service and its key; what was sealed under the old key is lost'),
  json: flag('Print the answer in JSON'),
} as const

/** Options of `service admin-link`. */
export const adminLinkOptions = {
  service: serviceFile,
  admin: serviceInitOptions.admin,
  json: flag('Print the answer in JSON'),
} as const

/** Options of `service migrate`. */
export const serviceStoreOptions = { service: serviceFile, json: flag('Print the answer in JSON') } as const

/** Options of `service rotate`. */
export const serviceRotateOptions = {
  service: serviceFile,
  'host-key': flag('Make a new host key of the SSH door as well, which every client will ask about'),
  'visitor-ssh-key': flag('Make a new authority of visitors for SSH as well, which every origin that trusts it has to be told'),
  retire: flag(
    'End what the keys before have signed at once: everybody logs in again. With --key-file, take the key before out of the file',
  ),
  'key-file': flag('Make a new key in the key file instead, and seal all secrets anew; the key before still opens what is sealed under it'),
  json: flag('Print the answer in JSON'),
} as const

/** Options of `service demo`. */
export const serviceDemoOptions = {
  once: flag('End after the sample requests'),
  'app-port': withDefault(PORT, 3000, { describe: 'Port for clients; a free one when it is taken' }),
  'socket-port': withDefault(PORT, 3001, { describe: 'Port for connections of tunnels; a free one when it is taken' }),
  json: flag('One JSON object for each line'),
} as const
