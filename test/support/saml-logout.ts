/** The end of sessions at the identity provider of the tests (`samlp`), and the messages that it sends. */
import express, { type Express } from 'express'
import { createSign, randomBytes } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import samlp, { type SamlUser } from 'samlp'
import SessionParticipants, { type Participant } from 'samlp/lib/sessionParticipants/index.js'

const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'

/** Keys and name of the provider. */
export interface IdpIdentity {
  readonly cert: string
  readonly key: string
  readonly issuer: string
}

/** Who has a session from the provider. */
export interface SamlParticipants {
  readonly all: Participant[]
  /** Certificate of the gateway, PEM, by which its messages are verified; undefined: they are not. */
  cert: string | undefined
  /** How it sends its messages. */
  sendsForms: boolean
  /** It says that it has not ended all sessions. */
  isStubborn: boolean
  /** Count of its own sessions that have ended. */
  ended: number
  /** XML of the messages that came. */
  readonly heard: string[]
  /** Notes a login. @param request  deflated @param acs  where the assertion goes */
  enter(request: string, acs: string, user: SamlUser): Participant
}

/** Adds `/logout` to the provider: with a message as a participant sends it, and without one to begin there. */
export function samlLogout(app: Express, identity: () => IdpIdentity): SamlParticipants {
  const participants: SamlParticipants = {
    ...{ all: [], cert: undefined, sendsForms: false, isStubborn: false, ended: 0, heard: [] },
    enter: (request, acs, { id, nameIdFormat }) => {
      const xml = inflateRawSync(Buffer.from(request, 'base64')).toString()
      const participant = {
        serviceProviderId: /<saml:Issuer[^>]*>([^<]*)</.exec(xml)?.[1] ?? '',
        sessionIndex: `_index-${participants.all.length}-${Date.now()}`,
        nameId: String(id),
        ...(typeof nameIdFormat === 'string' && { nameIdFormat }),
        serviceProviderLogoutURL: `${acs.replace('/callback/', '/saml/')}/logout`,
        binding: participants.sendsForms ? POST : REDIRECT,
        ...(participants.cert !== undefined && { cert: participants.cert }),
      }
      participants.all.push(participant)
      return participant
    },
  }
  /** As `flowstate` has it, without sessions of express. */
  const states = new Map<string, object>()
  const store = {
    save: (_: unknown, state: object, done: (error: null, id: string) => void) => {
      const id = `state-${states.size}-${Date.now()}`
      states.set(id, state)
      done(null, id)
    },
    load: (_: unknown, id: string, ...rest: [object, (error: null, state?: object) => void] | [(error: null, state?: object) => void]) => {
      const done = rest[rest.length - 1] as (error: null, state?: object) => void
      done(null, states.get(id))
    },
    update: (_: unknown, id: string, state: object, done: (error: null) => void) => {
      states.set(id, state)
      done(null)
    },
  }
  app.all('/logout', express.urlencoded({ extended: false }), (request, response, next) => {
    const { SAMLRequest: asked, SAMLResponse: answered } = { ...request.query, ...(request.body as object | undefined) } as Record<
      string,
      string
    >
    const text = asked ?? answered
    if (text !== undefined) participants.heard.push(textOf(text))
    samlp.logout({
      ...identity(),
      deflate: true,
      protocolBinding: REDIRECT,
      store,
      sessionParticipants: new SessionParticipants(participants.all),
      clearIdPSession: (done: (error?: Error) => void) => {
        participants.ended++
        done(participants.isStubborn ? new Error('on purpose') : undefined)
      },
    })(Object.assign(request, { body: (request.body as object | undefined) ?? {} }), response, next)
  })
  return participants
}

const textOf = (base64: string): string => {
  const bytes = Buffer.from(base64, 'base64')
  return (bytes[0] === 0x3c ? bytes : inflateRawSync(bytes)).toString()
}

/** The parts of a message about a logout; the defaults suit one that is as it should be. */
export interface LogoutWish {
  readonly url: string
  readonly issuer?: string
  readonly nameId?: string
  readonly indexes?: readonly string[]
  readonly id?: string
  readonly destination?: string
  readonly issuedMs?: number
  readonly more?: string
  /** The element; a request when absent. */
  readonly xml?: string
}

export const logoutRequest = ({
  url,
  issuer = 'urn:example:idp',
  nameId = 'grace-1',
  indexes = [],
  id = `_${randomBytes(16).toString('hex')}`,
  destination = url,
  issuedMs = Date.now(),
  more = '',
}: LogoutWish): string =>
  `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${id}" Version="2.0" IssueInstant="${new Date(issuedMs).toISOString()}" Destination="${destination}"${more}><saml:Issuer>${issuer}</saml:Issuer><saml:NameID>${nameId}</saml:NameID>${indexes.map(index => `<samlp:SessionIndex>${index}</samlp:SessionIndex>`).join('')}</samlp:LogoutRequest>`

/** The URL of a redirect with a signed message. @param key  PEM; undefined: it is not signed */
export function signedUrl(
  url: string,
  xml: string,
  key: string | undefined,
  {
    name = 'SAMLRequest',
    hash = 'sha256',
    relayState,
  }: { readonly name?: string; readonly hash?: string; readonly relayState?: string } = {},
): string {
  const kind = hash === 'sha1' ? 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' : `http://www.w3.org/2001/04/xmldsig-more#rsa-${hash}`
  const pairs = [
    [name, deflateRawSync(xml).toString('base64')],
    ...(relayState === undefined ? [] : [['RelayState', relayState]]),
    ...(key === undefined ? [] : [['SigAlg', kind]]),
  ]
  const text = pairs.map(([field, value]) => `${field}=${encodeURIComponent(value!)}`).join('&')
  if (key === undefined) return `${url}?${text}`
  return `${url}?${text}&Signature=${encodeURIComponent(createSign(hash).update(text).sign(key, 'base64'))}`
}
