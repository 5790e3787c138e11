import type { Page } from '../page.ts'
import type { IdentityTokens } from '../session/identity-token.ts'

/** `/.well-known/jwks.json` of the auth host: the keys by which origins verify who somebody is. */
export const jwksPage = (identities: Pick<IdentityTokens, 'jwks'>): Page => ({
  place: 'auth',
  path: '/.well-known/jwks.json',
  method: 'GET',
  answer: () => {
    const body = `${JSON.stringify(identities.jwks)}\n`
    return {
      status: 200,
      fields: [
        ...['Content-Type', 'application/jwk-set+json', 'Content-Length', String(Buffer.byteLength(body))],
        // Shorter than an old key is kept, longer than a minute of many origins.
        ...['Cache-Control', 'public, max-age=300', 'X-Content-Type-Options', 'nosniff', 'Access-Control-Allow-Origin', '*'],
      ],
      body,
    }
  },
})
