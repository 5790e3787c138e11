import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TargetsFile } from '../../config/watch.ts'
import { GatewayError } from '../../errors.ts'
import { mintKeyPair } from '../../identity/certificate.ts'
import { readPrivateKey } from '../../identity/private-key.ts'
import { KeyFiles } from '../../identity/public-keys.ts'
import { AllowList } from '../../origin/allow-list.ts'
import { createInnerLayer, type InnerLayer } from '../../inner/inner-layer.ts'
import { createOuterLayer, type OuterLayer } from '../../outer/outer-layer.ts'
import { admit } from '../../route/admit.ts'
import { createLog, type Log } from '../../telemetry/log.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { createDemoApi, type SeenRequest } from './demo-api.ts'

const UPLOAD_BYTES = 5 * 1_048_576
const CONNECT_MS = 10_000

/** Options of `demo` on the command line. */
export interface DemoOptions {
  readonly once: boolean
  readonly 'app-port': number
  readonly 'socket-port': number
}

/** Everything that runs in the demo. */
interface Stage {
  readonly base: string
  readonly origin: string
  readonly targets: TargetsFile
  readonly seen: SeenRequest[]
  readonly say: (line?: string) => void
}

/** `demo`: a sample API, both layers with fresh keys and a targets file, and some requests through them, each hop explained. */
export async function runDemo(context: CliContext, options: DemoOptions): Promise<ExitStatus> {
  const say = (line = ''): void => void context.stdout.write(`${line}\n`)
  const stopped = options.once ? undefined : context.untilStopped()
  const closers: (() => Promise<unknown>)[] = []
  try {
    const stage = await setUp({ context, say, closers, options })
    await showAll(stage)
    if (stopped === undefined) return 0
    say(`Try it by hand:   curl -i ${stage.base}/hello        or ${stage.base}/events in a browser`)
    say(`Change the rules: edit ${stage.targets.file}; it is read anew at once`)
    say('Ctrl-C ends the demo.')
    await stopped
    return 0
  } finally {
    // In the order in which requests travel: clients first, files last.
    for (const close of closers.reverse()) await close()
  }
}

interface SetUp {
  readonly context: CliContext
  readonly say: Stage['say']
  /** Gets what ends each part, in the order in which they are started. */
  readonly closers: (() => Promise<unknown>)[]
  readonly options: DemoOptions
}

async function setUp({ context, say, closers, options }: SetUp): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'socket-gateway-demo-'))
  closers.push(() => rm(folder, { recursive: true, force: true }))
  const log = createLog({ level: 'warn', format: 'pretty', destination: { write: text => context.stderr.write(text) } })
  const seen: SeenRequest[] = []
  const api = createDemoApi(seen)
  const apiPort = await new Promise<number>(resolve => api.listen(0, '127.0.0.1', () => resolve((api.address() as AddressInfo).port)))
  closers.push(() => new Promise(resolve => (api.close(resolve), api.closeAllConnections())))
  const origin = `127.0.0.1:${apiPort}`

  const pair = await mintKeyPair({ type: 'ec', commonName: 'demo', validityYears: 1 })
  const [keyFile, certificateFile, targetsFile] = [join(folder, 'demo.key'), join(folder, 'demo.crt'), join(folder, 'targets.yaml')]
  await writeFile(keyFile, pair.privateKeyPem, { mode: 0o600 })
  await writeFile(certificateFile, pair.certificatePem)
  await writeFile(targetsFile, targetsYaml(apiPort))

  const keys = new KeyFiles([`demo=${certificateFile}`])
  await keys.start()
  closers.push(async () => keys.close())
  const targets = new TargetsFile(targetsFile, { onChange: () => say('targets.yaml was read anew'), onFault: error => say(error.message) })
  await targets.start()
  closers.push(() => targets.close())

  const outer = await startOuter(options, { keys, targets }, log)
  closers.push(() => outer.close())
  const inner = createInnerLayer(
    {
      privateKey: await readPrivateKey(keyFile),
      outerLayers: [`ws://localhost:${outer.ports.socket}`],
      identifier: 'demo',
      connections: 1,
      allowList: new AllowList([origin]),
      drainTimeoutMs: 2_000,
    },
    { log },
  )
  await inner.start()
  closers.push(() => inner.close())
  await untilConnected(inner)

  const base = `http://localhost:${outer.ports.app}`
  say('socket-gateway demo: a private API that clients cannot reach, and the gateway that takes them there.')
  say()
  say(`  client ──▶ outer layer ◀── inner layer ──▶ sample API`)
  say()
  say(`  sample API    http://${origin}`)
  say(`  inner layer   "demo", proven by key ${pair.thumbprint}, may reach ${origin} and nothing else`)
  say(`  outer layer   ${base} for clients, port ${outer.ports.socket} for inner layers`)
  say(`  targets       ${targetsFile}`)
  for (const line of (await readFile(targetsFile, 'utf8')).trimEnd().split('\n')) say(`                | ${line}`)
  say()
  return { base, origin, targets, seen, say }
}

