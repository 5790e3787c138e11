import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { GatewayError, messageOf } from '../../errors.ts'
import { VERSION } from '../../version.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { versionUpgradeOptions } from '../options/client.ts'
import { answer } from './answer.ts'
import { anonymousClient, serverOf, type ClientValues } from './open.ts'

/** Numbers of a release, the greatest first: what is behind a dash is before what is without. */
const partsOf = (version: string): readonly number[] => {
  const [numbers = '', ...rest] = version.replace(/^v/, '').split('-')
  return [...numbers.split('.').map(Number), rest.length === 0 ? 1 : 0]
}

/** Is `other` a newer release than `mine`? */
export function isNewer(other: string, mine: string): boolean {
  const [theirs, ours] = [partsOf(other), partsOf(mine)]
  for (let i = 0; i < Math.max(theirs.length, ours.length); i++) {
    const [a = 0, b = 0] = [theirs[i], ours[i]]
    if (a !== b) return a > b
  }
  return false
}

/** `version check`: the release of the service is the one to have here. */
export async function runVersionCheck(values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const { version } = await (await anonymousClient(values, context)).version()
  const isUpToDate = !isNewer(version, VERSION)
  return answer(values, context, { version: VERSION, newest: version, isUpToDate }, () =>
    isUpToDate
      ? `You are up to date!\nYou're running version ${VERSION}\n`
      : `You're running version ${VERSION}\n\nThere is a newer version available (${version})!\nPlease upgrade:\nsocket-gateway version upgrade\n`,
  )
}

/** `version upgrade`: says how, and checks the sum of an archive that was fetched by hand. */
export async function runVersionUpgrade(values: ValuesOf<typeof versionUpgradeOptions>, context: CliContext): Promise<ExitStatus> {
  const { archive } = values
  if (archive !== undefined) return checkArchive(archive, values.sha256, values, context)
  if (values.sha256 !== undefined) throw new GatewayError('USAGE', '--sha256 is the sum of an archive: give --archive FILE too')
  if ((await serverOf(values, context)) === undefined) return newestWays(values, context)
  const { version } = await (await anonymousClient(values, context)).version()
  if (!isNewer(version, VERSION))
    return answer(values, context, { version: VERSION, newest: version }, () => 'You are up to date already :)\n')
  const ways = waysTo(version, version)
  return answer(
    values,
    context,
    { version: VERSION, newest: version, ways },
    () =>
      `Version ${version} is there, this is ${VERSION}.\nwith npm, which checks the sum: ${ways.npm}\nwith Docker: ${ways.docker}\nwith an archive that you have fetched: ${ways.archive}\n`,
  )
}

/** The ways to a release. @param tag  by which it is called there @param number  of it, or what stands for it */
const waysTo = (tag: string, number: string): Readonly<Record<'npm' | 'docker' | 'archive', string>> => ({
  npm: `npm install --global socket-gateway@${tag}`,
  docker: `docker pull socket-gateway:${tag}`,
  archive: `socket-gateway version upgrade --archive socket-gateway-${number}.tgz --sha256 SUM`,
})

/** Without a service, which would say what release it has. */
async function newestWays(values: ClientValues, context: CliContext): Promise<ExitStatus> {
  const ways = waysTo('latest', 'VERSION')
  return answer(
    values,
    context,
    { version: VERSION, newest: null, ways },
    () =>
      `This is ${VERSION}. No service is known here that would say which release it has: there was no login, and no --server is given.\nto the newest release with npm, which checks the sum: ${ways.npm}\nwith Docker: ${ways.docker}\nwith an archive that you have fetched: ${ways.archive}\n`,
  )
}

async function checkArchive(
  archive: string,
  sum: string | undefined,
  values: { readonly json: boolean },
  context: CliContext,
): Promise<ExitStatus> {
  if (sum === undefined) throw new GatewayError('USAGE', '--archive needs --sha256: the sum that the release was published with')
  if (!/^[0-9a-f]{64}$/i.test(sum)) throw new GatewayError('USAGE', '--sha256 has to have 64 hexadecimal digits')
  const bytes = await readFile(archive).catch((cause: unknown) => {
    throw new GatewayError('FILE_UNREADABLE', `--archive ${archive}: ${messageOf(cause)}`, { cause })
  })
  const found = createHash('sha256').update(bytes).digest('hex')
  if (found !== sum.toLowerCase())
    throw new GatewayError('INVALID', `${archive} is not what was published: its SHA-256 is ${found}; delete it, and fetch it again`)
  return answer(values, context, { archive, sha256: found }, () => `The sum is right.\nnext: npm install --global '${resolve(archive)}'\n`)
}
