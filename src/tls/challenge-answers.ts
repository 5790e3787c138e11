import { createServer, type SecureContext, type Server } from 'node:tls'
import { HANDSHAKE_MS, TLS_SETTINGS } from './settings.ts'

/** The protocol of ALPN by which an authority asks, RFC 8737 §4. */
const ACME_TLS = 'acme-tls/1'

/** Answers to an authority that asks whether a name leads here, before it certifies that (RFC 8555 §8). */
export interface ChallengeAnswers {
  /** Is it possible that somebody asks by TLS? While it is not, nobody looks whether they do. */
  readonly isAskedByTls: boolean
  /** The text at `/.well-known/acme-challenge/TOKEN`; undefined: nobody is to ask for that token. */
  textOf(token: string): Promise<string | undefined>
  /** The certificate for whoever asks by TLS; undefined: nobody is to ask for that name. */
  contextOf(serverName: string): Promise<SecureContext | undefined>
}

/** Does a client ask this by its first message? RFC 8737 §3: it offers that protocol alone. */
export const isChallenge = (protocols: readonly string[]): boolean => protocols.length === 1 && protocols[0] === ACME_TLS

/**
 * Makes a server for connections by which an authority asks, which `connection` is emitted for. It has no port, and nothing is said on it behind the
 * handshake.
 */
export function createChallengeServer(answers: ChallengeAnswers): Server {
  const server = createServer({
    ...TLS_SETTINGS,
    handshakeTimeout: HANDSHAKE_MS,
    ALPNProtocols: [ACME_TLS],
    SNICallback: (serverName, done) => {
      // Without a context the handshake fails, since this server has no certificate of its own.
      answers.contextOf(serverName.toLowerCase()).then(
        context => done(null, context),
        (thrown: unknown) => done(thrown instanceof Error ? thrown : new Error(String(thrown))),
      )
    },
  })
  server.on('secureConnection', socket => {
    socket.on('error', () => socket.destroy())
    socket.resume()
    socket.end()
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}
