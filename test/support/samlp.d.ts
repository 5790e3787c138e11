/** `samlp` has no types: what the tests use of it. */
declare module 'samlp' {
  import type { RequestHandler } from 'express'

  /** As `samlp` passes it to the mapper of claims. */
  export type SamlUser = Readonly<Record<string, unknown>>
  export interface SamlClaims {
    getClaims(): Readonly<Record<string, unknown>>
    getNameIdentifier(): { readonly nameIdentifier: string; readonly nameIdentifierFormat?: string }
  }
  interface SamlOptions {
    readonly issuer: string
    readonly cert: string
    readonly key: string
    readonly [option: string]: unknown
  }

  const samlp: {
    auth(options: SamlOptions & { readonly getUserFromRequest: () => SamlUser | undefined }): RequestHandler
    metadata(options: Omit<SamlOptions, 'key'>): RequestHandler
    logout(options: SamlOptions): RequestHandler
    getSamlResponse(options: SamlOptions, user: SamlUser, done: (error: Error | null, xml: string) => void): void
  }
  export default samlp
}

declare module 'samlp/lib/sessionParticipants/index.js' {
  /** Somebody who has a session from the provider. */
  export interface Participant {
    readonly serviceProviderId: string
    readonly sessionIndex: string
    readonly nameId: string
    readonly nameIdFormat?: string
    readonly serviceProviderLogoutURL: string
    /** Of messages to it. */
    readonly binding: string
    /** By which its messages are verified, PEM; absent: they are not. */
    readonly cert?: string
  }
  const SessionParticipants: new (participants: Participant[]) => object
  export default SessionParticipants
}