/** On the ports that are asked for, or on free ones when those are taken. */
async function startOuter(
  options: DemoOptions,
  files: { readonly keys: KeyFiles; readonly targets: TargetsFile },
  log: Log,
): Promise<OuterLayer> {
  const common = { ...files, timeoutMs: 10_000, validityMs: 1_000, trustProxy: [], removeCsps: false, drainTimeoutMs: 2_000 }
  for (const [appPort, socketPort] of [
    [options['app-port'], options['socket-port']],
    [0, 0],
  ] as const) {
    const outer = createOuterLayer({ ...common, appPort, socketPort, appHost: 'localhost', socketHost: 'localhost' }, { log })
    try {
      await outer.start()
      return outer
    } catch (error) {
      outer.destroy()
      if (appPort === 0 || !(error instanceof GatewayError)) throw error
    }
  }
  throw new GatewayError('LISTEN_FAILED')
}

async function untilConnected(inner: InnerLayer): Promise<void> {
  const deadline = performance.now() + CONNECT_MS
  while (inner.connectionCount === 0) {
    if (performance.now() > deadline)
      throw new GatewayError('INNER_LAYER_LOST', 'the inner layer of the demo could not connect to its outer layer')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

const targetsYaml = (port: number): string => `targets:
  "localhost":
    protocol: "http"
    hostname: "127.0.0.1"
    port: ${port}
    policy:
      "/hello": ["GET"]
      "/upload": ["PUT"]
      "^/events.*": "*"
    identifier: "demo"
`

async function showAll(stage: Stage): Promise<void> {
  const { say } = stage
  await show(stage, 'A request', 'GET', '/hello', async response => (await response.text()).trim())
  await show(stage, 'An upload of 5 MiB', 'PUT', '/upload', async response => `${arrivedMib(await response.text())} MiB arrived at the API`)
  await show(stage, 'An event stream, each event as it happens', 'GET', '/events', readEvents)
  await show(stage, 'A request that the policy does not allow', 'GET', '/admin', async response => firstLines(await response.text()))
  say()
}

/** The size of an upload, by the word of the sample API. */
const arrivedMib = (answer: string): number => (JSON.parse(answer) as { readonly bytes: number }).bytes / 1_048_576

async function show(
  stage: Stage,
  title: string,
  method: string,
  path: string,
  read: (response: Response) => Promise<string>,
): Promise<void> {
  const { base, say, seen, targets } = stage
  const before = seen.length
  const startedMs = performance.now()
  const response = await fetch(base + path, { method, ...(method === 'PUT' ? { body: Buffer.alloc(UPLOAD_BYTES) } : {}) })
  const text = await read(response)
  const tookMs = Math.round(performance.now() - startedMs)
  const origin = seen[before]
  say(`${title}: ${method} ${base}${path}`)
  say(`  outer layer   ${decision(targets, method, path)}`)
  if (origin === undefined) say('  sample API    saw nothing of it')
  else say(`  sample API    saw ${origin.method} ${origin.path}, Host: ${origin.host}, Forwarded: ${origin.forwarded}`)
  say(`  client        got ${response.status} after ${tookMs} ms: ${text}`)
  say()
}

function decision(targets: TargetsFile, method: string, path: string): string {
  const target = targets.table.match('localhost')
  if (target === undefined) return 'no target for localhost'
  try {
    const { rule } = admit(target, method, path)
    return `allowed by "${rule.pattern}" (line ${rule.line} of targets.yaml), sent through the inner layer "demo"`
  } catch {
    return `refused: no rule of "localhost" (line ${target.line} of targets.yaml) allows it`
  }
}

async function readEvents(response: Response): Promise<string> {
  const startedMs = performance.now()
  const times: string[] = []
  for await (const chunk of response.body ?? []) {
    for (const event of Buffer.from(chunk).toString().trim().split('\n\n')) {
      times.push(`"${event.replace('data: ', '')}" at ${Math.round(performance.now() - startedMs)} ms`)
    }
  }
  return times.join(', ')
}

const firstLines = (text: string): string =>
  text
    .split('\n')
    .filter(line => line !== '')
    .join(' · ')
