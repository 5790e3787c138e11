import { loadTransports, type WebSocketTransport } from './socket-io-client.ts'
import { isThisMachine } from '../address/this-machine.ts'
import { lookupName } from '../net/lookup-name.ts'

/** Makes the key with which nothing is masked. */
export const zeroMask = (key: Buffer): void => {
  key.fill(0)
}

/**
 * Returns engine.io's websocket transport with a masking key of zero. A random key keeps what a browser sends from being read as HTTP by a
 * careless proxy on the way (RFC 6455 §10.3). There is none inside of TLS or on the loopback interface, and masking means a copy of
 * each message, half of all garbage of a layer that sends much. Names below `localhost` are found on this machine.
 */
export const unmaskedTransport = (): WebSocketTransport =>
  class extends loadTransports().NodeWebSocket {
    override createSocket(uri: string, protocols: string | string[] | undefined, options: Record<string, unknown>): unknown {
      return super.createSocket(uri, protocols, { ...options, generateMask: zeroMask, lookup: lookupName })
    }
  }

/** True for a link inside of TLS. */
export const isEncrypted = ({ protocol }: URL): boolean => protocol === 'wss:' || protocol === 'https:'

/** True where nobody on the way can look into the messages of `url`, so that masking them protects nobody. */
export const needsNoMask = (url: URL): boolean => isEncrypted(url) || isThisMachine(url.hostname)
