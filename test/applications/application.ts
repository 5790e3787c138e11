/** An application as its users run it, and what its own client says of it: the same directly and through the gateway. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startStore, mintServer, writePair } from '../support/certificates.ts'
import { startLayers } from '../support/layers.ts'
import { tempDir } from '../support/temp.ts'
import { DEADLINE_MS } from '../support/wait.ts'

/** Where a client finds the application. */
export interface Place {
  /** Without a path: `http://127.0.0.1:PORT` or `https://localhost:PORT`. */
  readonly url: string
  /** A file with the authority of its certificate. */
  readonly ca: string
}

export interface Application {
  readonly name: string
  /** Programs on the PATH, or by their full path. */
  readonly programs: readonly string[]
  /** Keys of its target beside its origin, such as `preserveHost: true`. */
  readonly keys?: string
  /** Does its client believe no authority of ours? Then the edge has no TLS. */
  readonly isPlain?: boolean
  /** Starts it; resolves with its port when it serves. */
  start(): Promise<number>
  /** What its client has to say, without anything that differs each time. */
  use(place: Place): Promise<readonly string[]>
}

/** What a client said, directly and through. */
export interface Comparison {
  readonly direct: readonly string[]
  readonly through: readonly string[]
}

/** Starts the application, and a gateway in front of it. */
export const compare = async ({ keys, isPlain = false, start, use }: Application): Promise<Comparison> => {
  const port = await start()
  const pair = writePair(await mintServer(['localhost']))
  const host = isPlain ? '127.0.0.1' : 'localhost'
  const layers = await startLayers({
    outer: isPlain ? {} : { appCertificates: await startStore([pair]) },
    targets: `targets: { ${host}: { protocol: http, hostname: 127.0.0.1, port: ${port}${keys === undefined ? '' : `, ${keys}`} } }`,
    logLevel: 'info',
  })
  const ca = pair.certificate
  const direct = await use({ url: `http://127.0.0.1:${port}`, ca })
  const through = await use({ url: `${isPlain ? 'http' : 'https'}://${host}:${layers.port}`, ca })
  await layers.close()
  return { direct, through }
}

/** Runs a program to its end. @returns what it wrote on standard output. @throws Error with both outputs when it fails */
export const run = (
  program: string,
  args: readonly string[],
  { env = {}, cwd }: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, cwd, timeout: 5 * DEADLINE_MS, maxBuffer: 1 << 24, encoding: 'utf8' as const }
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stdout}${stderr}`))
    })
  })

/** A file of this content in a folder of its own. */
export const file = (name: string, content: string | Buffer): string => {
  const path = join(tempDir(), name)
  writeFileSync(path, content)
  return path
}
