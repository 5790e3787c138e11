import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { stateFileOf } from '../../config/visitors/state-file.ts'
import { readKeyFile, readVisitorsPlaces } from '../../config/visitors/visitors-file.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { hasName } from '../../route/certificate-visitor.ts'
import { peerCertificateOf } from '../../tls/client-certificate.ts'
import { Seal } from '../../visitors/session/seal.ts'
import { openShare, readShares, whyNotFor } from '../../visitors/shares/share.ts'
import { ShareUses } from '../../visitors/shares/share-uses.ts'
import { readIfAny } from '../../files/change-file.ts'
import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import { emailKey, isPublic, type Access, type LoginRule } from '../../route/access.ts'
import { Failures } from '../../visitors/failures.ts'
import { JwtLane } from '../../visitors/jwt/jwt-lane.ts'
import type { Verdict } from '../../visitors/lane.ts'
import { whyNot } from '../../visitors/session/login-rule.ts'
import { SessionWatch } from '../../visitors/session/session-watch.ts'
import { isServiceToken, readServiceTokens } from '../../visitors/tokens/service-token.ts'
import { TokenLane } from '../../visitors/tokens/token-lane.ts'

/** Somebody who would come, and where to. */
export interface ExplainedVisitor {
  /** Address of a person who has logged in. */
  readonly email: string | undefined
  readonly token: string | undefined
  /** File with the certificate of a client. */
  readonly certificate: string | undefined
  /** File of logins, beside which tokens are. */
  readonly visitors: string
  /** Of the target or route. */
  readonly target: string
  readonly access: Access
  readonly method: string
  readonly host: string
  /** That the policy sees. */
  readonly path: string
  /** With a share link, perhaps. */
  readonly query: string
}

/** The lane that decides, in words, and whether it lets in: the first that finds its credential, as at the gateway. @throws GatewayError CONFIG_INVALID for a file of tokens that is none */
export async function explainVisitor(wanted: ExplainedVisitor): Promise<{ readonly text: string; readonly isAdmitted: boolean }> {
  const { access, email, path } = wanted
  const verdicts = [await judgeToken(wanted), await judgeShare(wanted), await judgeCertificate(wanted)].filter(each => each !== undefined)
  const first = verdicts.find(({ isUndecided }) => isUndecided !== true) ?? verdicts[0]
  if (first?.isAdmitted === true) return first
  if (isPublic(access, path)) return { text: 'public: the path is for all', isAdmitted: true }
  if (first !== undefined) return first
  if (email !== undefined && access.login !== undefined) return judgePerson(access, email)
  return { text: 'none: refused, there is no credential of a lane that the target has (VISITOR_REQUIRED)', isAdmitted: false }
}

/** A verdict in words. */
interface Judged {
  readonly text: string
  readonly isAdmitted: boolean
  /** The credential needs a login that is not there: the next lane is asked. */
  readonly isUndecided?: true
}

const inWords = (name: string, verdict: Verdict): Judged =>
  verdict.kind === 'refuse'
    ? { text: `${name}: refused, ${verdict.reason} (${verdict.code})`, isAdmitted: false }
    : { text: `${name}: let in`, isAdmitted: true }

async function judgeToken({ access, visitors, target, method, host, path, token }: ExplainedVisitor): Promise<Judged | undefined> {
  if (token === undefined) return undefined
  const parts = {
    watch: new SessionWatch(() => undefined),
    failures: new Failures(() => 0),
    clock: Date.now,
    steady: () => performance.now(),
  }
  const tokens = new TokenLane(parts)
  if (access.tokens && isServiceToken(token)) tokens.set(readServiceTokens(await readIfAny(stateFileOf(visitors, 'tokens'))))
  const request = {
    request: { method, fields: ['X-SG-Token', token], names: ['x-sg-token'] },
    client: { address: '-' },
    ...{ access, target, host, path },
  } as unknown as AccessRequestOfVisitor
  for (const lane of [tokens, new JwtLane(parts)]) {
    const verdict = await lane.judge(request)
    if (verdict !== undefined) return inWords(lane.name, verdict)
  }
  return undefined
}

