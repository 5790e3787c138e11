#!/usr/bin/env node
import type { CliContext, StopSignal } from './cli/command/context.ts' with { 'resolution-mode': 'import' }
import type { Log } from './telemetry/log.ts' with { 'resolution-mode': 'import' }

// The only file that touches `process`: arguments, environment, streams, signals and the exit status go through here. It is read by every
// release of Node.js, so that an old one gets a sentence rather than the SyntaxError of a dependency: no static import, no new syntax.

/** As in package.json (`engines`). */
const OLDEST_NODE = '20.19'
/** When everything is closed, whatever keeps the process up gets this long. */
const EXIT_GRACE_MS = 1_000
/** Limits for a call of the system that holds up the end: of a process that has drained, and of one that has to end at once. */
const LAST_CALLS_MS = 10_000
const LAST_WORDS_MS = 250
const POLL_MS = 10
const THREADS = '32'

const SIGNALS: readonly StopSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP']
/** Calls of the system that may never return: a file on a disk that is gone, a terminal that is stopped, a name that nobody resolves. */
const MAY_HANG = /^(?:FSReq|FileHandle|GetAddrInfo|GetNameInfo)/

let log: Log | undefined
let isEnding = false
/** Faults that were logged a short while ago, and are not again. */
const told = new Set<string>()
const MAX_TOLD = 100
const TOLD_MS = 60_000
let isStopped = false
let outputFault: NodeJS.ErrnoException | undefined
let isTerminal: (fd: number) => boolean = () => true
/** Standard streams that were terminals at the start. */
let terminals: number[] = []

/** At its exit Node.js sets terminals back as they were, and aborts with a dump of its memory where one has been closed meanwhile. */
const isTerminalGone = (): boolean => terminals.some(fd => !isTerminal(fd))

const hangs = (): boolean => process.getActiveResourcesInfo().some(name => MAY_HANG.test(name))

/** Ends the process, whatever it is doing. `process.exit` alone waits for its threads, and one that hangs in a call holds it for ever. */
async function end(status: number, patienceMs: number): Promise<void> {
  if (isEnding) return
  isEnding = true
  let isFlushed = log === undefined
  if (log !== undefined) void log.flush().then(() => (isFlushed = true))
  for (let leftMs = patienceMs; leftMs > 0 && (!isFlushed || hangs()); leftMs -= POLL_MS)
    await new Promise<void>(resolve => setTimeout(resolve, POLL_MS))
  leave(status)
}

/** Leaves the process now. */
function leave(status: number): void {
  for (const signal of SIGNALS) process.removeAllListeners(signal)
  if (isTerminalGone()) process.kill(process.pid, 'SIGHUP')
  if (hangs()) process.kill(process.pid, 'SIGKILL')
  process.exit(status)
}

/** Resolves at the first SIGTERM or SIGINT; the second one ends the process at once, with what is in flight. */
const untilStopped: CliContext['untilStopped'] = (options = {}) =>
  new Promise(resolve => {
    let count = 0
    const onSignal = (signal: StopSignal): void => {
      count++
      isStopped = true
      if (count === 1) return resolve(signal)
      // From the next one on, and while this one waits for its last log lines, signals do what they do by default.
      for (const each of SIGNALS) process.removeListener(each, onSignal)
      if (isEnding) process.kill(process.pid, 'SIGKILL')
      else void end(1, LAST_WORDS_MS)
    }
    for (const signal of options.hangup === true ? SIGNALS : SIGNALS.slice(0, 2)) process.on(signal, onSignal)
  })

// What strangers and timers cause runs behind a guard (net/guard.ts), so a fault that comes here was not covered by it. To end would let
// whoever finds one end the process as often as they like, with the connections of everybody else: a service says so and goes on.
function onFault(fault: unknown): void {
  const text = fault instanceof Error ? fault.stack || fault.message : String(fault)
  if (log === undefined) {
    process.stderr.write(`socket-gateway: internal fault: ${text}\n`)
    return void end(1, LAST_WORDS_MS)
  }
  if (told.has(text) || told.size >= MAX_TOLD) return
  told.add(text)
  setTimeout(() => told.delete(text), TOLD_MS).unref()
  log.error({ err: fault }, 'internal fault that nobody caught; the process goes on')
}

