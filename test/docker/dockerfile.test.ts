/**
 * There is no Docker daemon where tests run. So the steps of the Dockerfile are run without one: each stage is a folder, COPY copies,
 * RUN runs with this machine's node, absolute paths lead into the folder of the stage. What `npm ci` and the compiler have made of the very
 * same files in this checkout is taken from there: both would take half a minute.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { freePort } from '../support/ports.ts'
import { ROOT, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'

interface Instruction {
  readonly name: string
  readonly args: string
}

/**
 * `npm ci` gives the packages of this checkout, where it got the same manifests; the compiler starts from what it knows of this checkout, and
 * still reads each file and option that it is given. Everything else is npm itself.
 */
const NPM = `#!/bin/sh
set -e
case "$1" in
  ci)
    for file in package.json package-lock.json .npmrc; do cmp "$file" "${ROOT}/$file"; done
    cp -al "${ROOT}/node_modules" . 2>/dev/null || { rm -rf node_modules; cp -a "${ROOT}/node_modules" .; }
    # npm writes this one; the link would lead into the checkout.
    cp --remove-destination "${ROOT}/node_modules/.package-lock.json" node_modules/.package-lock.json
    exit ;;
  run) cp -a "${ROOT}/dist" . ;;
esac
exec "$NPM" "$@"
`

/** The program of this name on the search path. */
const programOf = (name: string): string => execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()

/** The instructions of a Dockerfile, one per (joined) line. */
const parse = (text: string): Instruction[] =>
  text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => {
      const match = /^([A-Z]+)\s+(.*)$/.exec(line.trim())
      if (match === null) throw new Error(`not an instruction: ${line}`)
      return { name: match[1]!, args: match[2]! }
    })

/** One stage: its file system is `root`. */
class Stage {
  readonly root = tempDir()
  readonly image: string
  workdir = '/'
  user = 'root'
  env: Record<string, string> = {}
  entrypoint: string[] = []
  healthcheck: string[] = []
  ports: number[] = []

  constructor(from: string) {
    this.image = from.split(' ')[0]!
    // There is no user `node` here; that the file system is given to it is all that is left out.
    this.write('/shim/chown', '#!/bin/sh\nexit 0\n')
    this.write('/shim/npm', NPM)
    mkdirSync(this.path('/usr/local/bin'), { recursive: true })
  }

  path(inside: string): string {
    return join(this.root, inside.startsWith('/') ? inside : join(this.workdir, inside))
  }

  /** Text with each absolute path of the stage led into its folder. */
  lead(text: string): string {
    return text.replace(/(^|\s)\/(?=(app|data|usr\/local)\b)/g, `$1${this.root}/`)
  }

  start(file: string, args: readonly string[], extra: Readonly<Record<string, string>> = {}): RunningProcess {
    const PATH = [this.path('/shim'), this.path('/usr/local/bin'), process.env['PATH']].join(delimiter)
    return startProcess(args, { program: file, cwd: this.path(this.workdir), env: { ...this.env, PATH, NPM: programOf('npm'), ...extra } })
  }

  private write(inside: string, text: string): void {
    const path = this.path(inside)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
    chmodSync(path, 0o755)
  }
}

const build = async (instructions: readonly Instruction[]): Promise<Stage[]> => {
  const stages: Stage[] = []
  const named = new Map<string, Stage>()
  for (const { name, args } of instructions) {
    const stage = stages.at(-1)!
    switch (name) {
      case 'FROM': {
        const next = new Stage(args)
        stages.push(next)
        const alias = / AS (\S+)$/i.exec(args)
        if (alias !== null) named.set(alias[1]!, next)
        break
      }
      case 'WORKDIR':
        stage.workdir = args
        mkdirSync(stage.path(args), { recursive: true })
        break
      case 'COPY': {
        const words = args.split(/\s+/)
        const from = words[0]!.startsWith('--from=') ? named.get(words.shift()!.slice('--from='.length))! : undefined
        const target = words.pop()!
        for (const word of words) {
          const source = from === undefined ? join(ROOT, word) : from.path(word)
          const isFolder = target.endsWith('/')
          const copy = isFolder ? join(stage.path(target), basename(word)) : stage.path(target)
          // Between stages, links are as good as copies, and there are ten thousand files.
          if (from === undefined) cpSync(source, copy, { recursive: true })
          else execFileSync('cp', ['-al', source, copy])
        }
        break
      }
      case 'RUN': {
        if (/\bapt(-get)?\b/.test(args)) break // the system is this machine's
        const running = stage.start('/bin/sh', ['-c', stage.lead(args)])
        const { code } = await running.exit
        if (code !== 0) throw new Error(`RUN ${args} ended with ${code}:\n${running.output}`)
        break
      }
      case 'ENV': {
        const [key, value] = args.split('=')
        stage.env[key!] = value!
        break
      }
      case 'USER':
        stage.user = args
        break
      case 'EXPOSE':
        stage.ports = args.split(' ').map(Number)
        break
      case 'HEALTHCHECK':
        stage.healthcheck = JSON.parse(args.slice(args.indexOf('['))) as string[]
        break
      case 'ENTRYPOINT':
        stage.entrypoint = JSON.parse(args) as string[]
        break
      case 'CMD':
        break
      default:
        throw new Error(`the test does not know ${name}`)
    }
  }
  return stages
}

