/** A real server behind the gateway, which says what a request meant: by what it answers, and by its own log. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { onCleanUp } from '../support/cleanup.ts'
import { programPath } from '../support/needs.ts'
import { startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

/** What is in every file below `/secret`, and in no other. */
export const SECRET_TEXT = 'this is the protected place'

/** One request as the origin has logged it. */
export interface Executed {
  /** The field `X-Variant` of the request; `-` or nothing when it had none. */
  readonly id: string
  readonly status: number
  /** METHOD TARGET HTTP/1.1. */
  readonly line: string
}

export interface Judge {
  readonly name: string
  readonly port: number
  /** Answers `POST /echo` with `LENGTH` of the body that it has read. */
  readonly echoes: boolean
  /** Everything executed so far. */
  executed(): readonly Executed[]
}

const FILES: Readonly<Record<string, string>> = {
  'index.html': 'root',
  'pub/index.html': 'public',
  'pub/a.txt': 'public',
  'pub/deep/b.txt': 'public',
  'secret/index.html': SECRET_TEXT,
  'secret/data.txt': SECRET_TEXT,
  'secret/deep/x.txt': SECRET_TEXT,
}

/** A folder with `/pub` and `/secret`, readable by everybody. */
export const siteFolder = (): string => {
  const root = join(tempDir(), 'site')
  chmodSync(dirname(root), 0o755)
  for (const [name, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), `${text}\n`)
  }
  return root
}

/** `ID STATUS METHOD TARGET VERSION`, as all of them are told to log. */
export const parseLines = (text: string): Executed[] =>
  text.split('\n').flatMap(line => {
    const match = /^(\S*) (\d{3}) "?(.*?)"?$/.exec(line)
    return match === null ? [] : [{ id: match[1]!, status: Number(match[2]), line: match[3]! }]
  })

export interface ServerOptions {
  readonly name: string
  readonly port: number
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Its log; standard output when there is none. */
  readonly log?: string
  readonly echoes?: boolean
}

/** Starts a server; it is ended after the test file. Resolves when it takes connections. */
export const startServer = async ({ name, port, program, args, env = {}, log, echoes = false }: ServerOptions): Promise<Judge> => {
  if (log !== undefined) writeFileSync(log, '')
  const server = startProcess(args, { program: programPath(program)!, env })
  onCleanUp(() => server.stop())
  await until(
    async () => {
      if (server.exited !== undefined) throw new Error(`${name} ended:\n${server.output}`)
      return canConnect(port)
    },
    { what: `${name} on port ${port}` },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${server.output}`, { cause: error })
  })
  return { name, port, echoes, executed: linesOf(() => (log === undefined ? server.stdout : readFileSync(log, 'latin1'))) }
}

/** Reads what has been added to a log since the last look; the last line may still be without its end. */
const linesOf = (read: () => string): (() => readonly Executed[]) => {
  const lines: Executed[] = []
  let taken = 0
  return () => {
    const text = read()
    const end = text.lastIndexOf('\n') + 1
    if (end > taken) lines.push(...parseLines(text.slice(taken, end)))
    taken = end
    return lines
  }
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

/**
 * Leaves out what was executed again: a server that hangs up before its answer has been read is asked once more, where the method may be repeated
 * (RFC 9110 §9.2.2), and there is one access line for both. Each request has an id of its own.
 */
export const withoutRepeats = (executed: readonly Executed[]): Executed[] => {
  const known = new Set<string>()
  return executed.filter(({ id, line }) => {
    if (id === '' || id === '-' || line.startsWith('POST ')) return true
    const key = `${id} ${line}`
    return !known.has(key) && known.add(key)
  })
}
