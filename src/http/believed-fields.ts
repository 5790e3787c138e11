/** Fields of requests that origins believe: which of them are ours, which nobody may send, and which only a proxy that is named for it. */
import { validateHeaderName } from 'node:http'
import { GatewayError } from '../errors.ts'
import { HOP_BY_HOP } from './hop-by-hop.ts'

/**
 * A name as origins read it: CGI, and with it WSGI, PHP and Rack, make one variable of `X-Remote-User`, `X_Remote_User` and, where
 * every character that is no letter becomes `_` (lighttpd), `X.Remote.User` (CVE-2025-64484).
 * @param name  in any case
 */
export const canonicalName = (name: string): string => {
  const lower = name.toLowerCase()
  return PLAIN.test(lower) ? lower : lower.replace(/[^a-z0-9]/g, '-')
}

const PLAIN = /^[a-z0-9-]*$/

/** Framing and routing: the inner layer sets them from the head, never from a field. */
const FROM_HEAD: ReadonlySet<string> = new Set(['host', 'content-length', 'expect', 'via', 'max-forwards'])

/** Set by us, or kept for us, from whomever they come. */
const OURS = /^(?:forwarded|x-forwarded-(?:for|host|proto|port)|x-real-ip|x-auth-(?:email|name|groups)|x-sg-.*)$/

/** Those of ours that say who comes, as they are written or as their twins: another gateway in front may say it, to a target that names them. */
export const VISITOR_FIELD = /^x[^a-z0-9](?:auth[^a-z0-9](?:email|name|groups)|sg[^a-z0-9]identity)$/i

/**
 * Another path, method, host or address of the client than the request has, or a server that answers otherwise because of it. What
 * one of them says is what the policy has not seen, and no proxy needs them: X-Forwarded-* and X-Real-IP say it all.
 */
const OVERRIDES = new RegExp(
  `^(?:${[
    // Path: Symfony and Zend, IIS, Spring, Envoy, WSGI; Next.js (CVE-2025-29927); files that Rack would send instead (CVE-2025-61780).
    'x-original-(?:url|uri|path|request-uri|host|method|proto|scheme|ip|remote-addr|forwarded-.*)',
    'x-rewrite-(?:url|uri|path)',
    'x-forwarded-(?:prefix|uri|path|context|url|request-uri)',
    'x-middleware-(?:subrequest.*|rewrite|redirect|next|override-headers|request-.*)',
    'x-(?:http-)?(?:path|url)-override|x-override-(?:url|path)',
    'x-(?:script-name|request-uri|base-url|waws-unencoded-url|replaced-path|proxy-url|http-destinationurl|sendfile-type|accel-mapping)',
    'script-name|request-uri|base-url',
    // Method.
    'x-(?:http-)?method(?:-override)?|http-method-override|x-forwarded-method',
    // Host and scheme.
    'x-(?:host|http-host-override|backend-host|proxy-host|url-scheme|scheme|arr-ssl)|front-end-https',
    'x-forwarded-(?:server|scheme|protocol|ssl)|forwarded-(?:host|proto)',
    // Address of the client.
    '(?:x-)?(?:client|cluster-client|remote|originating|proxyuser|azure-client|azure-socket|appengine-user|true-client)-?ip',
    '(?:cf-connecting|fastly-client|proxy-client|wl-proxy-client|http-client|do-connecting|fly-client|ali-cdn-real)-ip|cf-(?:connecting-ipv6|pseudo-ipv4)',
    'x-(?:cluster-)?client-(?:addr|address|port|host)|(?:x-)?remote-(?:addr|address|host|port)',
    'x-forwarded|forwarded-for(?:-ip)?|x-forwarded-(?:by|client-ip|for-.*|remote-.*)|x-forwarder-for|x-coming-from|x-envoy-.*',
    // A variable of CGI that the libraries of programs take for their proxy (httpoxy, CVE-2016-5385).
    'proxy',
  ].join('|')})$`,
)

