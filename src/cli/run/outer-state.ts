/** The folder in which an outer layer keeps what it has made itself: the certificate of its socket port, and keys of inner layers that were invited. */
import { X509Certificate } from 'node:crypto'
import { access, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAddress } from '../../address/guarded.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { lanAddresses, lanNames } from '../../net/machine-addresses.ts'
import { writeNewFiles } from '../command/new-files.ts'
import type { ValuesOf } from '../command/option.ts'
import type { outerLayerOptions } from '../options/layers.ts'

type OuterValues = ValuesOf<typeof outerLayerOptions>

const DEFAULT_FOLDER = 'outer-layer-state'
const OWNER_ONLY = 0o600
const FOLDER_MODE = 0o700
const VALIDITY_YEARS = 20

/** The state, and the options with what is in it. */
export interface OuterState {
  readonly options: OuterValues
  /** Takes a certificate of each inner layer that joins. */
  readonly keysFolder: string
  /** Files with the certificate of the socket port; the first one is what is pinned. */
  readonly certificateFile: string
}

/**
 * Opens the folder, and makes it where it is not there yet; undefined: no option asks for one.
 * @throws GatewayError FILE_UNREADABLE; USAGE where the certificate is not for the name that is asked for
 */
export async function openState(options: OuterValues): Promise<OuterState | undefined> {
  if (options.state === undefined && options.invite.length === 0) return undefined
  const folder = options.state ?? DEFAULT_FOLDER
  const keysFolder = join(folder, 'inner-layers')
  try {
    await mkdir(keysFolder, { recursive: true, mode: FOLDER_MODE })
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `--state ${folder}: ${messageOf(cause)}; give a folder that this account may write to`, {
      cause,
    })
  }
  const withKeys = { ...options, 'public-key': [...options['public-key'], keysFolder] }
  const [given] = options['socket-tls-certificate']
  if (given !== undefined) return { options: withKeys, keysFolder, certificateFile: given }
  const [certificateFile, keyFile] = [join(folder, 'socket.crt'), join(folder, 'socket.key')]
  const host = inviteHostOf(options)
  if (!(await exists(certificateFile))) await mint(certificateFile, keyFile, host)
  else if (host !== undefined && !isFor(await readCertificate(certificateFile), host))
    throw new GatewayError(
      'USAGE',
      `--invite-url: ${certificateFile} is not for ${host}; remove it with ${keyFile} for one that is, which inner layers that have joined do not trust: they have to join anew`,
    )
  return {
    options: { ...withKeys, 'socket-tls-certificate': [certificateFile], 'socket-tls-key': [keyFile] },
    keysFolder,
    certificateFile,
  }
}

/** The host that inner layers were told, or are to be. */
function inviteHostOf({ 'invite-url': url, 'link-name': [linkName] }: OuterValues): string | undefined {
  const host = url === undefined ? linkName?.replace(/:\d+$/, '') : new URL(url).hostname
  return host?.replace(/^\[|\]$/g, '')
}

async function mint(certificateFile: string, keyFile: string, host: string | undefined): Promise<void> {
  const names = [...new Set([...(host === undefined ? [] : [host]), ...lanAddresses(), ...lanNames(), 'localhost', '127.0.0.1', '::1'])]
  const { mintKeyPair } = await import('../../identity/certificate.ts')
  const { certificatePem, privateKeyPem } = await mintKeyPair({
    type: 'ec',
    commonName: 'socket-gateway outer layer',
    validityYears: VALIDITY_YEARS,
    purpose: 'server',
    names,
  })
  await writeNewFiles(
    [
      { path: keyFile, mode: OWNER_ONLY, text: privateKeyPem },
      { path: certificateFile, mode: OWNER_ONLY, text: certificatePem },
    ],
    false,
  )
}

/** The first certificate of a file. @throws GatewayError FILE_UNREADABLE */
export async function readCertificate(file: string): Promise<X509Certificate> {
  try {
    return new X509Certificate(await readFile(file))
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}; expected the certificate of the socket port, in one file`, {
      cause,
    })
  }
}

const isFor = (certificate: X509Certificate, host: string): boolean =>
  (parseAddress(host) === undefined ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** Names in a certificate, those that can be dialled. */
export const namesIn = ({ subjectAltName = '' }: X509Certificate): readonly string[] =>
  Array.from(subjectAltName.matchAll(/(?:DNS|IP Address):([\w.:-]+)/g), ([, name = '']) => name)
