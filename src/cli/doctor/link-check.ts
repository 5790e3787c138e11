import { GatewayError, type ErrorCode } from '../../errors.ts'
import type { PrivateKey } from '../../identity/private-key.ts'
import { createProof } from '../../identity/proof.ts'
import { dial } from '../../link/dialer.ts'
import { introduce } from '../../mux/handshake.ts'
import { DEFAULT_LIMITS } from '../../mux/limits.ts'
import { DEFAULT_TIMING } from '../../mux/liveness.ts'
import { GrowthBudget } from '../../mux/receive-window.ts'
import { Session } from '../../mux/session.ts'
import { AGENT } from '../../version.ts'

/** As whom, and where. */
export interface LinkCheckOptions {
  readonly url: string
  readonly privateKey: PrivateKey
  readonly identifier: string
  readonly isIdentifierDefault: boolean
  readonly ca?: string
  /** PEM of a client certificate for `privateKey`. */
  readonly certificate?: string
  /** On the way, when there is one. */
  readonly proxy?: URL | undefined
}

/** The outcome of trying a link: the last step that it reached. */
export type LinkOutcome =
  | { readonly kind: 'no link'; readonly reason: string }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly reason: string; readonly skewMs: number | undefined }
  | { readonly kind: 'proven'; readonly identifier: string; readonly agent: string; readonly skewMs: number }

/**
 * Connects to an outer layer as an inner layer does, proves itself, and leaves. Requests that it gets in between go to another inner
 * layer: every stream is refused with the code that says so.
 */
export function checkLink({
  url,
  privateKey,
  identifier,
  isIdentifierDefault,
  ca,
  certificate,
  proxy,
}: LinkCheckOptions): Promise<LinkOutcome> {
  const { protocol, host } = new URL(url)
  const key = certificate === undefined ? undefined : (privateKey.key.export({ type: 'pkcs8', format: 'pem' }) as string)
  let skewMs: number | undefined
  return new Promise(resolve => {
    dial(
      { url, proxy, ...(ca !== undefined && { ca }), ...(certificate !== undefined && key !== undefined && { certificate, key }) },
      {
        onFailure: reason => resolve({ kind: 'no link', reason }),
        onLink: link =>
          introduce(link, {
            agent: `${AGENT} doctor`,
            limits: DEFAULT_LIMITS,
            prove: ({ audience, nonce, time, validityMs }) => {
              skewMs = Date.now() - time * 1000
              return createProof(privateKey, {
                identifier,
                isDefault: isIdentifierDefault,
                url: `${protocol}//${host}`,
                audience,
                nonce,
                nowSeconds: time,
                validityMs,
              })
            },
            onRefused: (code, reason) => resolve({ kind: 'refused', code, reason, skewMs }),
            onReady: ({ ready, hello }) => {
              const session = new Session(link, {
                role: 'inner',
                limits: DEFAULT_LIMITS,
                peerLimits: hello.limits,
                budget: new GrowthBudget(0),
                clock: () => performance.now(),
                timing: DEFAULT_TIMING,
                accept: () => {
                  throw new GatewayError('REFUSED_STREAM', 'this is a check, not an inner layer')
                },
                onClose: () => resolve({ kind: 'proven', identifier: ready.identifier, agent: ready.agent, skewMs: skewMs ?? 0 }),
              })
              void session.drain('GOING_AWAY', 'a check by socket-gateway doctor')
            },
          }),
      },
    )
  })
}