const TLS = ['--socket-tls-certificate', 'server.crt', '--socket-tls-key', 'server.key']

describe('the image', () => {
  const instructions = parse(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))
  let image: Stage
  beforeAll(async () => {
    image = (await build(instructions)).at(-1)!
  })

  const run = (...args: string[]): RunningProcess => image.start(image.path(join('/usr/local/bin', image.entrypoint[0]!)), args)
  const check = (pid: number, env?: Record<string, string>): RunningProcess =>
    image.start(process.execPath, [...image.healthcheck.slice(1).map(word => image.lead(word)), String(pid)], env)

  test('is built in two stages from the slim image of a pinned major', () => {
    const images = instructions.filter(({ name }) => name === 'FROM').map(({ args }) => args.split(' ')[0])
    expect(images).toHaveLength(2)
    for (const name of images) expect(name).toMatch(/^node:\d+-slim$/)
  })

  test('runs as a user without rights, from its entry point', async () => {
    expect(image.user).toBe('node')
    expect(image.ports).toEqual([3000, 3001])
    const running = run('--version')
    expect(await running.exit).toEqual({ code: 0, signal: null })
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(running.stdout.trim()).toBe(version)
  })

  test('holds what the program needs and nothing that only development needs', () => {
    const packages = readdirSync(image.path('/app/node_modules'))
    expect(packages).toEqual(expect.arrayContaining(['socket.io', 'express', 'yargs']))
    expect(packages.filter(name => ['jest', 'typescript', 'eslint', 'tsx', 'undici'].includes(name))).toEqual([])
    expect(existsSync(image.path('/app/src'))).toBe(false)
    expect(statSync(image.path('/app/dist/main.cjs')).mode & 0o111).not.toBe(0)
  })

  // Both pairs are what the commands of the documentation mint, but for the type of the first: RSA takes seconds.
  const mint = async (): Promise<void> => {
    for (const args of [
      ['--type', 'ec'],
      ['--self-signed', 'localhost'],
    ])
      expect(await run('certificates', '--force', ...args).exit).toEqual({ code: 0, signal: null })
  }
  let minted: Promise<void> | undefined

  test.each([
    ['without TLS', []],
    ['with TLS at its socket port', TLS],
    ['that asks for client certificates there', [...TLS, '--socket-client-ca', 'innerLayer.crt']],
  ])('is healthy as an outer layer %s when that answers', async (_what, more) => {
    await (minted ??= mint())
    writeFileSync(image.path('targets.yaml'), 'targets: { "*": { hostname: 127.0.0.1, protocol: http, port: 9 } }\n')
    // The check reads the port from the command line of the process, so it has to be known before.
    const [port, files] = [await freePort(), ['--public-key', 'innerLayer.crt', '--targets', 'targets.yaml']]
    const outer = run('outer-layer', ...files, '--app-port', '0', '--admin-port', '0', '--socket-port', String(port), ...more)
    await outer.waitForLine(new RegExp(String(port)))
    expect(await check(outer.pid).exit).toMatchObject({ code: 0 })
    expect((await outer.stop()).code).toBe(0)
  })

  test('asks where --config says, relative to the folder of that process', async () => {
    const port = await freePort()
    const answering = `require('http').createServer((q, r) => r.end()).listen(${port}, '127.0.0.2', () => console.log('open'))`
    writeFileSync(image.path('outer.yaml'), `socket-host: 127.0.0.2\nsocket-port: ${port}\n`)
    for (const words of [
      ['outer-layer', '--config', 'outer.yaml'],
      ['server', '--config=outer.yaml'],
      ['outer-layer', '--socket-host', '127.0.0.2', `--socket-port=${port}`],
    ]) {
      const outer = image.start(process.execPath, ['--eval', answering, '--', ...words])
      await outer.waitForLine(/open/)
      expect(await check(outer.pid).exit).toMatchObject({ code: 0 })
      await outer.stop('SIGKILL')
    }
    const absent = image.start(process.execPath, ['--eval', 'setInterval(() => {}, 1000)', '--', 'outer-layer', '--config', 'outer.yaml'])
    expect(await check(absent.pid).exit).toMatchObject({ code: 1 })
  })

  test('is not healthy as an outer layer that does not answer, and is healthy as anything else that runs', async () => {
    const idle = (command: string): RunningProcess => image.start(process.execPath, ['--eval', 'setInterval(() => {}, 1000)', command])
    const outer = idle('outer-layer')
    expect(await check(outer.pid, { SG_SOCKET_PORT: '1' }).exit).toMatchObject({ code: 1 })
    expect(await check(idle('inner-layer').pid).exit).toMatchObject({ code: 0 })
  })
})
