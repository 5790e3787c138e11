/** A real SAML identity provider (`samlp`) on this machine, at which whoever comes is the person that the test says. */
import express from 'express'
import forge from 'node-forge'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { createServer } from 'node:http'
import { inflateRawSync } from 'node:zlib'
import samlp, { type SamlClaims, type SamlUser } from 'samlp'
import type { SamlSettings } from '../../src/visitors/config.ts'
import type { Browser, Visit } from './browser.ts'
import { listen } from './ports.ts'
import { samlLogout, type SamlParticipants } from './saml-logout.ts'

export const GRACE: SamlUser = { id: 'grace-1', email: 'grace@example.io', displayName: 'Grace Hopper', groups: ['ops', 'navy'] }
export const LINUS: SamlUser = { id: 'linus-1', email: 'linus@elsewhere.test', displayName: 'Linus', groups: [] }

/** The key of an identity provider, and the certificate in which it stands. */
export interface IdpKeys {
  readonly cert: string
  readonly key: string
}

/** Keys of 2048 bits: those that the gateway mints are longer, and take seconds. */
export function mintIdp(name: string): IdpKeys {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const certificate = forge.pki.createCertificate()
  const signing = forge.pki.privateKeyFromPem(key)
  certificate.publicKey = forge.pki.setRsaPublicKey(signing.n, signing.e)
  certificate.serialNumber = '01'
  certificate.validity.notBefore = new Date(Date.now() - 3_600_000)
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000)
  const subject = [{ name: 'commonName', value: name }]
  certificate.setSubject(subject)
  certificate.setIssuer(subject)
  certificate.sign(signing, forge.md.sha256.create())
  return { cert: forge.pki.certificateToPem(certificate), key }
}

const mapper = ({ id, nameIdFormat, ...attributes }: SamlUser): SamlClaims => ({
  getClaims: () => attributes,
  getNameIdentifier: () => ({
    nameIdentifier: String(id),
    ...(typeof nameIdFormat === 'string' && { nameIdentifierFormat: nameIdFormat }),
  }),
})
/** `samlp` reads what it tells of claims from the prototype of the mapper. */
const claims = Object.assign((user: SamlUser) => mapper(user), { prototype: { metadata: [] } })

/** The parts of an assertion; the defaults suit a login that is as it should be. */
export interface AssertionWish {
  readonly user?: SamlUser
  readonly issuer: string
  readonly keys: IdpKeys
  readonly audience: string
  readonly recipient: string
  readonly inResponseTo?: string | undefined
  readonly lifetimeInSeconds?: number
  readonly signAssertion?: boolean
  readonly signResponse?: boolean
  readonly signatureAlgorithm?: string
  readonly digestAlgorithm?: string
  /** Of the recipient, PEM, where the assertion is to be encrypted. */
  readonly encryptionCert?: string
  readonly encryptionPublicKey?: string
}

/** The XML of a response with an assertion. */
export const makeResponse = ({ user = GRACE, keys, ...wish }: AssertionWish): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = { ...keyed(keys), destination: wish.recipient, signatureAlgorithm: 'rsa-sha256', digestAlgorithm: 'sha256', ...wish }
    samlp.getSamlResponse(options, user, (error, xml) => (error === null ? resolve(xml) : reject(error)))
  })

const keyed = (keys: IdpKeys): IdpKeys & { readonly profileMapper: unknown } => ({ ...keys, profileMapper: claims })

/** Options of `samlp` by which an assertion is encrypted. @param certificate  of the recipient, PEM */
export const encryptionFor = (certificate: string): Pick<AssertionWish, 'encryptionCert' | 'encryptionPublicKey'> => ({
  encryptionCert: certificate,
  encryptionPublicKey: new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'pem' }).toString(),
})

/** The running provider. */
export interface SamlServer {
  readonly issuer: string
  readonly metadataUrl: string
  readonly loginUrl: string
  /** The next person; undefined: nobody, and it says so. */
  user: SamlUser | undefined
  /** By which it signs, and which stands in its metadata. */
  keys: IdpKeys
  announced: IdpKeys
  /** Certificate, PEM, for which it encrypts; undefined: it does not. */
  recipient: string | undefined
  /** Count of the requests for its metadata. */
  readonly metadataAsked: number
  /** Whether each login had to be new. */
  readonly forced: boolean[]
  /** Who has a session from it, and what became of its own. */
  readonly participants: SamlParticipants
  metadata(): Promise<string>
}