/** Resolves when everything that was written to a stream has left, or cannot. */
const written = (stream: NodeJS.WriteStream): Promise<void> => new Promise(resolve => stream.write('', () => resolve()))

/** Milliseconds of CPU that this process has used. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** The channel to the process that has started this one. What cannot be sent is lost, as all is that is under way when either of them dies. */
function parent(): CliContext['parent'] {
  if (process.send === undefined) return undefined
  const send = process.send.bind(process)
  return {
    send: message => {
      if (process.connected) send(message, undefined, undefined, () => undefined)
    },
    onMessage: listener => void process.on('message', listener),
    onEnd: listener => {
      // It may have died before anybody listened.
      if (process.connected) process.once('disconnect', listener)
      else setImmediate(listener)
    },
  }
}

/** Limits of this process, where the system tells; Node.js has raised what it may by now. */
async function limits(): Promise<string | undefined> {
  try {
    return (await import('node:fs')).readFileSync('/proc/self/limits', 'latin1')
  } catch {
    return undefined
  }
}

async function run(): Promise<void> {
  // Half of these threads may look names up at a time, and a name server that is silent holds one for seconds. Read when the first is used.
  if (process.env['UV_THREADPOOL_SIZE'] === undefined) process.env['UV_THREADPOOL_SIZE'] = THREADS
  const { keepCompiled } = await import('./compile-cache.ts')
  keepCompiled(process.env['HOME'], process.getuid === undefined ? undefined : process.getuid())
  const { setFlagsFromString } = await import('node:v8')
  isTerminal = (await import('node:tty')).isatty
  terminals = [0, 1, 2].filter(isTerminal)
  // V8 holds the bytes of buffers against the limit of its old generation, young ones too. Beside a heap as small as ours a few megabytes in
  // transit are over it, and a bulk transfer makes full collections one after the other: 2.2 s of CPU per GB instead of 0.9 (docs/benchmarks.md).
  setFlagsFromString('--heap-growing-percent=200')
  process.on('uncaughtException', onFault)
  process.on('unhandledRejection', onFault)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => (outputFault = error))
  process.stderr.on('error', () => undefined) // there is nowhere left to say it
  const { limitGarbage } = await import('./telemetry/garbage-limit.ts')
  const { runCli } = await import('./cli/run-cli.ts')
  const status = await runCli({
    argv: process.argv.slice(2),
    env: process.env,
    pid: process.pid,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    logDestination: process.stdout.fd,
    untilStopped,
    onUpgrade: listener => {
      const hasTerminal = terminals.length > 0
      process.on('SIGUSR2', listener)
      if (!hasTerminal) process.on('SIGHUP', listener)
      return !hasTerminal
    },
    nghttp2: process.versions['nghttp2'],
    processLimits: await limits(),
    onMoved: limitGarbage(cpuMs),
    onLog: created => (log = created),
    program: process.argv[1] || '',
    execArgv: process.execArgv,
    parent: parent(),
  })
  // A reader that is slow gets everything, unless the process was asked to end.
  if (!isStopped) await written(process.stdout)
  process.exitCode = statusOf(status)
  if (isTerminalGone()) leave(status)
  // Nothing is left to do. To leave Node.js to itself here has it close its handles one by one, and 20.20 was seen to turn for ever over that.
  process.once('beforeExit', () => process.exit())
  setTimeout(() => void end(Number(process.exitCode), LAST_CALLS_MS), EXIT_GRACE_MS).unref()
}

/** A reader that goes away, as in `socket-gateway --help | head -1`, is no fault; a disk that is full is one. */
function statusOf(status: number): number {
  if (outputFault === undefined || outputFault.code === 'EPIPE' || status !== 0) return status
  process.stderr.write(`socket-gateway: standard output: ${outputFault.message}\n`)
  return 1
}

const isOldEnough = (): boolean => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE.split('.').map(Number)
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
}

if (isOldEnough()) void run()
else {
  process.stderr.write(`socket-gateway needs Node.js ${OLDEST_NODE} or newer; this is ${process.versions.node}\n`)
  process.exitCode = 1
}
