/** The content of an assertion, once its signature has been verified (SAML Core §2, SAML Profiles §4.1.4). */

/** As xml2js gives an element: texts, attributes below `$`, and lists of elements by name. */
type Parsed = Readonly<Record<string, unknown>>

/** The terms under which an assertion counts. */
export interface AssertionTerms {
  /** Of the identity provider. */
  readonly issuer: string
  /** The entity id of this gateway. */
  readonly audience: string
  /** The URL to which it may be brought. */
  readonly recipient: string
  /** The request that it answers; undefined: none may be named, and it has to be new. */
  readonly request: string | undefined
  readonly nowMs: number
}

/** The person of an assertion. */
export interface AssertedPerson {
  readonly id: string
  readonly nameId: string
  readonly nameFormat: string
  /** Empty where there is none. */
  readonly nameQualifier: string
  readonly spNameQualifier: string
  /** Of the session at the provider. */
  readonly sessionIndex: string
  readonly attributes: ReadonlyMap<string, readonly string[]>
}

const BEARER = 'urn:oasis:names:tc:SAML:2.0:cm:bearer'
/** Clocks may differ by as much. */
export const SKEW_MS = 60_000
/** Greatest age of an assertion that answers no request; it is remembered for so long. */
const UNASKED_MS = 300_000
const MAX_CHARS = 4_096

const isMap = (value: unknown): value is Parsed => typeof value === 'object' && value !== null && !Array.isArray(value)
const childrenOf = (element: unknown, name: string): readonly unknown[] => {
  const list = isMap(element) && Object.hasOwn(element, name) ? element[name] : undefined
  return Array.isArray(list) ? list : []
}
/** The only element of this name. */
const childOf = (element: unknown, name: string): unknown => {
  const list = childrenOf(element, name)
  return list.length === 1 ? list[0] : undefined
}
const textOf = (element: unknown): string => {
  const text = typeof element === 'string' ? element : isMap(element) && Object.hasOwn(element, '_') ? element['_'] : undefined
  return typeof text === 'string' ? text.slice(0, MAX_CHARS).trim() : ''
}
const attributeOf = (element: unknown, name: string): string | undefined => {
  const all = isMap(element) && Object.hasOwn(element, '$') ? element['$'] : undefined
  const value = isMap(all) && Object.hasOwn(all, name) ? all[name] : undefined
  return typeof value === 'string' ? value : undefined
}
/** NaN for a time that is none, with which every comparison is false. */
const timeOf = (element: unknown, name: string): number => Date.parse(attributeOf(element, name) ?? '')
const isBegun = (element: unknown, nowMs: number): boolean =>
  attributeOf(element, 'NotBefore') === undefined || timeOf(element, 'NotBefore') <= nowMs + SKEW_MS

/**
 * Reads an assertion whose signature was verified.
 * @param parsed  of the bytes that were signed, and of nothing else
 * @returns in words why it does not count, where it does not
 */
export function readAssertion(parsed: unknown, terms: AssertionTerms): AssertedPerson | string {
  const assertion = isMap(parsed) ? parsed['Assertion'] : undefined
  const id = attributeOf(assertion, 'ID') ?? ''
  if (id === '' || attributeOf(assertion, 'Version') !== '2.0') return 'no assertion of SAML 2.0'
  if (textOf(childOf(assertion, 'Issuer')) !== terms.issuer) return 'the assertion is of another issuer'
  if (terms.request === undefined && !(timeOf(assertion, 'IssueInstant') > terms.nowMs - UNASKED_MS)) return 'the assertion is too old'
  const why = whyNotFor(childOf(assertion, 'Conditions'), terms)
  if (why !== undefined) return why
  const subject = childOf(assertion, 'Subject')
  const confirmed = childrenOf(subject, 'SubjectConfirmation').map(each => whyUnconfirmed(each, terms))
  if (confirmed.length === 0 || confirmed.every(each => each !== undefined))
    return `no SubjectConfirmation that counts: ${confirmed[0] ?? 'there is none'}`
  const [statement] = childrenOf(assertion, 'AuthnStatement')
  if (statement === undefined) return 'the assertion does not say that somebody has logged in'
  const nameId = childOf(subject, 'NameID')
  return {
    id,
    nameId: textOf(nameId),
    nameFormat: attributeOf(nameId, 'Format') ?? '',
    nameQualifier: attributeOf(nameId, 'NameQualifier') ?? '',
    spNameQualifier: attributeOf(nameId, 'SPNameQualifier') ?? '',
    sessionIndex: attributeOf(statement, 'SessionIndex') ?? '',
    attributes: attributesOf(assertion),
  }
}

/** SAML Core §2.5: each condition has to hold, and each restriction has to name us. */
function whyNotFor(conditions: unknown, { audience, nowMs }: AssertionTerms): string | undefined {
  if (conditions === undefined) return 'no conditions'
  if (!isBegun(conditions, nowMs)) return 'the assertion does not count yet'
  if (attributeOf(conditions, 'NotOnOrAfter') !== undefined && !(timeOf(conditions, 'NotOnOrAfter') > nowMs - SKEW_MS))
    return 'the assertion is over'
  const restrictions = childrenOf(conditions, 'AudienceRestriction')
  const isForUs = restrictions.length > 0 && restrictions.every(each => childrenOf(each, 'Audience').some(one => textOf(one) === audience))
  return isForUs ? undefined : 'the assertion is for another audience'
}

/** SAML Profiles §4.1.4.2. */
function whyUnconfirmed(confirmation: unknown, { recipient, request, nowMs }: AssertionTerms): string | undefined {
  if (attributeOf(confirmation, 'Method') !== BEARER) return 'its method is not bearer'
  const data = childOf(confirmation, 'SubjectConfirmationData')
  if (attributeOf(data, 'Recipient') !== recipient) return 'it is for another recipient'
  if (!(timeOf(data, 'NotOnOrAfter') > nowMs - SKEW_MS)) return 'it is over, or has no end'
  if (!isBegun(data, nowMs)) return 'it does not count yet'
  const answered = attributeOf(data, 'InResponseTo')
  if (answered === request) return undefined
  return request === undefined ? 'it answers a request of somebody' : 'it does not answer the request of this login'
}

function attributesOf(assertion: unknown): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, readonly string[]>()
  for (const statement of childrenOf(assertion, 'AttributeStatement'))
    for (const attribute of childrenOf(statement, 'Attribute')) {
      const name = attributeOf(attribute, 'Name')
      const values = childrenOf(attribute, 'AttributeValue')
        .map(textOf)
        .filter(text => text !== '')
      if (name !== undefined) all.set(name, [...(all.get(name) ?? []), ...values])
    }
  return all
}