/** Starts a provider. */
export async function startSaml(): Promise<SamlServer> {
  const keys = mintIdp('idp')
  const issuer = 'urn:example:idp'
  const state = { user: GRACE as SamlUser | undefined, keys, announced: keys, recipient: undefined as string | undefined }
  let metadataAsked = 0
  const forced: boolean[] = []
  const app = express()
  const participants = samlLogout(app, () => ({ ...state.keys, issuer }))
  app.get('/login', (request, response, next) => {
    const { user } = state
    if (user === undefined) return void response.status(200).end('nobody')
    const getPostURL = (_: unknown, document: Document, __: unknown, done: (error: null, url: string) => void): void => {
      forced.push(document.documentElement.getAttribute('ForceAuthn') === 'true')
      done(null, document.documentElement.getAttribute('AssertionConsumerServiceURL') ?? '')
    }
    // As most of them are: the assertion is signed, the response is not.
    const recipient = acsOf(request.query['SAMLRequest'] as string)
    const sealing = state.recipient === undefined ? {} : encryptionFor(state.recipient)
    const { sessionIndex } = participants.enter(request.query['SAMLRequest'] as string, recipient, user)
    const options = {
      ...keyed(state.keys),
      issuer,
      sessionIndex,
      getPostURL,
      recipient,
      destination: recipient,
      lifetimeInSeconds: 300,
      ...sealing,
    }
    samlp.auth({ ...options, getUserFromRequest: () => user })(request, response, next)
  })
  app.get('/metadata', (request, response, next) => {
    metadataAsked++
    const { cert } = state.announced
    const logoutEndpointPaths = { redirect: '/logout', post: '/logout' }
    samlp.metadata({
      issuer,
      cert,
      redirectEndpointPath: '/login',
      postEndpointPath: '/login',
      logoutEndpointPaths,
      profileMapper: claims,
    })(request, response, next)
  })
  const base = `http://127.0.0.1:${await listen(createServer(app))}`
  return Object.assign(state, {
    issuer,
    metadataUrl: `${base}/metadata`,
    loginUrl: `${base}/login`,
    forced,
    participants,
    get metadataAsked() {
      return metadataAsked
    },
    metadata: async () => (await fetch(`${base}/metadata`)).text(),
  })
}

interface Document {
  readonly documentElement: { getAttribute(name: string): string | null }
}

/** @param deflated  as the binding of redirects has it (SAML Bindings §3.4.4) */
export function acsOf(deflated: string): string {
  const xml = inflateRawSync(Buffer.from(deflated, 'base64')).toString()
  return /AssertionConsumerServiceURL="([^"]*)"/.exec(xml)?.[1] ?? ''
}

/** The form with which a provider sends a browser back. */
export interface SamlForm {
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
}

export function formIn(html: string): SamlForm {
  const action = /action="([^"]*)"/.exec(html)?.[1] ?? ''
  const fields = [...html.matchAll(/<input type="hidden"\s+name="([^"]*)"\s+value="([^"]*)"/g)].map(([, name, value]) => [
    name,
    unescape(value!),
  ])
  return { action: unescape(action), fields: Object.fromEntries(fields) as Record<string, string> }
}

const unescape = (text: string): string =>
  text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))).replaceAll('&amp;', '&')

/** Sends the form, as a page of the provider does. */
export const sendForm = (browser: Browser, { action, fields }: SamlForm): Promise<Visit> =>
  browser.go(action, { method: 'POST', body: new URLSearchParams(fields).toString(), isCrossSite: true })

/** A whole login: to the provider, and with its form back. */
export async function logInBySaml(browser: Browser, url: string): Promise<Visit> {
  const visit = await browser.go(url)
  return visit.body.includes('SAMLResponse') ? sendForm(browser, formIn(visit.body)) : visit
}

/** The gateway's configuration of the provider. */
export const settingsOf = (metadata: SamlSettings['metadata'], more: Partial<SamlSettings> = {}): SamlSettings => ({
  entityId: 'https://auth.example.test/saml/corp',
  metadata,
  emailNames: ['email'],
  nameNames: ['displayName'],
  groupNames: ['groups'],
  landing: undefined,
  ...more,
})
