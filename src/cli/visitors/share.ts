import { stateFileOf } from '../../config/visitors/state-file.ts'
import { readKeyFile, readVisitorsPlaces } from '../../config/visitors/visitors-file.ts'
import { parseHost } from '../../address/host.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { changeFile, readIfAny } from '../../files/change-file.ts'
import { canonicalPath } from '../../route/path.ts'
import { isSafe } from '../../visitors/session/session-cookie.ts'
import { Seal } from '../../visitors/session/seal.ts'
import { addShare, createShare, readShares, revokeShare, sealShare, SHARE_PARAMETER } from '../../visitors/shares/share.ts'
import { ShareUses } from '../../visitors/shares/share-uses.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { auditCommand } from './audit-file.ts'
import { formatTable } from '../command/table.ts'
import type { shareListOptions, shareOptions, shareRevokeOptions } from '../options/visitors.ts'

/** A sealed share comes back in a cookie, of which browsers keep no more than 4 KB. */
const MAX_PATH = 500

const usesOf = (visitors: string): ShareUses => new ShareUses(stateFileOf(visitors, 'uses'), () => performance.now())

/**
 * `share URL`: makes a link that lets in whoever has it.
 * @throws GatewayError USAGE for a URL that is none, CONFIG_INVALID, KEY_INVALID, FILE_UNREADABLE
 */
export async function runShare(
  address: string,
  { visitors, ttl, methods, 'max-uses': maxUses, email, insecure }: ValuesOf<typeof shareOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  const url = readUrl(address)
  if (url.protocol === 'http:' && !insecure && !isSafe('http', url.hostname.replace(/^\[|\]$/g, '')))
    throw new GatewayError(
      'USAGE',
      `${address}: not encrypted, so whoever reads the link on the way comes in with it; use https:// (a proxy may end TLS), or pass --insecure`,
    )
  const { keysFile } = await readVisitorsPlaces(visitors)
  const keys = readKeyFile(keysFile)
  const now = Date.now()
  const share = createShare({
    path: url.pathname,
    methods: [...new Set(methods.flatMap(each => each.split(',')))],
    expiresMs: now + ttl,
    maxUses,
    email,
  })
  const { host } = parseHost(url.host)
  const sealed = sealShare(new Seal(() => keys), host, share)
  await changeFile(stateFileOf(visitors, 'shares'), text => ({ text: addShare(text, host, share, now), result: undefined }))
  await usesOf(visitors).tidy(now)
  const { id, methods: own } = share
  const made = {
    id,
    page: `${host}${share.path}`,
    methods: own,
    maxUses,
    email: share.email,
    expiresAt: new Date(share.expiresMs).toISOString(),
  }
  await auditCommand(visitors, { kind: 'share-created', ...made }, context)
  const query = `${url.search === '' ? '?' : `${url.search}&`}${SHARE_PARAMETER}=${sealed}`
  const limits = [
    maxUses === undefined ? 'as often as one likes' : `${maxUses} times`,
    ...(email === undefined ? [] : [`by ${email} alone`]),
  ]
  context.stdout.write(
    [
      `${url.origin}${url.pathname}${query}`,
      `id: ${share.id}`,
      `good until ${new Date(share.expiresMs).toISOString()}, for ${share.methods.join(', ')} of ${share.path} and below, ${limits.join(', ')}`,
      '',
    ].join('\n'),
  )
  return 0
}

function readUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.hash !== '')
    throw new GatewayError('USAGE', `${address}: expected the URL of a page such as https://wiki.example.com/plan`)
  if (url.pathname.length > MAX_PATH) throw new GatewayError('USAGE', `${address}: expected a path of at most ${MAX_PATH} characters`)
  const { path, ambiguous } = canonicalPath(url.pathname, true)
  if (ambiguous !== undefined || path !== url.pathname)
    throw new GatewayError('USAGE', `${address}: expected the path as the gateway reads it, such as ${path}`)
  return url
}

/** `share ls`: prints the links that were made, without what makes them links. @throws GatewayError CONFIG_INVALID, FILE_UNREADABLE */
export async function runShareList({ visitors, json }: ValuesOf<typeof shareListOptions>, { stdout }: CliContext): Promise<ExitStatus> {
  const file = stateFileOf(visitors, 'shares')
  const text = await readIfAny(file).catch((cause: unknown) => {
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
  })
  const now = Date.now()
  const uses = usesOf(visitors)
  const shares = await Promise.all(
    readShares(text)
      .filter(({ expiresMs }) => expiresMs > now)
      .map(async share => ({ ...share, uses: await uses.count(share) })),
  )
  if (json) stdout.write(`${JSON.stringify(shares)}\n`)
  else if (shares.length === 0) stdout.write('no share links\n')
  else {
    const rows = shares.map(({ id, host, path, methods, uses: used, maxUses, email, expiresMs, isRevoked }) => [
      id,
      `${host}${path}`,
      methods.join(', '),
      maxUses === null ? 'any' : `${used ?? 0} of ${maxUses}`,
      email ?? 'anybody',
      isRevoked ? 'revoked' : new Date(expiresMs).toISOString(),
    ])
    stdout.write(formatTable([['ID', 'PAGE', 'METHODS', 'USES', 'FOR', 'UNTIL'], ...rows]))
  }
  return 0
}

/** `share revoke ID`: ends a link, with what is open by it. @throws GatewayError USAGE, CONFIG_INVALID, FILE_UNREADABLE */
export async function runShareRevoke(
  id: string,
  { visitors }: ValuesOf<typeof shareRevokeOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  await changeFile(stateFileOf(visitors, 'shares'), text => ({ text: revokeShare(text, id), result: undefined }))
  await auditCommand(visitors, { kind: 'share-revoked', id }, context)
  context.stdout.write(`revoked ${id}; it is refused within a second\n`)
  return 0
}
