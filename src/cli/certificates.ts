import { access, mkdtemp, open, rename, rm, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { GatewayError, messageOf } from '../errors.ts'
import { mintKeyPair } from '../identity/certificate.ts'
import { certificatesOptions } from './certificates-options.ts'
import type { ExitStatus } from './command.ts'
import type { CliContext } from './context.ts'
import type { ValuesOf } from './option.ts'

/** What the quick start begins with. */
const EXAMPLE_TARGETS = '{"targets":{"localhost":{"protocol":"http","hostname":"127.0.0.1","port":8080}}}'

const KEY_MODE = 0o600
const CERTIFICATE_MODE = 0o644

interface NewFile {
  readonly path: string
  readonly mode: number
  readonly text: string
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const isCode = (thrown: unknown, code: string): boolean => thrown instanceof Object && 'code' in thrown && thrown.code === code

const taken = (existing: string, files: readonly string[]): GatewayError =>
  new GatewayError('FILE_EXISTS', `${existing} exists, so neither ${files.join(' nor ')} was written; choose other paths, or pass --force`)

/** `text` as one word of a shell. */
const word = (text: string): string => (/^[\w./@%+:,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`)

/** Creates one file with its mode from the first moment on; fails where anything, also a dangling link, has its name. */
async function create({ path, mode, text }: NewFile): Promise<void> {
  const handle = await open(path, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } catch (error) {
    await unlink(path)
    throw error
  } finally {
    await handle.close()
  }
}

/** Creates all of the files or none. */
async function createAll(files: readonly NewFile[]): Promise<void> {
  const created: string[] = []
  for (const file of files) {
    try {
      await create(file)
      created.push(file.path)
    } catch (cause) {
      await Promise.all(created.map(path => unlink(path)))
      if (isCode(cause, 'EEXIST'))
        throw taken(
          file.path,
          files.map(({ path }) => path),
        )
      throw new GatewayError(
        'FILE_UNREADABLE',
        `${file.path}: ${messageOf(cause)}; neither ${files.map(({ path }) => path).join(' nor ')} was written`,
        { cause },
      )
    }
  }
}

/** Writes each file in a directory beside its place, then moves all of them there: old files stay whole until new ones are. */
async function replaceAll(files: readonly NewFile[]): Promise<void> {
  const directories: string[] = []
  try {
    const staged: NewFile[] = []
    for (const file of files) {
      const directory = await mkdtemp(join(dirname(file.path), '.socket-gateway-'))
      directories.push(directory)
      staged.push({ ...file, path: join(directory, basename(file.path)) })
    }
    await createAll(staged)
    for (const [index, file] of files.entries()) await rename(staged[index]?.path ?? '', file.path)
  } catch (cause) {
    const paths = files.map(({ path }) => path).join(' and ')
    throw cause instanceof GatewayError ? cause : new GatewayError('FILE_UNREADABLE', `${paths}: ${messageOf(cause)}`, { cause })
  } finally {
    await Promise.all(directories.map(directory => rm(directory, { recursive: true, force: true })))
  }
}

/**
 * Mints a key pair and writes its two files: both or none, and never over existing ones unless `force` says so.
 * @throws GatewayError FILE_EXISTS, FILE_UNREADABLE, USAGE
 */
export async function runCertificates(options: ValuesOf<typeof certificatesOptions>, context: CliContext): Promise<ExitStatus> {
  const [keyPath, certificatePath] = [options['private-key'], options.certificate]
  const paths = [keyPath, certificatePath]
  if (resolve(keyPath) === resolve(certificatePath))
    throw new GatewayError('USAGE', `--private-key and --certificate are both ${keyPath}; expected two files`)
  if (!options.force) for (const path of paths) if (await exists(path)) throw taken(path, paths)
  const pair = await mintKeyPair({ type: options.type, commonName: options['common-name'], validityYears: options.validity })
  const files = [
    { path: keyPath, mode: KEY_MODE, text: pair.privateKeyPem },
    { path: certificatePath, mode: CERTIFICATE_MODE, text: pair.certificatePem },
  ]
  await (options.force ? replaceAll(files) : createAll(files))
  const kind = options.type === 'rsa' ? 'RSA 4096' : 'EC P-256'
  const name = options['common-name']
  const identity = name === certificatesOptions['common-name'].fallback ? '' : ` --identifier ${word(name)}`
  const until = pair.notAfter.toISOString().slice(0, 10)
  context.stdout.write(
    [
      `wrote ${keyPath}: private key (${kind}), readable by you only; it stays with the inner layer`,
      `wrote ${certificatePath}: certificate of "${name}", valid until ${until}; give it to the outer layer`,
      `thumbprint of the key: ${pair.thumbprint}`,
      `next: write targets.yaml, which host leads where, such as: echo '${EXAMPLE_TARGETS}' > targets.yaml`,
      `then: socket-gateway outer-layer --public-key ${word(certificatePath)} --targets targets.yaml`,
      `then: socket-gateway inner-layer --private-key ${word(keyPath)} --outer-layer ws://localhost:3001${identity}`,
      '',
    ].join('\n'),
  )
  return 0
}
