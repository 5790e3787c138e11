#!/usr/bin/env node
import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import type { CliContext, StopSignal } from './cli/command/context.ts'
import { runCli } from './cli/run-cli.ts'
import type { Log } from './telemetry/log.ts'

// The only file that touches `process`: arguments, environment, streams, signals and the exit status go through here.

// V8 holds the bytes of buffers against the limit of its old generation, young ones too. Beside a heap as small as ours a few megabytes in
// transit are over it, and a bulk transfer makes full collections one after the other: 2.2 s of CPU per GB instead of 0.9 (docs/benchmarks.md).
setFlagsFromString('--heap-growing-percent=200')

const EXIT_GRACE_MS = 1_000
let log: Log | undefined

/** Resolves at the first SIGTERM or SIGINT; the second one ends the process at once, with what is in flight. */
const untilStopped: CliContext['untilStopped'] = ({ hangup = false } = {}) =>
  new Promise(resolve => {
    let asked = false
    const on = (signal: StopSignal): void => {
      process.on(signal, () => {
        if (asked) process.exit(1)
        asked = true
        resolve(signal)
      })
    }
    on('SIGTERM')
    on('SIGINT')
    if (hangup) on('SIGHUP')
  })

// A fault that nobody caught leaves the process in an unknown state, so it says so and ends; a supervisor starts a fresh one.
function onFault(fault: unknown): void {
  const end = (): never => process.exit(1)
  if (log === undefined) {
    process.stderr.write(`socket-gateway: internal fault: ${fault instanceof Error ? fault.stack : String(fault)}\n`)
    end()
  } else {
    log.error({ err: fault }, 'internal fault that nobody caught; the process ends')
    log.flush().then(end, end)
  }
}

process.on('uncaughtException', onFault)
process.on('unhandledRejection', onFault)
// A reader that goes away, as in `socket-gateway --help | head -1`, is no fault.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

process.exitCode = await runCli({
  argv: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  logDestination: process.stdout.fd,
  untilStopped,
  nghttp2: process.versions['nghttp2'],
  onLog: created => (log = created),
})
// Everything is closed by now; whatever else keeps the process up is not waited for.
setTimeout(() => process.exit(), EXIT_GRACE_MS).unref()
