import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { isThisMachine } from '../address/this-machine.ts'

/**
 * The `lookup` of a connection: as the system resolves names, and names below `localhost` as that one. RFC 6761 §6.3 wants all of them on the
 * loopback interface, browsers know that, and few resolvers do.
 */
export const lookupName: LookupFunction = (hostname, options, callback) =>
  lookup(isThisMachine(hostname) ? 'localhost' : hostname, options, callback)
