import { readFile } from 'node:fs/promises'
import { parseVisitorsConfig } from '../../config/visitors/visitors-config.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import type { Access } from '../../route/access.ts'
import type { TargetTable } from '../../route/table.ts'

/** A target, route or tunnel whose visitors would log in by somebody who is not in the file of logins. */
export interface UnknownProvider {
  readonly line: number
  readonly text: string
}

/** The providers that the table names and the file of logins has not. @throws GatewayError FILE_UNREADABLE, CONFIG_INVALID */
export async function unknownProviders(
  { all, tunnels }: Pick<TargetTable, 'all' | 'tunnels'>,
  file: string,
): Promise<readonly UnknownProvider[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const reason = isMissing
      ? 'no such file; write one with: socket-gateway visitors init --auth https://auth.example.com'
      : messageOf(cause)
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${reason}`, { cause })
  })
  // The names alone: whoever checks a file need not be able to read its secrets.
  const { providers } = parseVisitorsConfig(text, file, {
    secret: () => '-',
    text: () => '-',
    logo: () => ({ type: '', bytes: Buffer.alloc(0) }),
  })
  const known = [...providers.keys()]
  const missing = ({ name, line, access }: { readonly name: string; readonly line: number; readonly access: Access | undefined }) =>
    (access?.login?.providers ?? [])
      .filter(provider => !providers.has(provider))
      .map(provider => ({
        line,
        text: `${name}: ${file} has no provider ${JSON.stringify(provider)}; ${known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`}`,
      }))
  return [...all.map(({ name, line, treatment }) => ({ name, line, access: treatment?.access })), ...tunnels.values()].flatMap(missing)
}