/** Fields that say who the user is, by password, login or certificate, as proxies tell it to origins that ask for nothing more. */
const IDENTITY = new RegExp(
  `^(?:${[
    // What is left of it, such as X-Forwarded-User, -Email, -Groups, -Client-Cert, -Tls-Client-Cert.
    'x-forwarded-',
    'x-auth-(?:request-|username$)',
    '(?:x-)?(?:remote|webauth|ssl|tls-client|shib)-',
    'x-authenticated-',
    'x-proxy-(?:remote-)?(?:user|group|role|email|name)',
    '(?:x-)?client-(?:cert|dn$|verif|s-dn|i-dn|subject|issuer)|x-arr-clientcert',
    'tailscale-|cf-access-|oidc-|x-iisnode-',
    'x-(?:authentik|authelia|vouch|pomerium|goog-authenticated-user|goog-iap|amzn-oidc|ms-token|credential|consumer|oidc)-',
    'x-ms-client-principal|x-anonymous-consumer|x-userinfo',
  ].join('|')})`,
)

/** Names that nearly every request has: none of the above, and so not tried against each expression. */
const COMMON: ReadonlySet<string> = new Set([
  ...[
    'accept',
    'accept-encoding',
    'accept-language',
    'authorization',
    'cache-control',
    'content-encoding',
    'content-type',
    'cookie',
    'dnt',
  ],
  ...['if-match', 'if-modified-since', 'if-none-match', 'origin', 'pragma', 'priority', 'range', 'referer', 'upgrade-insecure-requests'],
  ...[
    'user-agent',
    'sec-ch-ua',
    'sec-ch-ua-mobile',
    'sec-ch-ua-platform',
    'sec-fetch-dest',
    'sec-fetch-mode',
    'sec-fetch-site',
    'sec-fetch-user',
  ],
])

/** Names that an operator has given: fields that a proxy in --trust-proxy may send, and nobody else. */
export interface TrustFields {
  /** In lower case, as they were written: a twin with `_` is another name. */
  readonly spelled: ReadonlySet<string>
  readonly canonical: ReadonlySet<string>
}

const NONE: readonly TrustFields[] = []

/** Those that are there. */
export const trustFieldsOf = (...each: readonly (TrustFields | undefined)[]): readonly TrustFields[] =>
  each.every(one => one === undefined) ? NONE : each.filter(one => one !== undefined)

/** Whose origins get fields that are named: all, those of the service too, which believe the word of the gateway, or one of the targets file. */
export type TrustFieldsOf = 'layer' | 'target'

/** @returns undefined for none. @throws GatewayError CONFIG_INVALID, with what is wrong with a name */
export function compileTrustFields(names: readonly string[], of: TrustFieldsOf): TrustFields | undefined {
  if (names.length === 0) return undefined
  for (const name of names) checkTrustField(name, of)
  return Object.freeze({ spelled: new Set(names.map(name => name.toLowerCase())), canonical: new Set(names.map(canonicalName)) })
}

/** @throws GatewayError CONFIG_INVALID when a field of that name cannot be believed */
export function checkTrustField(name: string, of: TrustFieldsOf): void {
  const invalid = (message: string): never => {
    throw new GatewayError('CONFIG_INVALID', message)
  }
  try {
    validateHeaderName(name)
  } catch {
    invalid(`expected the name of a header field such as X-Remote-User, got ${JSON.stringify(name.slice(0, 80))}`)
  }
  const canonical = canonicalName(name)
  if (HOP_BY_HOP.has(canonical)) invalid(`expected another field: ${name} concerns one connection only`)
  const isSaidOfVisitors = VISITOR_FIELD.test(canonical)
  if (FROM_HEAD.has(canonical) || (OURS.test(canonical) && !isSaidOfVisitors))
    invalid(`expected another field: the gateway sets ${name} itself`)
  if (isSaidOfVisitors && of === 'layer') invalid(`expected another field: ${name} is named by each target that wants it, as trustFields`)
  if (OVERRIDES.test(canonical)) invalid(`expected another field: ${name} overrides what the policy has judged, and is taken from nobody`)
}

/**
 * Does a field of a request go on to the origin?
 * @param name           in lower case
 * @param isTrustedPeer  it comes from a proxy in --trust-proxy
 * @param named          by the layer and by the target
 */
export function isForwarded(name: string, isTrustedPeer: boolean, named: readonly TrustFields[] = NONE): boolean {
  if (COMMON.has(name) && named.length === 0) return true
  const canonical = PLAIN.test(name) ? name : name.replace(/[^a-z0-9]/g, '-')
  if (HOP_BY_HOP.has(canonical) || FROM_HEAD.has(canonical) || OVERRIDES.test(canonical)) return false
  for (const each of named) if (each.canonical.has(canonical)) return isTrustedPeer && each.spelled.has(name)
  return !OURS.test(canonical) && !IDENTITY.test(canonical)
}
