import { lookup } from 'node:dns'
import { request } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { isPublicAddress } from '../../address/public-address.ts'
import { DEADLINE_MS, jsonOf } from './fetch-json.ts'

/** Finds addresses of the Internet alone; one that is none of these is not left out: whoever has it may have others. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, '')
    const other = addresses.find(({ address }) => !isPublicAddress(address))
    if (other !== undefined) return callback(new Error(notPublic(hostname, other.address)), '')
    const [first] = addresses
    if (options.all === true) callback(null, [...addresses])
    else callback(null, first?.address ?? '', first?.family)
  })
}

const notPublic = (host: string, address: string): string =>
  `${host} leads to ${address}, which is no address of the Internet: whoever runs the gateway has to allow this issuer`

/**
 * The same as `fetchJson`, of an URL that somebody has named who may not send the gateway anywhere else than into the Internet.
 * @throws Error, with a reason for the log
 */
export function fetchPublicJson(url: string): Promise<unknown> {
  const { protocol, hostname } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (protocol !== 'https:') return Promise.reject(new Error('expected an https: URL'))
  // Addresses are not looked up.
  if (isIP(host) !== 0 && !isPublicAddress(host)) return Promise.reject(new Error(notPublic(host, host)))
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(DEADLINE_MS)
    const sent = request(url, { headers: { Accept: 'application/json' }, agent: false, lookup: lookupPublic, signal }, answer => {
      if (answer.statusCode !== 200) {
        answer.destroy()
        return reject(new Error(`status ${answer.statusCode ?? 0}`))
      }
      jsonOf(answer).then(resolve, reject)
    })
    sent.on('error', error => reject(error))
    sent.end()
  })
}
