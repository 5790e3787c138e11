import { generateKeyPairSync } from 'node:crypto'
import { ServiceClient } from '../../client/service-client.ts'
import { parseServerUrl } from '../../client/server-url.ts'
import { GatewayError } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { thumbprintOf } from '../../identity/key.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { refuseExisting, writeNewFiles } from '../command/new-files.ts'
import { certificateFile, readOptionFile } from '../command/option-file.ts'
import type { ValuesOf } from '../command/option.ts'
import type { joinOptions } from '../options/client.ts'
import { answer } from './answer.ts'
import { keyOf } from './fresh-key.ts'

const CA_FILE = certificateFile('--ca', 'of the authorities to trust')
const OWNER_ONLY = 0o600
const EVERYBODY = 0o644

const EXPECTED = 'expected URL#TOKEN, as "socket-gateway admin join-token" prints it'

/** The API and the token of `https://api.example.com#sgj_…`. Says nothing of what was given, which may be the token. */
function placeOf(text: string): { readonly server: URL; readonly token: string } {
  const [url = '', token = '', ...rest] = text.split('#')
  if (token === '' || rest.length > 0 || !/^[\w-]{1,200}$/.test(token)) throw new GatewayError('USAGE', EXPECTED)
  return { server: parseServerUrl(url), token }
}

/**
 * `inner-layer join`: makes a key, has it registered by a token that counts once, and writes the options with which the inner layer runs.
 * @throws GatewayError FILE_EXISTS before the token is used
 */
export async function runJoin(place: string, values: ValuesOf<typeof joinOptions>, context: CliContext): Promise<ExitStatus> {
  const { server, token } = placeOf(place)
  const { 'private-key': keyFile, output, force } = values
  if (keyFile === output) throw new GatewayError('USAGE', `--private-key and --output are both ${output}; expected two files`)
  if (!force) await refuseExisting([keyFile, output])
  const ca = values.ca === undefined ? undefined : await readOptionFile(values.ca, CA_FILE, file => readCertificates(file))
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const { jwk } = keyOf({ key, kid: thumbprintOf(publicKey), algorithm: 'ES256' })
  const client = new ServiceClient({ server, env: context.env, ...(ca !== undefined && { ca }) })
  const { kid, identifiers, linkUrls } = await client.join(token, jwk)
  const identifier = values.identifier ?? identifiers[0]
  if (identifier === undefined || !identifiers.includes(identifier))
    context.stderr.write(
      `socket-gateway: warning: the key may not call itself ${JSON.stringify(identifier ?? '')}, only ${identifiers.join(', ')}; correct it in ${output}\n`,
    )
  // JSON is YAML, so nothing that came from elsewhere can be read as something else.
  const lines: Record<string, unknown> = {
    'private-key': keyFile,
    'outer-layer': linkUrls,
    identifier,
    ...(values.ca !== undefined && { 'outer-layer-ca': values.ca }),
  }
  await writeNewFiles(
    [
      { path: keyFile, mode: OWNER_ONLY, text: key.export({ type: 'pkcs8', format: 'pem' }) as string },
      {
        path: output,
        mode: EVERYBODY,
        text: `# for: socket-gateway inner-layer --config ${output}\n${Object.entries(lines)
          .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
          .join('')}`,
      },
    ],
    force,
  )
  return answer(
    values,
    context,
    { kid, identifiers, linkUrls, privateKey: keyFile, config: output },
    () =>
      `wrote ${keyFile}: the private key, readable by you only\nwrote ${output}: its options, as ${JSON.stringify(identifier)} at ${linkUrls.join(', ')}\nkey: ${kid}\n${values.run ? 'runs' : 'next'}: socket-gateway inner-layer --config ${output}\n`,
  )
}
