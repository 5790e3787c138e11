import type { Access, LoginRule } from '../../route/access.ts'
import type { Session } from '../session/session.ts'
import { whyNot } from '../session/login-rule.ts'
import type { HolderScope } from './holder-grant.ts'

/** A socket of the service, of type tcp or tls, that only some may have. */
export interface HeldSocket {
  /** HOST:PORT, as its tunnels have it. */
  readonly name: string
  readonly host: string
  readonly port: number
  readonly accountId: string
  readonly access: Access
}

/** A certificate that is wanted for somebody. */
export interface HolderCertificateRequest {
  /** Of TLS, for a request in PEM; of SSH, for a line of authorized_keys. */
  readonly kind: 'tls' | 'ssh'
  readonly text: string
  /** For people who read it. */
  readonly who: string
  /** E-mail addresses and URIs, in ASCII. */
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly validUntil: number
}

/** The certificate, or why there is none. */
export type HolderCertificateAnswer =
  { readonly kind: 'certificate'; readonly text: string } | { readonly kind: 'refused' | 'away'; readonly why: string }

/** The service whose sockets people open with certificates. */
export interface HeldSockets {
  /** Host of its API, in lower case, at which clients ask. */
  readonly apiHost: string
  /** @param host  of a socket, in lower case @returns undefined where there is none that asks who comes */
  find(host: string): HeldSocket | undefined
  /** Never rejects. */
  certify(request: HolderCertificateRequest): Promise<HolderCertificateAnswer>
}

/** Does a login go for this socket? */
export const isFor = (scope: HolderScope, { name, accountId }: Pick<HeldSocket, 'name' | 'accountId'>): boolean =>
  scope.kind === 'socket' ? scope.name === name : scope.id === accountId

/** Says why somebody may not have a socket; undefined: they may. @param rule  with its providers; undefined: everybody may come */
export const whyNotHeld = (rule: LoginRule | undefined, { person }: Session): string | undefined => rule && whyNot(rule, person)