/** Judges a link, and does not use it. */
async function judgeShare({ visitors, host, method, path, query, email }: ExplainedVisitor): Promise<Judged | undefined> {
  const [, sealed] = /[?&]sg-share=([^&]*)/.exec(query) ?? []
  if (sealed === undefined) return undefined
  const { keysFile } = await readVisitorsPlaces(visitors)
  const keys = readKeyFile(keysFile)
  const share = openShare(new Seal(() => keys), host, sealed)
  const refused = (reason: string, code: string): Judged => ({ text: `share: refused, ${reason} (${code})`, isAdmitted: false })
  if (share === undefined) return refused('the link is none of this host, or its key is gone', 'VISITOR_CREDENTIALS')
  const stored = readShares(await readIfAny(stateFileOf(visitors, 'shares'))).find(({ id }) => id === share.id)
  const used = await new ShareUses(stateFileOf(visitors, 'uses'), () => 0).count({ ...share, maxUses: share.maxUses ?? null })
  const isUsedUp = share.maxUses !== undefined && (used ?? 0) >= share.maxUses
  const over = [
    stored?.isRevoked === true && 'the link was revoked',
    Date.now() >= share.expiresMs && 'the link has expired',
    isUsedUp && `the link was used ${share.maxUses} times, as often as it may; who has opened it stays in`,
  ].find(reason => reason !== false)
  if (over !== undefined) return refused(`${over} (share ${share.id})`, 'VISITOR_SHARE_OVER')
  const forbidden = whyNotFor(share, method, path)
  if (forbidden !== undefined) return refused(`${forbidden} (share ${share.id})`, 'VISITOR_FORBIDDEN')
  if (share.email !== undefined && (email === undefined || emailKey(email) !== share.email)) {
    const other = refused(`the link is for ${share.email} alone, who has to be logged in: --as ${share.email}`, 'VISITOR_FORBIDDEN')
    return email === undefined ? { ...other, isUndecided: true } : other
  }
  const left = share.maxUses === undefined ? '' : `, ${share.maxUses - (used ?? 0)} of ${share.maxUses} uses left`
  return { text: `share: let in (share ${share.id}${left})`, isAdmitted: true }
}

/** Judges a certificate as far as its authorities are one step away: the handshake verifies whole chains, and lists of revoked ones. */
async function judgeCertificate({ access, certificate: file }: ExplainedVisitor): Promise<Judged | undefined> {
  const { certificates: rule } = access
  if (file === undefined || rule === undefined) return undefined
  const certificate = await readFile(file).then(
    pem => new X509Certificate(pem),
    (cause: unknown) => {
      throw new GatewayError('FILE_UNREADABLE', `--certificate ${file}: ${messageOf(cause)}`, { cause })
    },
  )
  const refused = (reason: string, code: string): Judged => ({ text: `certificate: refused, ${reason} (${code})`, isAdmitted: false })
  const authorities = rule.ca.split(/(?<=-----END CERTIFICATE-----)/).filter(pem => pem.includes('BEGIN'))
  const isSigned = authorities
    .map(pem => new X509Certificate(pem))
    .some(ca => certificate.checkIssued(ca) && certificate.verify(ca.publicKey))
  if (!isSigned) return refused('none of the authorities of the target has signed it', 'VISITOR_CREDENTIALS')
  const now = Date.now()
  if (now < Date.parse(certificate.validFrom) || now > Date.parse(certificate.validTo))
    return refused(`it is good from ${certificate.validFrom} to ${certificate.validTo}`, 'VISITOR_CREDENTIALS')
  if (!hasName(rule.names, peerCertificateOf(certificate)))
    return refused('no name of the certificate is one of those', 'VISITOR_FORBIDDEN')
  return { text: `certificate: let in${rule.crl === undefined ? '' : ', unless it is on the list of revoked ones'}`, isAdmitted: true }
}

/** A stand-in for all that a provider would say beside the address. */
function judgePerson({ login, ofSocket }: Access, email: string): Judged {
  const rule = login!
  const provider = rule.providers?.[0] ?? 'any provider'
  const person = { provider, subject: email, email, name: undefined, groups: [], claims: new Map<string, readonly string[]>() }
  const open: LoginRule = {
    ...rule,
    groups: new Set(),
    claims: new Map(),
    anyone: rule.anyone || rule.emails.size + rule.domains.size === 0,
  }
  const reason = whyNot(open, person)
  if (reason !== undefined) return { text: `login: refused, ${reason} (VISITOR_FORBIDDEN)`, isAdmitted: false }
  const more = rule.groups.size + rule.claims.size > 0 ? ', where the provider says the groups and claims that are demanded' : ''
  const socket = ofSocket === undefined ? '' : ', where they log in by one of the providers for sockets'
  return { text: `login: let in${more}${socket}`, isAdmitted: true }
}
